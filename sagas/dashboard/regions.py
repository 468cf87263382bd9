"""The parts of a page that change while it is open, and what their partials need.

A page and a push render the same partials from the same context, so they cannot disagree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from sagas import orchestrator
from sagas.core.commands import idempotency_key
from sagas.core.words import TERMINAL, Direction
from sagas.dashboard import overview as figures
from sagas.dashboard.alerts import others, with_alerts
from sagas.dashboard.beside import Beside, beside
from sagas.dashboard.buttons import last_buttons, verb_buttons
from sagas.dashboard.chrome import chrome
from sagas.dashboard.formats import known_as
from sagas.dashboard.graph import draw, latest
from sagas.dashboard.log import LONGEST, log_of
from sagas.dashboard.nodes import stands, with_asked
from sagas.dashboard.sequence import sequence
from sagas.dashboard.timeline import timeline
from sagas.dashboard.words import why_glyph
from sagas.models import IMPORT, Saga
from sagas.orchestrator import Bars

#: Regions of a saga's page -> their partials.
SAGA_REGIONS = {
    "head": "sagas/_head.html",
    "why": "sagas/_why.html",
    "graph": "sagas/_picture.html",
    "timeline": "sagas/_timeline.html",
    "verbs": "sagas/_verbs.html",
    "log": "sagas/_log.html",
    "commands": "sagas/_commands.html",
    "data": "sagas/_data.html",
    "people": "sagas/_people.html",
    "raw": "sagas/_raw.html",
}
OVERVIEW_REGIONS = {
    "attention": "sagas/_attention.html",
    "counts": "sagas/_counts.html",
    "hour": "sagas/_hour.html",
    "processes": "sagas/_processes.html",
    "recent": "sagas/_recent.html",
}


def overview_context() -> dict[str, Any]:
    """Return what the overview's regions need."""
    around = chrome()
    groups, counted = orchestrator.attention_groups(), figures.counts()
    return {
        "chrome": around,
        "groups": with_alerts(groups[: figures.LISTED]),
        "others": groups[figures.LISTED :],
        "alerts": others(figures.LISTED),
        "needing": counted.pop("attention"),
        "counts": counted.values(),
        "hour": figures.hour(),
        "health": around.health,
        "undelivered": with_alerts(figures.failing()[: figures.LISTED]),
        "recent": figures.recent(),
    }


@dataclass(frozen=True)
class CommandLine:
    """One command of a saga: its name, its key, and how far it is."""

    step: str
    direction: str
    name: str
    key: str
    earlier: int
    attempt: int | None
    state: str


def saga_contexts(
    sagas: Sequence[Saga], allowed: frozenset[str], barred: Bars = frozenset()
) -> Iterator[dict[str, Any]]:
    """Yield what the regions of each saga's page need; the number of queries does not depend on how many they are.

    ``allowed`` are the verbs of who looks, ``barred`` what of these they may not answer all the same.
    """
    events, around = orchestrator.latest_events(sagas, LONGEST), beside(sagas)
    for saga, snapshot in zip(sagas, orchestrator.snapshots(sagas), strict=True):
        seen = orchestrator.personal(snapshot, allowed, barred)
        context = _context(saga, seen, events[saga.pk], around[saga.pk])
        yield {**context, "lacks": _lacks(snapshot["why"], seen["why"], allowed)}


def _lacks(why: Mapping[str, Any], seen: Mapping[str, Any], allowed: frozenset[str]) -> list[str]:
    """Return the permissions for what would help a saga that asks for somebody, of whom may use none of it."""
    if why["kind"] != "attention" or seen["verbs"]:
        return []
    missing = (each["verb"] for each in why["verbs"] if each["verb"] not in allowed)
    return list(dict.fromkeys(orchestrator.permission(verb) for verb in missing))


def _context(
    saga: Saga,
    snapshot: dict[str, Any],
    events: Sequence[Mapping[str, Any]],
    around: Beside,
) -> dict[str, Any]:
    log = log_of(events, around.actions)
    end = saga.finished_at or timezone.now()
    over = saga.state in TERMINAL
    drawn_to = end if any(step["scheduled"] for step in snapshot["steps"]) else saga.updated_at
    return {
        "saga": saga,
        "title": _title(saga),
        "snapshot": snapshot,
        "why": snapshot["why"],
        "why_glyph": why_glyph(snapshot["why"]["kind"], saga.state),
        "asks": [step["asked"] for step in snapshot["steps"] if step["asked"] and step["direction"]],
        "graph": draw(latest(with_asked(snapshot["steps"], log.raw)), saga.state),
        "sequence": sequence(snapshot["steps"], log.raw),
        "timeline": timeline(
            _begun(snapshot["steps"]), log.raw, saga.created_at, drawn_to, _untaken(snapshot["steps"])
        ),
        "verbs": last_buttons(snapshot) if over else verb_buttons(snapshot["verbs"]),
        "log": log.entries,
        "log_begins": log.begins,
        "commands": _commands(saga.pk, snapshot["steps"]),
        "late": around.late,
        "actions": around.actions,
        "related": around.related,
        "seconds": (end - saga.created_at).total_seconds(),
        "over": over,
    }


def _title(saga: Saga) -> str:
    """Return what the browser's tab says; a mark before it where a person is needed, to find it among many."""
    mark = "▲ " if saga.attention and saga.origin_kind != IMPORT else ""
    return f"{mark}{known_as(saga.correlation_id)} {saga.state} · Sagadesk"


def _begun(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the steps that have a line in time: all, but in a choreography those that something was delivered to."""
    return [s["name"] for s in steps if s["on"] is None or s["event"]]


def _untaken(steps: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the steps that are due, now or later, and that no worker has taken."""
    return frozenset(s["name"] for s in steps if s["scheduled"] and not s["claimed"] and not s["waiting"])


def _commands(saga_id: UUID, steps: list[dict[str, Any]]) -> list[CommandLine]:
    """Return every command that was sent, latest key first known."""
    lines = []
    for step in steps:
        sent = ((Direction.DO, "action", "generation"), (Direction.UNDO, "compensation", "undo_generation"))
        for direction, name, generation in sent:
            count = step[generation]
            if not count or not step[name]:
                continue
            is_open = step["direction"] == direction.value
            lines.append(
                CommandLine(
                    step=step["name"],
                    direction=direction.value,
                    name=step[name],
                    key=idempotency_key(saga_id, step["name"], direction, count),
                    earlier=count - 1,
                    attempt=step["attempt"] if is_open else None,
                    state=stands(step) if is_open else "closed",
                )
            )
    return lines
