"""A saga's log: its events in order, with what operators did woven in where they did it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sagas import orchestrator
from sagas.dashboard.sentences import sentence
from sagas.models import OperatorAction

#: Entries that a page shows; older ones have pages of their own.
LONGEST = 400
_QUIET = frozenset({"at", "version", "data"})


@dataclass(frozen=True)
class Entry:
    """A line of the log."""

    at: Any
    tone: str
    text: str
    version: int
    sequence: int | None = None
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
    entries = [*map(_of_event, events), *map(_of_action, actions)]
    entries.sort(key=lambda e: (e.version, e.action is None, e.sequence or 0))
    first, last = (events[0]["sequence"], events[-1]["sequence"]) if events else (1, 0)
    return Log(entries, events, first, last)


def _of_event(event: Mapping[str, Any]) -> Entry:
    tone, text = sentence(event)
    detail = {
        k: v for k, v in (event["data"] or {}).items() if k not in _QUIET and v not in (None, "", [], {})
    }
    return Entry(
        at=event["at"],
        tone=tone,
        text=text,
        version=event["version"],
        sequence=event["sequence"],
        step=event["step"] or "",
        detail=detail or None,
    )


def _of_action(action: OperatorAction) -> Entry:
    return Entry(
        at=action.at,
        tone="person",
        text="",
        version=action.version_after,
        step=action.step or "",
        action=action,
    )
