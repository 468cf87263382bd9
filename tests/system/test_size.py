"""What a process loads before it can begin."""

import subprocess
import sys

import pytest
from django.conf import settings

#: What only the web needs; each costs every start of a worker.
OF_THE_WEB = ("sagas.admin", "participants.admin", "sagas.dashboard", "channels", "daphne", "twisted")
LOADED = """
import django, sys
django.setup()
import sagas.management.commands.saga
from sagas.worker import run_worker
print(*sys.modules)
"""


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    words = [sys.executable, "-c", LOADED]
    done = subprocess.run(words, cwd=settings.BASE_DIR, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", OF_THE_WEB)
def test_a_worker_loads_nothing_that_only_the_web_needs(loaded: set[str], module: str) -> None:
    assert module not in loaded
