"""The order saga as every engine runs it: four steps that each return a small dict; the third may be refused.

Standard library only: it is imported in each peer's own environment.
"""

from typing import Any

STEPS = ("reserve", "charge", "ship", "notify")
#: What is undone, in this order, once the third step is refused.
UNDONE = ("charge", "reserve")
HAPPY, COMPENSATING = "happy", "compensating"


class Refused(Exception):
    """The carrier says no."""


def act(step: str, order: str, variant: str) -> dict[str, Any]:
    """Do a step: nothing but its answer."""
    if step == "ship" and variant == COMPENSATING:
        raise Refused("the carrier does not serve this address")
    return {"step": step, "order": order}


def undo(step: str, order: str) -> dict[str, Any]:
    """Undo a step: nothing but its answer."""
    return {"undone": step, "order": order}
