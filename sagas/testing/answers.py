"""What a scripted participant answers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sagas.core.plain import plain


@dataclass(frozen=True)
class Answer:
    """One answer to one attempt."""


@dataclass(frozen=True)
class Completes(Answer):
    """The participant did it."""

    result: Any = None
    inbox: bool = True


@dataclass(frozen=True)
class Rejects(Answer):
    """The participant said no."""

    reason: str
    inbox: bool = True


@dataclass(frozen=True)
class Unknown(Answer):
    """Nobody knows what became of it."""

    error: str
    inbox: bool = True


@dataclass(frozen=True)
class Promises(Answer):
    """It is taken on, and will be answered from outside."""

    within: float | None
    inbox: bool = True


@dataclass(frozen=True)
class Unseen(Answer):
    """A probe found nothing of the command, so far."""


@dataclass(frozen=True)
class Late(Answer):
    """It answers, but only so many seconds after the attempt's time was over."""

    answer: Answer
    after: float


@dataclass(frozen=True)
class Handled(Answer):
    """The registered handler is called."""


def completes(result: Any = None, *, inbox: bool = True) -> Answer:
    """The participant did it, and returned this (plain JSON). Without an ``inbox`` it does not remember keys."""
    return Completes(plain(result, "result"), inbox)


def rejects(reason: str = "no", *, inbox: bool = True) -> Answer:
    """The participant said no: there is no effect."""
    return Rejects(reason, inbox)


def unknown(error: str = "no reply within its time", *, inbox: bool = True) -> Answer:
    """A time-out, a crash, a broken connection: it may have been done, or not."""
    return Unknown(error, inbox)


def promises(within: timedelta | float | None = 3600.0, *, inbox: bool = True) -> Answer:
    """The handler returns ``Later``: the step waits for ``replied(step, …)``, so long (a timedelta or seconds).

    None: however long it takes, as a step does whose child saga is under way.
    """
    if within is None:
        return Promises(None, inbox)
    return Promises(within.total_seconds() if isinstance(within, timedelta) else float(within), inbox)


def unseen() -> Answer:
    """A probe's answer: nothing of the command has arrived so far. Probes that no ``when`` speaks of answer so."""
    return Unseen()


def late(answer: Answer, after: float = 1.0) -> Answer:
    """The attempt's time passes, its outcome is unknown, and so many seconds later its answer comes after all."""
    if not isinstance(answer, Completes | Rejects):
        raise TypeError("Only completes(…) and rejects(…) can be late; an unknown outcome has no answer.")
    return Late(answer, after)


def handled() -> Answer:
    """Call the handler that is registered for the command, for real; it needs whatever it needs: a database."""
    return Handled()
