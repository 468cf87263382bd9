"""One run of a function, and what comes of it in the core's words."""

from collections.abc import Callable
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

from sagas.core import messages as m
from sagas.core.answers import Rejected
from sagas.core.place import line_of
from sagas.core.plain import NotPlain, plain, printable
from sagas.core.words import Attention
from sagas.replay import faces
from sagas.replay.record import Record
from sagas.replay.replaying import Astray, Replay, Suspended

_running: ContextVar[Replay | None] = ContextVar("saga_run", default=None)


def check_outside(deed: str) -> None:
    """Raise, and have its run make no sense, if a durable function does what would be done anew in each of its runs."""
    replay = _running.get()
    if replay is not None:
        raise replay.fail(
            f"{deed} is done anew in each run of a durable function, and whenever its first one is tried out;"
            " do it in a step, or have saga.child(…) start a saga"
        )


def run(function: Callable[..., Any], record: Record, *, hold: bool = False) -> m.Ran | m.Unserved:
    """Run a function and say what comes next: new steps, its result, its rejection, or why it makes no sense.

    ``hold`` is what its steps have where they say nothing of it.
    """
    number = record.meta.number
    replay = Replay(record, hold=hold)
    token = _running.set(replay)
    try:
        result = faces.begin(replay, function, deepcopy(dict(record)))
    except Suspended:
        outcome: m.Ran | m.Unserved = m.Grown(number, tuple(replay.new), frozenset(replay.heard))
    except Rejected as no:
        outcome = m.Raised(number, printable(str(no)) or "rejected")
    except Exception as fault:
        return _faulty(number, replay.fault or fault)
    else:
        try:
            outcome = m.Returned(number, plain(result, "result"))
        except NotPlain as wrong:
            return _faulty(number, Astray(f"what it returned cannot be recorded: {wrong}"))
    finally:
        _running.reset(token)
    try:
        replay.check(ended=not isinstance(outcome, m.Grown))
    except Astray as wrong:
        return _faulty(number, wrong)
    return outcome


def _faulty(number: int, fault: Exception) -> m.Unserved:
    text = str(fault) if isinstance(fault, Astray) else f"{type(fault).__name__}: {fault}{_hint(str(fault))}"
    return m.Unserved(number, printable(f"{text}{_where(fault)}"), Attention.MISCONFIGURED)


#: What Python says -> what its author may not know.
_HINTS = {
    "NotAwaited": "did you forget await? What a step returns is there when it has been awaited",
    "event loop": (
        "there is none here: a function awaits nothing but the saga's own steps. saga.wait(…) waits,"
        " saga.parallel(…) does things side by side, and what else has to be done is a step"
    ),
    "'await' expression": (
        "only an async def awaits its steps; for a plain function saga.step(…) returns the result itself"
    ),
}


def _hint(text: str) -> str:
    return next((f"; {hint}" for words, hint in _HINTS.items() if words in text), "")


def _where(fault: Exception) -> str:
    """Say in which line of its author it was."""
    line = (fault.line if isinstance(fault, Astray) else None) or line_of(fault)
    return f" (in line {line.number} of {line.function}, {line.file})" if line else ""
