"""A saga's log: its events in order, with what operators did woven in where they did it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sagas import orchestrator
from sagas.dashboard.sentences import sentence
from sagas.models import OperatorAction

#: Entries that a page shows; the API has them all.
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
    """A saga's latest entries, oldest first."""

    entries: Sequence[Entry]
    raw: Sequence[Mapping[str, Any]]
    begins: int
    """The first event's sequence; above 1 there are older ones."""


def log_of(saga_id: UUID, sequence: int, actions: Sequence[OperatorAction]) -> Log:
    """Return the saga's log. An action stands before the events that it caused."""
    events = orchestrator.events(saga_id, after=max(0, sequence - LONGEST), limit=LONGEST)
    oldest = events[0]["version"] if events else 0
    entries = [_of_event(event) for event in events]
    entries += [_of_action(action) for action in actions if action.version_after >= oldest]
    entries.sort(key=lambda e: (e.version, e.action is None, e.sequence or 0))
    return Log(entries, events, events[0]["sequence"] if events else 1)


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
