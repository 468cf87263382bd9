"""Numbers as they come from a form, or from an address."""

from typing import Any

from sagas.orchestrator import Invalid


def whole(text: str, most: int) -> int | None:
    """Read a number of plain digits; None for what is none, or more than that."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        return None  # Python itself reads no number of thousands of digits
    return int(text) if int(text) <= most else None


def number_of(field: str, text: str, kind: type[Any]) -> Any:
    """Read a number; None where nothing stands. Raises Invalid for what is none: a page of ours sends no such thing."""
    if not text.strip():
        return None
    try:
        return kind(text)
    except ValueError:
        raise Invalid(field, "must be a number; load the page again") from None


def typed(field: str, text: str, kind: type[Any], wanted: str = "a number") -> Any:
    """Read a number that a person typed. Raises Invalid for what is none, and says what was wanted."""
    try:
        return kind(text)
    except ValueError:
        raise Invalid(field, f"must be {wanted}, not {text!r}") from None
