"""The banner of every page: why nothing moves."""

from typing import Any

from django import template
from django.db import DatabaseError

from sagas.dashboard.chrome import chrome

register = template.Library()


@register.inclusion_tag("sagas/_banner.html", takes_context=True)
def banner(context: dict[str, Any]) -> dict[str, Any]:
    """Look at the processes, unless the page's view has; for those who are logged in."""
    around = context.get("chrome")
    user = context.get("user")
    if around is None and user is not None and user.is_authenticated:
        try:
            around = chrome()
        except DatabaseError:  # the page itself says what is wrong then
            around = None
    return {"chrome": around}
