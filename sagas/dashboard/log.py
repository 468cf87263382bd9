"""A saga's log: its events in order, with what operators did woven in where they did it.

What one transition decided about a function and its steps is one thing to a reader, and is one line: it asks for a step
that is due then, and it hears of a verdict. The line's details have each event.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from sagas import orchestrator
from sagas.dashboard.sentences import sentence
from sagas.models import OperatorAction

#: Entries that a page shows; older ones have pages of their own.
LONGEST = 400
_QUIET = frozenset({"at", "version", "data"})
_VERDICTS = frozenset({"StepCompleted", "StepFailed", "StepSkipped"})


@dataclass(frozen=True)
class Entry:
    """A line of the log."""

    at: Any
    tone: str
    text: str
    version: int
    sequence: int | None = None
    numbers: str = ""
    """Of the events that it tells, as people count them."""
    step: str = ""
    detail: Mapping[str, Any] | None = None
    action: OperatorAction | None = None


@dataclass(frozen=True)
class Log:
    """A part of a saga's log, oldest entry first."""

    entries: Sequence[Entry]
    raw: Sequence[Mapping[str, Any]]
    begins: int
    """The first event's sequence; above 1 there are older ones."""
    ends: int


def log_of(events: Sequence[Mapping[str, Any]], actions: Sequence[OperatorAction]) -> Log:
    """Return the end of a saga's log, of its latest events. An action stands before the events that it caused."""
    oldest = events[0]["version"] if events else 0
    return _woven(events, [action for action in actions if action.version_after >= oldest])


def older_log(saga_id: UUID, before: int) -> Log:
    """Return the part of a saga's log that ends before the event of that number."""
    after = max(0, before - 1 - LONGEST)
    events = orchestrator.events(saga_id, after=after, limit=min(LONGEST, max(0, before - 1 - after)))
    versions = [event["version"] for event in events] or [0]
    actions = OperatorAction.objects.filter(
        saga_id=saga_id, version_after__gte=versions[0], version_after__lte=versions[-1]
    )
    return _woven(events, list(actions.defer("answer")))


def _woven(events: Sequence[Mapping[str, Any]], actions: Sequence[OperatorAction]) -> Log:
    told = [_of_events(line) for _, each in groupby(events, itemgetter("version")) for line in _lines(each)]
    entries = [*told, *map(_of_action, actions)]
    entries.sort(key=_place)
    first, last = (events[0]["sequence"], events[-1]["sequence"]) if events else (1, 0)
    return Log(entries, events, first, last)


def _place(entry: Entry) -> tuple[int, int, int]:
    """An action stands before the events that it caused; behind those of its version, if it caused none."""
    caused = entry.action is not None and entry.action.version_after > entry.action.version_before
    return entry.version, 0 if caused else 2 if entry.action is not None else 1, entry.sequence or 0


def _lines(events: Iterable[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Put the events of one transition into lines."""
    lines: list[list[Mapping[str, Any]]] = []
    for event in events:
        if lines and _belongs(event, lines[-1][0]["type"]):
            lines[-1].append(event)
        else:
            lines.append([event])
    return lines


def _belongs(event: Mapping[str, Any], first: str) -> bool:
    """Whether an event goes without saying after that one."""
    if first == "SagaGrown":
        return event["type"] in {"FunctionWaits", "StepDispatched"}
    return first in _VERDICTS and event["type"] == "FunctionDispatched"


def _of_events(line: Sequence[Mapping[str, Any]]) -> Entry:
    first = line[0]
    tone, text = sentence(first)
    waits = [each for each in line[1:] if each["type"] == "StepDispatched" and each["data"].get("waiting")]
    more = [sentence(each)[1] for each in waits]
    if line[-1]["type"] == "FunctionDispatched" and len(line) > 1:
        more.append("The function is to hear of it.")
    details = {f"{each['sequence']} {each['type']}": _detail(each) for each in line}
    last = line[-1]["sequence"]
    return Entry(
        at=first["at"],
        tone=tone,
        text=" ".join([text, *more]),
        version=first["version"],
        sequence=first["sequence"],
        numbers=f"{first['sequence']}–{last}" if len(line) > 1 else str(last),
        step=first["step"] or "",
        detail=(details if len(line) > 1 else _detail(first)) or None,
    )


def _detail(event: Mapping[str, Any]) -> dict[str, Any]:
    data = event["data"] or {}
    return {k: v for k, v in data.items() if k not in _QUIET and v not in (None, "", [], {})}


def _of_action(action: OperatorAction) -> Entry:
    return Entry(
        at=action.at,
        tone="person",
        text="",
        version=action.version_after,
        step=action.step or "",
        action=action,
    )
