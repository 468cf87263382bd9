"""``manage.py saga drill``, as a shell calls it."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from sagas.testing import apart
from tests.shell import Run, shell


@pytest.fixture
def real(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``manage.py saga drill …`` as a shell does."""
    return shell(capsys, monkeypatch, "drill")


@pytest.fixture
def run(real: Run, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Run]:
    """The same in the test's own database: making another takes seconds."""
    monkeypatch.setattr(apart, "own_databases", nullcontext)
    return real
