"""The rail's count of what waits for this person."""

from typing import Any

from django import template
from django.db import DatabaseError

from sagas.dashboard.approvals import count

register = template.Library()


@register.inclusion_tag("sagas/_approvals_count.html", takes_context=True)
def approvals_count(context: dict[str, Any]) -> dict[str, Any]:
    """Count the open approvals that the user may answer."""
    try:
        return count(context["user"])
    except DatabaseError:  # the page itself says what is wrong then
        return {"count": 0}
