"""The seeded bugs themselves: each still fits the code, and is found where it is planted."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

from tests.bugs.catalogue import BUGS
from tests.bugs.planting import Unfit, rewrite


def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the bugs installed, on this run's data folder."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
            "SAGADESK_APPS": "tests.bugs",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_bug_fits_the_code_that_it_is_a_bug_of() -> None:
    done = run("-m", "tests.bugs.fitting")
    assert (done.returncode, done.stdout) == (0, "")


def test_every_bug_says_what_it_is_and_where_it_should_be_found() -> None:
    assert len(BUGS) >= 20
    for bug in BUGS.values():
        assert bug.sentence.endswith(".")
        assert bug.tests
        assert [name for name in bug.tests if not (settings.BASE_DIR / name).exists()] == []


def test_a_bug_that_no_longer_fits_says_so() -> None:
    with pytest.raises(Unfit, match="0 times"):
        rewrite("sagas.core.replies:take", "what was never there", "anything")
    with pytest.raises(Unfit, match="is gone"):
        rewrite("sagas.core.replies:no_such_function", "a", "b")


def test_a_name_that_is_no_bug_is_refused() -> None:
    done = run("-c", "import django; django.setup()", SAGADESK_BUG="no-such-bug")
    assert done.returncode != 0
    assert "SAGADESK_BUG=no-such-bug is no bug; there are " in done.stderr
    assert "time-out-is-failure, " in done.stderr


def test_a_planted_bug_is_found() -> None:
    test = "tests/sagas/test_leases.py::test_a_zombie_cannot_speak_for_a_command_that_another_holds"
    own = {"DJANGO_SETTINGS_MODULE": "tests.settings"}  # with servers of its own
    done = run("-m", "pytest", "-q", "-p", "no:randomly", test, SAGADESK_BUG="no-lease-fencing", **own)
    assert done.returncode == 1, done.stdout
    assert f"FAILED {test}" in done.stdout
