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


def asked_text(approver: str | None, people: int) -> str:
    """Say who is asked, and how many of them."""
    return f"asks {f'{people} people of ' if people > 1 else ''}{approver_text(approver)}"
