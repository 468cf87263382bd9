"""Who may see the desk, which addresses make sense, and how its pages are answered."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from sagas.dashboard.rendering import rendered
from sagas.orchestrator import SEE

View = Callable[..., HttpResponse]
#: How a NUL character is written in an address. PostgreSQL has no room for one: no text of ours could match.
NUL = "%00"


def desk(view: View) -> View:
    """Open a page to those who may see sagas; ask others to log in, or refuse.

    An address with a NUL character in it is told to make no sense, on every database.
    """

    @wraps(view)
    def closed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not request.user.has_perm(SEE):
            raise PermissionDenied("Your account may not see sagas. An administrator can grant it.")
        if NUL in request.get_full_path():
            return page(request, "sagas/senseless.html", {}, status=400)
        return view(request, *args, **kwargs)

    return closed


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a page of the desk."""
    response = HttpResponse(rendered(template, context, request), status=status)
    response.headers["Cache-Control"] = (
        "no-store"  # what a browser keeps of a saga would be stale, and shared
    )
    return response
