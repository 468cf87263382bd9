"""What all addresses of the API have in common: methods, identity, permission, JSON, errors."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from sagas.api.auth import identify
from sagas.api.problems import Problem, problem_for
from sagas.api.reading import check_length

#: Takes the request and what the address names; returns a JSON object, or a status and a JSON object.
Handler = Callable[..., Any]


def endpoint(*, public: bool = False, **methods: Handler) -> Callable[..., HttpResponse]:
    """Make the view of an address from a handler per method; closed to strangers unless it is ``public``."""
    if "GET" in methods:
        methods["HEAD"] = methods["GET"]

    @csrf_exempt  # identify() checks it, where a session and not a token speaks
    @transaction.non_atomic_requests  # the orchestrator's verbs are transactions of their own
    def view(request: HttpRequest, **named: str) -> HttpResponse:
        try:
            response = _response(_answer(request, methods, public, named))
        except Exception as raised:
            response = problem_for(raised).response()
        response.headers["Cache-Control"] = "no-store"
        return response

    return view


def _answer(request: HttpRequest, methods: Mapping[str, Handler], public: bool, named: dict[str, str]) -> Any:
    handler = methods.get(request.method or "")
    if handler is None:
        allowed = ", ".join(sorted(methods))
        message = f"{request.method} does not work here; {allowed} does."
        raise Problem(405, "method_not_allowed", message, headers={"Allow": allowed})
    check_length(request)
    if not public:
        identify(request)
    return handler(request, **named)


def _response(answer: Any) -> HttpResponse:
    status, body = answer if isinstance(answer, tuple) else (200, answer)
    return JsonResponse(body, status=status)


def needs(permission: str) -> Callable[[Handler], Handler]:
    """Let a handler only be called by users who have a permission of this app."""

    def wrap(handler: Handler) -> Handler:
        @wraps(handler)
        def checked(request: HttpRequest, **named: str) -> Any:
            if not request.user.has_perm(f"sagas.{permission}"):
                raise Problem(403, "forbidden", f"It needs the permission sagas.{permission}.")
            return handler(request, **named)

        return checked

    return wrap
