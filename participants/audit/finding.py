"""What the auditor says of a row."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A row that is not as it should be, or that a person made so."""

    check: str
    row: str
    text: str
    saga: str | None = None
