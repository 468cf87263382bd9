"""Numbers as they come from a form."""

from typing import Any

from sagas.orchestrator import Invalid


def number_of(field: str, text: str, kind: type[Any]) -> Any:
    """Read a number; None where nothing stands. Raises Invalid for what is none: a page of ours sends no such thing."""
    if not text.strip():
        return None
    try:
        return kind(text)
    except ValueError:
        raise Invalid(field, "must be a number; load the page again") from None
