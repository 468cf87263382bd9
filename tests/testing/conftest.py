"""``manage.py saga drill``, as a shell calls it."""

import io
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import NamedTuple

import pytest

from sagas.management.commands.saga import Command
from sagas.testing import apart


class Ended(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def real(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``manage.py saga drill …`` as a shell does."""
    # A command closes its connections when it ends; here the test still needs them.
    monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)

    def command(*words: str) -> Ended:
        out, code = io.StringIO(), 0
        try:
            Command(stdout=out).run_from_argv(["manage.py", "saga", "drill", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ended(code, out.getvalue() + captured.out, captured.err)

    return command


@pytest.fixture
def run(real: Run, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Run]:
    """The same in the test's own database: making another takes seconds."""
    monkeypatch.setattr(apart, "own_databases", nullcontext)
    return real
