"""When a verb applies to a choreography: the table of its page, as the oracle reads it."""

from typing import TYPE_CHECKING, Any

from ..books import name_of
from ..verbs import claimed, remaps
from .score import ASKING, END, UNTAKEN, Score

if TYPE_CHECKING:
    from .bus import Bus


def applies(score: Score, world: "Bus", verb: Any) -> bool:
    """Whether an operator may do this now."""
    kind, row = name_of(verb), world.progress.steps.get(getattr(verb, "step", ""))
    if row and score.asks_of_late(row.name) and kind in {"Resolve", "Retry", "Skip"}:
        return kind == "Resolve" and bool(verb.outcome != "none")
    if score.ended or kind in {"Approve", "Reject"} or (row and claimed(world, row)):
        return False
    match kind:
        case "Retry":
            return _retry(score, row)
        case "Skip":
            queued = score.place[verb.step] in {"queued", *UNTAKEN}
            return verb.step != END and queued and score.open.get(verb.step) not in score.doubt
        case "Resolve":
            return _resolve(score, verb)
        case "Compensate":
            return _compensate(score, world)
        case "Edit":
            return not any(row.token for row in world.due.values())
        case "Remap":
            return remaps(world, verb.names)
        case _:
            return bool(world.progress.paused) == (kind == "Resume")


def _retry(score: Score, row: Any) -> bool:
    place = score.place[row.name]
    if row.name == END:
        return place in ASKING
    may = place in ASKING or (place == "sent" and row.attempt > 1)
    return may and not score.in_the_way(row.name)


def _resolve(score: Score, verb: Any) -> bool:
    place, number = score.place[verb.step], score.open.get(verb.step)
    if place not in ASKING and number not in score.doubt:
        return False
    if verb.step == END:
        event = (verb.result or {}).get("event") or score.ending
        possible = score.failed if score.turned else score.endings
        waits = score.ending is not None and bool(score.under_way)
        return verb.outcome == "done" and event in possible and not waits
    return verb.outcome == "done" or (
        verb.outcome == "none" and place in {"sent", "parked", "expected", "overdue"}
    )


def _compensate(score: Score, world: "Bus") -> bool:
    may_end = any(
        claimed(world, world.progress.steps[step])
        for step, part in score.parts.items()
        if {*part.get("publishes", ()), *part.get("may_publish", ())} & score.completed
    )
    return bool(score.compensation) and not (score.turned or score.ending or may_end)
