"""What states, statuses and attention codes are called where people read them, and which glyph stands for each."""

from collections.abc import Mapping

from sagas.core.telling import approver_text as approver_text

#: State -> what it means, for those who hover.
STATES: Mapping[str, str] = {
    "started": "recorded, nothing is dispatched yet",
    "pending": "waiting for its steps",
    "compensating": "rolling back",
    "completed": "all steps succeeded",
    "failed": "rolled back, and done with it",
}

#: Kind of waiting -> for what, in the middle of a sentence.
WAITS: Mapping[str, str] = {"approval": "an approval", "reply": "a reply", "timer": "its time"}

#: Step status -> glyph in the sprite.
STATUS_GLYPHS: Mapping[str, str] = {
    "pending": "started",
    "executing": "pending",
    "completed": "completed",
    "failed": "cross",
    "compensating": "compensating",
    "compensated": "failed",
    "skipped": "skipped",
}

#: Kind of why a saga does not move -> the glyph before it, where its line is not just to be known.
WHY_GLYPHS: Mapping[str, str] = {
    "attention": "attention",
    "unanswerable": "attention",
    "stuck": "attention",
    "paused": "paused",
}


def why_glyph(kind: str, state: str) -> str:
    """Return the glyph before the line that says why a saga of this state does not move."""
    return state if kind == "over" else WHY_GLYPHS.get(kind, "info")


def asked_text(approver: str | None, people: int) -> str:
    """Say who is asked, and how many of them."""
    return f"asks {f'{people} people of ' if people > 1 else ''}{approver_text(approver)}"
