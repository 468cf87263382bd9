"""Who is asking: a bearer token, or the browser's session."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware

from sagas.api.problems import Problem
from sagas.models import Token

_SAFE = frozenset({"GET", "HEAD"})


def identify(request: HttpRequest) -> None:
    """Set ``request.user`` to whoever is asking. Raises a 401, or a 403 for a session without its CSRF token.

    A bearer token that is given is the only thing that counts; no browser sends it by itself,
    so it needs no CSRF token. A session does, for whatever may change something.
    """
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        request.user = _owner(text.strip())
    elif not request.user.is_authenticated:
        raise _unknown("Send Authorization: Bearer <token>, or log in.")
    elif request.method not in _SAFE:
        _check_csrf(request)


def _owner(text: str) -> Any:
    # Looked up by its hash: how long that takes tells nothing about the text.
    token = Token.objects.select_related("user").filter(digest=Token.digest_of(text)).first()
    if token is None or not token.user.is_active:
        raise _unknown("This token is not known.", error="invalid_token")
    return token.user


def _unknown(message: str, error: str = "") -> Problem:
    challenge = 'Bearer realm="sagadesk"' + (f', error="{error}"' if error else "")
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
