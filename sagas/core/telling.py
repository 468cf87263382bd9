"""How people are told of what is stored as a code: a moment, and who may answer."""

from datetime import UTC, datetime


def in_utc(moment: datetime) -> str:
    """Write a moment out, where the reader's zone is not known."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def approver_text(approver: str | None) -> str:
    """Say who may answer an approval."""
    kind, _, name = (approver or "").partition(":")
    return f"the group {name}" if kind == "group" else f"whoever has the permission {name}"
