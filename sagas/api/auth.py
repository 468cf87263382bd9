"""Who is asking: a bearer token, or the browser's session."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from sagas.api.problems import Problem
from sagas.models import Token
from sagas.models.token import CHALLENGE, UnknownToken

_SAFE = frozenset({"GET", "HEAD"})


def identify(request: HttpRequest) -> None:
    """Set ``request.user`` to whoever is asking. Raises a 401, or a 403 for a session without its CSRF token.

    A bearer token that is given is the only thing that counts; no browser sends it by itself,
    so it needs no CSRF token. A session does, for whatever may change something.
    """
    try:
        owner = Token.bearer(request.headers.get("Authorization", ""))
    except UnknownToken as unknown:
        raise _unauthenticated("This token is not known.", unknown.challenge) from None
    if owner is not None:
        request.user = owner
    elif not request.user.is_authenticated:
        raise _unauthenticated("Send Authorization: Bearer <token>, or log in.", CHALLENGE)
    elif request.method not in _SAFE:
        _check_csrf(request)


def _unauthenticated(message: str, challenge: str) -> Problem:
    return Problem(401, "unauthenticated", message, headers={"WWW-Authenticate": challenge})


class _Check(CsrfViewMiddleware):
    """Django's own check, saying what is wrong instead of rendering a page."""

    def _reject(self, request: HttpRequest, reason: str) -> Any:
        return reason


def _check_csrf(request: HttpRequest) -> None:
    check = _Check(lambda _: HttpResponse())
    check.process_request(request)
    reason = check.process_view(request, lambda _: HttpResponse(), (), {})
    if reason:
        raise Problem(403, "csrf_failed", f"A session needs its CSRF token in X-CSRFToken. {reason}")
