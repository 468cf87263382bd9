"""Steps that no participant answers: a timer waits for a moment, an approval for people, a child for another saga.

Plain values only.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sagas.core.plain import NotPlain, plain

#: The actions of built-in steps; they have no handler, since nothing is called.
TIMER: Final = "sagas.Timer"
APPROVAL: Final = "sagas.Approval"
#: The action that has another saga begin, and answers at its end; and what undoes it. We handle both ourselves.
CHILD: Final = "sagas.Child"
UNDO_CHILD: Final = "sagas.UndoChild"
OF_CHILDREN: Final = frozenset({CHILD, UNDO_CHILD})
#: What may be said to come of an approval that nobody has answered in time.
ANSWERS: Final = ("approve", "reject", None)

#: Seconds that any time-out, wait or deadline may last: a hundred years. What ends later has no date.
LONGEST: Final = 100 * 366 * 86_400.0

_BY = re.compile(r"group:.{1,150}|perm:[^.\s]+\.\S+")
_PLACE = re.compile(r"\{([\w-]+(?:\.[\w-]+)*)\}")


class NoData(ValueError):
    """A path at which the data of a child saga does not stand. Its text says what is wrong, and what would be right."""


class NoMoment(ValueError):
    """Data that does not say until when a timer waits. Its text says what is wrong, and what would be right."""


@dataclass(frozen=True)
class Timer:
    """How long a step waits: exactly one of the three."""

    seconds: float | None = None
    """From its dispatch."""
    at: str | None = None
    """A moment, in ISO 8601."""
    path: str | None = None
    """Where in the saga's data the moment stands."""


@dataclass(frozen=True)
class Approval:
    """Who answers a step, what they see, and what becomes of it if nobody does."""

    by: str
    """``group:name`` or ``perm:app.codename``."""
    people: int = 1
    """How many different people have to approve."""
    show: tuple[str, ...] | str = ()
    """Paths in the data, or a text with paths in braces: ``"Refund {amount} to {customer.name}"``."""
    deadline: float | None = None
    """Seconds from its dispatch; None: as long as it takes."""
    otherwise: str | None = None
    """The answer at the deadline: approve or reject; None: an operator is asked."""
    self_approval: bool = False
    """Whether who started the saga may approve it."""


@dataclass(frozen=True)
class Child:
    """The saga that a step starts, and whose end it awaits."""

    saga_type: str
    data: Mapping[str, Any] | str = field(default_factory=dict)
    """What it is started with; a text is where in the saga's data, or in ``results``, that stands."""


def seconds(span: Any) -> Any:
    """Return a span of time in seconds; whatever is none is returned as it is, for the definition to refuse."""
    if isinstance(span, timedelta):
        return span.total_seconds()
    if isinstance(span, int) and not isinstance(span, bool):
        return float(span)  # 60 and 60.0 are one definition
    return span


#: Moments from then on are none: in another zone they may be of a year that no calendar has.
END_OF_TIME = 9000


def moment(told: Any) -> datetime:
    """Read a moment, and return it in UTC. Raises :class:`NoMoment` for anything but ISO 8601 with a time zone."""
    read = _read(told)
    if read is None:
        raise NoMoment(f"must be a moment with a time zone, such as {_EXAMPLE!r}, not {told!r:.80}")
    if read.year >= END_OF_TIME:
        raise NoMoment(
            f"must be a moment before the year {END_OF_TIME}, such as {_EXAMPLE!r}, not {told!r:.80}"
        )
    return read


_EXAMPLE = "2026-12-24T18:00:00+00:00"


def _read(told: Any) -> datetime | None:
    with suppress(ValueError, OverflowError):  # the first and the last day have no other zone's time
        read = datetime.fromisoformat(told) if isinstance(told, str) else None
        if read is not None and read.tzinfo is not None:
            return read.astimezone(UTC)
    return None


def wake_at(timer: Timer, data: Mapping[str, Any], now: datetime) -> datetime:
    """Return the moment for which a timer waits that is dispatched now. Raises :class:`NoMoment`."""
    if timer.seconds is not None:
        return now + timedelta(seconds=timer.seconds)
    if timer.at is not None:
        return moment(timer.at)
    path = timer.path or ""
    try:
        told = _found(data, path)
    except KeyError:
        raise NoMoment("is missing; it must be a moment, such as '2026-12-24T18:00:00+00:00'") from None
    return moment(told)


def shown(approval: Approval, data: Mapping[str, Any]) -> Any:
    """Return what the people see who are asked: the text, or the values by their paths; null for what is not there."""
    if isinstance(approval.show, str):
        return _PLACE.sub(lambda place: _as_text(_or_none(data, place[1])), approval.show)
    return {path: _or_none(data, path) for path in approval.show}


def child_data(child: Child, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a child is started with. Raises :class:`NoData`."""
    if not isinstance(child.data, str):
        return child.data
    try:
        found = _found(data, child.data)
    except KeyError:
        raise NoData("is missing; it must be an object, with the child's data") from None
    if not isinstance(found, Mapping):
        raise NoData(f"must be an object, with the child's data, not {found!r:.80}")
    return found


def child_problems(child: Child) -> Iterable[str]:
    """Yield what is wrong with a child."""
    if not isinstance(child.saga_type, str) or not 0 < len(child.saga_type) <= 100:
        yield f"a child is named by its saga type, a text of 1 to 100 characters, not {child.saga_type!r:.120}"
    if isinstance(child.data, str):
        if not child.data:
            yield "data must be an object, or where in the saga's data one stands, not ''"
    elif not isinstance(child.data, Mapping):
        yield f"data must be an object, or where in the saga's data one stands, not {child.data!r:.80}"
    else:
        try:
            plain(child.data, "data")
        except NotPlain as wrong:
            yield f"data cannot be stored: {wrong}"


def is_span(value: Any) -> bool:
    """Whether a value is a number of seconds that something may last."""
    return isinstance(value, float) and 0 < value <= LONGEST


def timer_problems(timer: Timer) -> Iterable[str]:
    """Yield what is wrong with a timer."""
    given = [value for value in (timer.seconds, timer.at, timer.path) if value is not None]
    if len(given) != 1:
        yield "a timer takes exactly one of wait and until"
    elif timer.seconds is not None and not (
        is_span(timer.seconds) or (timer.seconds == 0 and isinstance(timer.seconds, float))
    ):
        yield f"wait must be a timedelta or seconds, 0 or more, up to a hundred years, not {timer.seconds!r}"
    elif timer.at is not None:
        try:
            moment(timer.at)
        except NoMoment as wrong:
            yield f"until {wrong}"


def approval_problems(approval: Approval) -> Iterable[str]:
    """Yield what is wrong with an approval."""
    if not isinstance(approval.by, str) or not _BY.fullmatch(approval.by):
        yield f"by must be 'group:name' or 'perm:app.codename', not {approval.by!r}"
    if not isinstance(approval.people, int) or not approval.people >= 1:
        yield f"people must be 1 or more, not {approval.people!r}"
    if approval.otherwise not in ANSWERS:
        yield f"otherwise must be 'approve', 'reject' or None, not {approval.otherwise!r}"
    if approval.deadline is not None and not is_span(approval.deadline):
        yield f"deadline must be a timedelta or seconds, more than 0, up to a hundred years, not {approval.deadline!r}"
    if approval.otherwise is not None and approval.deadline is None:
        yield f"otherwise={approval.otherwise!r} needs a deadline, at which it is the answer"
    if not isinstance(approval.show, str) and not all(isinstance(path, str) for path in approval.show):
        yield f"show must be paths in the data, or a text, not {approval.show!r}"


def _found(data: Any, path: str) -> Any:
    """Follow a path of keys, and of positions in lists. Raises KeyError."""
    for key in path.split("."):
        if isinstance(data, list) and key.isdecimal() and int(key) < len(data):
            data = data[int(key)]
        elif isinstance(data, Mapping):
            data = data[key]
        else:
            raise KeyError(path)
    return data


def _or_none(data: Mapping[str, Any], path: str) -> Any:
    try:
        return _found(data, path)
    except KeyError:
        return None


def _as_text(value: Any) -> str:
    return "–" if value is None else str(value)
