"""What states, statuses and attention codes are called where people read them, and which glyph stands for each."""

from collections.abc import Mapping

#: State -> what it means, for those who hover.
STATES: Mapping[str, str] = {
    "started": "recorded, nothing is dispatched yet",
    "pending": "waiting for its steps",
    "compensating": "rolling back",
    "completed": "all steps succeeded",
    "failed": "rolled back, and done with it",
}

#: Attention code -> (what is the matter, what a person can do about it).
ATTENTION: Mapping[str, tuple[str, str]] = {
    "late_effect": ("an effect came too late", "undo it with Roll back, or settle it as waived"),
    "compensation_failed": ("an undo keeps failing", "try it again, or settle it by hand"),
    "expectation_missed": ("an expectation was missed", "look at what the participant did"),
    "misconfigured": ("the call itself is wrong", "mend what its error says, then retry"),
    "no_handler": ("nobody handles a command", "deploy its handler, then retry"),
    "cannot_undo": ("cannot be undone", "take care of it outside, then settle it by hand"),
    "outcome_unknown": ("an outcome is unknown", "ask the participant, then settle it by hand"),
    "retries_spent": ("retries are spent", "retry, skip or roll back"),
    "held": ("held for a decision", "retry, skip or roll back"),
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


def approver_text(approver: str | None) -> str:
    """Say who may answer an approval."""
    kind, _, name = (approver or "").partition(":")
    return f"the group {name}" if kind == "group" else f"whoever has the permission {name}"


def asked_text(approver: str | None, people: int) -> str:
    """Say who is asked, and how many of them."""
    return f"asks {f'{people} people of ' if people > 1 else ''}{approver_text(approver)}"


def attention_text(code: str | None) -> str:
    """Say what is the matter."""
    return ATTENTION.get(code or "", ((code or "").replace("_", " "), ""))[0]


def attention_hint(code: str | None) -> str:
    """Say what a person can do about it."""
    return ATTENTION.get(code or "", ("", ""))[1]
