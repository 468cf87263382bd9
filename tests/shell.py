"""``manage.py saga …``, called in the test's own process as a shell does."""

import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from sagas.management.commands.saga import Command


class Ended(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it said, read."""
        return json.loads(self.out)


Run = Callable[..., Ended]


def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *first: str) -> Run:
    """Return what calls ``manage.py saga``, with these words first."""
    # A command closes its connections when it ends; here the test still needs them.
    monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)

    def command(*words: Any) -> Ended:
        out, code = io.StringIO(), 0
        try:
            Command(stdout=out).run_from_argv(["manage.py", "saga", *first, *map(str, words)])
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ended(code, out.getvalue() + captured.out, captured.err)

    return command
