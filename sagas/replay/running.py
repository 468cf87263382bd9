"""One run of a function, and what comes of it in the core's words."""

import traceback
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from sagas.core import messages as m
from sagas.core.answers import Rejected
from sagas.core.plain import NotPlain, plain, printable
from sagas.core.words import Attention
from sagas.replay import faces
from sagas.replay.record import Record
from sagas.replay.replaying import Astray, Replay, Suspended


def run(function: Callable[..., Any], record: Record, *, hold: bool = False) -> m.Ran | m.Unserved:
    """Run a function and say what comes next: new steps, its result, its rejection, or why it makes no sense.

    ``hold`` is what its steps have where they say nothing of it.
    """
    number = record.meta.number
    replay = Replay(record, hold=hold)
    try:
        result = faces.begin(replay, function, deepcopy(dict(record)))
    except Suspended:
        outcome: m.Ran | m.Unserved = m.Grown(number, tuple(replay.new), frozenset(replay.heard))
    except Rejected as no:
        outcome = m.Raised(number, printable(str(no)) or "rejected")
    except Exception as fault:
        return _faulty(number, replay.fault or fault, function)
    else:
        try:
            outcome = m.Returned(number, plain(result, "result"))
        except NotPlain as wrong:
            return _faulty(number, Astray(f"what it returned cannot be recorded: {wrong}"), function)
    try:
        replay.check(ended=not isinstance(outcome, m.Grown))
    except Astray as wrong:
        return _faulty(number, wrong, function)
    return outcome


def _faulty(number: int, fault: Exception, function: Callable[..., Any]) -> m.Unserved:
    text = (
        str(fault)
        if isinstance(fault, Astray)
        else f"{type(fault).__name__}: {fault}{_where(fault, function)}"
    )
    return m.Unserved(number, printable(text), Attention.MISCONFIGURED)


def _where(fault: Exception, function: Callable[..., Any]) -> str:
    """Say in which line of the function it was."""
    code = getattr(function, "__code__", None)
    lines = [line for frame, line in traceback.walk_tb(fault.__traceback__) if frame.f_code is code]
    return f" (in line {lines[-1]} of {function.__name__})" if lines else ""
