"""A saga against time: one line per step, attempts as bars, back-off between them hatched."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sagas.dashboard.formats import span

#: Event type -> how the attempt that it ends looks.
ENDS = {
    "ReplyAwaited": "running",
    "StepRescheduled": "unknown",
    "UndoRescheduled": "unknown",
    "ProbeDispatched": "unknown",
    "StepOutcomeUnknown": "attention",
    "StepHeld": "attention",
    "UndoHeld": "attention",
    "StepCompleted": "completed",
    "StepFailed": "rejected",
    "StepWithdrawn": "withdrawn",
    "StepSkipped": "withdrawn",
    "StepCompensated": "compensated",
    "StepLeftStanding": "withdrawn",
    "DeliveryRescheduled": "unknown",
    "EventAwaited": "completed",
    "DeliveryDropped": "withdrawn",
    "FunctionWaits": "completed",
}
#: Event type -> lane of the attempt that it begins.
BEGINS = {
    "StepDispatched": "do",
    "StepRescheduled": "do",
    "DeliveryDispatched": "do",
    "FunctionDispatched": "do",
    "DeliveryRescheduled": "do",
    "UndoDispatched": "undo",
    "UndoRescheduled": "undo",
    "ProbeDispatched": "",  # that of the attempt which it asks about
    "ReplyAwaited": "",
}
#: In seconds: what the axis may be divided by.
_NICE = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400, 604800)
#: Percent: what happened at once must still be seen.
_THINNEST = 0.5


@dataclass(frozen=True)
class Bar:
    """A stretch of time, in percent of the whole."""

    x: float
    width: float
    look: str
    lane: str
    title: str


@dataclass
class Line:
    """A step's attempts."""

    name: str
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True)
class Timeline:
    """A saga's lines over one axis."""

    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]


@dataclass
class _Open:
    """An attempt, or a question about it, that has begun, or will."""

    lane: str
    asked: datetime
    starts: datetime
    what: str


def timeline(
    names: Iterable[str],
    events: Iterable[Mapping[str, Any]],
    begin: datetime,
    end: datetime,
    untaken: Collection[str] = (),
) -> Timeline:
    """Draw the attempts that the events tell of; of the steps ``untaken`` no worker has begun with the last one."""
    whole = max((end - begin).total_seconds(), 0.05)
    lines = {name: Line(name) for name in names}
    opened: dict[str, _Open] = {}
    lanes: dict[str, str] = {}
    for event in events:
        name, at = event["step"], datetime.fromisoformat(event["at"])
        if name not in lines:
            continue
        if name in opened and (event["type"] in ENDS or event["type"] in BEGINS):
            lines[name].bars += _bars(opened.pop(name), at, ENDS.get(event["type"], "unknown"), begin, whole)
        if event["type"] in BEGINS:
            lanes[name] = BEGINS[event["type"]] or lanes.get(name, "do")
            opened[name] = _open(event, at, lanes[name])
    for name, left in opened.items():
        look = "waiting" if name in untaken else "running"
        lines[name].bars += _bars(left, max(end, left.asked), look, begin, whole)
    return Timeline(list(lines.values()), _ticks(whole))


def _open(event: Mapping[str, Any], at: datetime, lane: str) -> _Open:
    data = event["data"]
    due = data.get("due_at") or data.get("until")
    starts = max(at, datetime.fromisoformat(due)) if due else at
    if data.get("waiting") == "approval" and not due:
        starts = datetime.max.replace(tzinfo=at.tzinfo)  # nothing begins: it is for people
    what = "undo" if lane == "undo" else "action"
    named = f"what became of the {what}, time {data['probe']}" if "probe" in data else ""
    return _Open(lane, at, starts, named or f"{what}, try {data.get('attempt', 1)}")


def _bars(left: _Open, at: datetime, look: str, begin: datetime, whole: float) -> Iterator[Bar]:
    """Yield the wait before an attempt, if there was one, and the attempt, if it began."""
    began = min(left.starts, at)
    if began - left.asked > timedelta(milliseconds=50):
        yield _bar(left, left.asked, began, "waiting", begin, whole)
    if at >= left.starts:
        yield _bar(left, left.starts, at, look, begin, whole)


def _bar(left: _Open, start: datetime, end: datetime, look: str, begin: datetime, whole: float) -> Bar:
    x = max(0.0, min(99.5, 100 * (start - begin).total_seconds() / whole))
    width = max(_THINNEST, min(100 - x, 100 * (end - start).total_seconds() / whole))
    title = f"{left.what}: {look}, {span((end - start).total_seconds())}"
    return Bar(round(x, 2), round(width, 2), look, left.lane, title)


def _ticks(whole: float) -> list[tuple[float, str]]:
    step = next((n for n in _NICE if whole / n <= 6), _NICE[-1] * max(1, round(whole / _NICE[-1] / 6)))
    return [(round(100 * n * step / whole, 2), _label(n * step)) for n in range(int(whole / step) + 1)]


def _label(seconds: float) -> str:
    return f"{seconds:g} s" if 0 < seconds < 10 else span(seconds) if seconds else "0"
