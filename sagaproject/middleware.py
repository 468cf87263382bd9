"""What is true of every page: its Content-Security-Policy, and that its address makes sense."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import sync_and_async_middleware

#: Scripts and styles come from our own files only, so a payload that slips into a page as markup stays inert.
#: 'self' covers the WebSocket too.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

#: django-rq's pages carry inline scripts and styles. Only superusers see them.
POLICY_FOR_RQ = POLICY.replace("-src 'self';", "-src 'self' 'unsafe-inline';", 2)


@sync_and_async_middleware
def content_security_policy(get_response: Callable):
    """Add the policy to each response; async as well as sync, so that no request changes threads for it."""

    def with_policy(request: HttpRequest, response: HttpResponse) -> HttpResponse:
        policy = POLICY_FOR_RQ if request.path.startswith("/django-rq/") else POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response

    if iscoroutinefunction(get_response):

        async def middleware(request: HttpRequest) -> HttpResponse:
            return with_policy(request, await get_response(request))
    else:

        def middleware(request: HttpRequest) -> HttpResponse:
            return with_policy(request, get_response(request))

    return middleware


@sync_and_async_middleware
def no_nul(get_response: Callable):
    """Refuse an address with a NUL character in it: PostgreSQL has no room for one, so looking it up would be an error.

    The API says itself which of its parameters holds it.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        if "%00" in request.get_full_path() and not request.path.startswith("/api/"):
            raise BadRequest("There is a NUL character in the address.")
        return get_response(request)

    if iscoroutinefunction(get_response):
        markcoroutinefunction(middleware)
    return middleware
