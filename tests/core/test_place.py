"""An exception is told with the line of its author's code that it came from."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from sagas.core.cron import Cron
from sagas.core.place import place


def _raised_by(function: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        function()
    return caught.value


def helper(data: dict[str, Any]) -> Any:
    return data["customer_nmae"]


def test_the_innermost_line_of_an_author_is_told() -> None:
    line = helper.__code__.co_firstlineno + 1
    assert place(_raised_by(lambda: helper({}))) == f" (test_place.py:{line}, in helper)"


def test_neither_a_line_of_python_nor_an_installed_one_nor_one_of_ours_is() -> None:
    def reads() -> None:
        json.loads("{")

    def calls_ours() -> None:
        Cron("never")

    async def validates() -> None:
        TypeAdapter(int).validate_python("one")

    def awaits() -> None:
        validates().send(None)

    assert place(_raised_by(reads)).endswith(", in reads)")
    assert place(_raised_by(calls_ours)).endswith(", in calls_ours)")
    assert place(_raised_by(awaits)).endswith(", in validates)")


def test_a_fault_without_a_line_of_an_author_has_no_place() -> None:
    assert place(KeyError("never raised")) == ""
    generated = compile("def f(): raise KeyError('b')", "<string>", "exec")
    names: dict[str, Any] = {}
    exec(generated, names)  # noqa: S102 - it is our own
    fault = _raised_by(names["f"])
    assert fault.__traceback__ is not None
    assert place(fault.with_traceback(fault.__traceback__.tb_next.tb_next)) == ""  # type: ignore[union-attr]
