"""What a step was called with so far: whoever settles it, or tries it again, looks that up at its participant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: The verbs before which one wants to know it.
LOOKED_UP = frozenset({"retry", "skip", "resolve"})


@dataclass(frozen=True)
class Called:
    """The calls of one step."""

    keys: Sequence[tuple[str, str]]
    """Each command with its idempotency key, the latest first."""
    attempts: str
    error: str


def called(step: Mapping[str, Any] | None) -> Called | None:
    """Return what a step of a snapshot was called with; None if no participant was."""
    if step is None or not step["key"] or _calls_nobody(step):
        return None
    keys = {step["key"]: step["action"]}
    if step["late_key"]:
        keys.setdefault(step["late_key"], f"{step['action']}, which came late")
    if step["undo_key"] and step["compensation"]:
        keys[step["undo_key"]] = step["compensation"]
    return Called(
        keys=[(command, key) for key, command in reversed(keys.items())],
        attempts=f"{step['attempt']} of {step['budget']}",
        error=step["error"] or "",
    )


def _calls_nobody(step: Mapping[str, Any]) -> bool:
    ends = step["expects"] and not step["by"]
    return bool(step["function"] or step["approval"] or step["timer"] or ends)
