"""What a step's node says: its state in a word, how far it is, and what came of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sagas.dashboard.formats import compact, moment, span
from sagas.dashboard.timeline import BEGINS, ENDS
from sagas.dashboard.words import STATUS_GLYPHS, WAITS

#: Events after which a step asks for a person about its action; and those after which it does not any more.
ASKS = {"StepHeld", "StepOutcomeUnknown"}
MOVES = {*BEGINS, *ENDS}
#: For what a step waits whose queue an operator has paused.
QUEUE = "for its paused queue"


@dataclass(frozen=True)
class Said:
    """The words of a node. Times stand in braces."""

    glyph: str
    word: str
    note: str
    told: str
    undo_note: str
    undo_told: str


def said(step: Mapping[str, Any], *, forward: bool = True) -> Said:
    """Put a step of a snapshot into words; once its saga does not go ``forward``, what is pending never will run."""
    undoing = step["status"] == "compensating"
    progress = _progress(step) if step.get("direction") else _resting(step)
    word = _word(step, undoing=undoing)
    return Said(
        glyph="waiting" if word in {"waiting", "due"} else STATUS_GLYPHS.get(word, "info"),
        word=_unreached(step) if word == "pending" and not forward else word,
        note=_took(step) if undoing else progress.removeprefix("due").lstrip() or _took(step),
        told=_told(step, undoing=undoing),
        undo_note=f"{'waits ' if step.get('waiting') or progress == QUEUE else ''}{progress}"
        if undoing
        else "",
        undo_told=_error(step) if undoing else "",
    )


def _word(step: Mapping[str, Any], *, undoing: bool) -> str:
    """An undo under way says nothing new about the action, except that it may not have happened."""
    if undoing or step["status"] == "compensated":
        return "completed" if step.get("executed_at") else "unknown"
    if step.get("waiting") or step.get("queue_paused"):
        return "waiting"
    return "due" if _is_due(step) else str(step["status"])


def _is_due(step: Mapping[str, Any]) -> bool:
    """Whether the first attempt waits for a worker to take it: nothing is executed then."""
    begun = step.get("claimed") or step.get("attempt", 0) > 1 or step.get("probe")
    return step["status"] == "executing" and bool(step.get("scheduled")) and not begun


def _unreached(step: Mapping[str, Any]) -> str:
    """Say what became of a step that nobody began with before the saga turned back."""
    return "withdrawn" if step["dispatched_at"] else "never ran"


def _progress(step: Mapping[str, Any]) -> str:
    if step.get("waiting"):
        until = f" until {{{step['due_at']}}}" if step.get("due_at") else ""
        what = "its child" if step.get("awaits") else WAITS[step["waiting"]]
        return f"for {what}{until}"
    if step.get("silent_since"):
        return "its worker is silent"
    if step.get("queue_paused"):
        return QUEUE
    if step.get("probe"):
        asked = f"asking what became of it, {step['probe']} of {step['probe_budget']}"
        return asked if step.get("claimed") else f"{asked} at {{{step['due_at']}}}"
    tries = f"try {step['attempt']} of {step['budget']}" if step["attempt"] > 1 else ""
    if step.get("claimed"):
        return f"{tries}, {_where(step)}" if tries else _where(step)
    if step["attempt"] > 1 and step.get("due_at"):
        return f"{tries} at {{{step['due_at']}}}"
    return f"due {_where(step)}".rstrip() if step.get("scheduled") else tries


def _where(step: Mapping[str, Any]) -> str:
    """Say who has taken it, or where it waits until somebody does, and since when."""
    if step.get("claimed"):
        return f"since {{{step['claimed_at']}}} on {step['worker']}" if step.get("worker") else "running"
    return f"in queue {step['queue']} since {{{step['due_at']}}}" if step.get("queue") else ""


def stands(step: Mapping[str, Any]) -> str:
    """Say how the open command of a step stands, in a few words. Times stand in braces."""
    if step["silent_since"]:
        return "its worker is silent"
    if step["claimed"]:
        return f"running {_where(step)}"
    if step["waiting"] or not step["scheduled"]:
        return "open"
    return f"due at {{{step['due_at']}}}" if step["attempt"] > 1 else f"waiting {_where(step)}"


def _resting(step: Mapping[str, Any]) -> str:
    """Say what a function does between its runs, and that its first one is what the others come from."""
    if not step.get("function"):
        return ""
    if step.get("outline"):
        return "asks for the others as it runs"
    waits = "waits for its steps" if step["status"] == "executing" else ""
    earlier = f"{step['earlier']} earlier ones are not drawn" if step.get("earlier") else ""
    return ", ".join(filter(None, [waits, earlier]))


def _took(step: Mapping[str, Any]) -> str:
    """Say how long its action took; for what it had to wait for people is not its own time."""
    begin, end = moment(step.get("dispatched_at")), moment(step.get("executed_at"))
    if not begin or not end:
        return ""
    took, asked = (end - begin).total_seconds(), step.get("asked_seconds", 0)
    if step.get("approval"):
        return f"{span(took)} for a person"
    return f"{span(took - asked)}, {span(asked)} for a person" if asked else span(took)


def with_asked(
    steps: Sequence[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return steps with how long the action of each waited for a person, as far as the events go back."""
    done = {step["name"]: moment(step["executed_at"]) for step in steps}
    since: dict[str, datetime] = {}
    asked: dict[str, float] = {}
    for event in events:
        name, at = event["step"], moment(event["at"])
        if at is None or (end := done.get(name)) is None or at > end:
            continue
        if name in since and event["type"] in MOVES:
            asked[name] = asked.get(name, 0) + (at - since.pop(name)).total_seconds()
        if event["type"] in ASKS:
            since[name] = at
    return [{**step, "asked_seconds": asked.get(step["name"], 0)} for step in steps]


def _told(step: Mapping[str, Any], *, undoing: bool) -> str:
    if not undoing and step["status"] != "compensated" and (error := _error(step)):
        return error
    return compact(step["result"]) if step.get("result") not in (None, {}, []) else ""


def _error(step: Mapping[str, Any]) -> str:
    """Return what the attempt before came to; where a worker is silent, that needs the room."""
    return "" if step.get("silent_since") else str(step.get("error") or "")
