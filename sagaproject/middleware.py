"""What is true of every page: its Content-Security-Policy, and that its address makes sense."""

from collections.abc import Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import BadRequest
from django.db import DataError
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
    """Answer that an address makes no sense where a NUL character in it is what the database has no room for.

    PostgreSQL says so when it is asked. This is for the admin's pages: the desk and the API see to it themselves.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        return get_response(request)

    def process_exception(request: HttpRequest, wrong: Exception) -> None:
        if isinstance(wrong, DataError) and "%00" in request.get_full_path():
            raise BadRequest("There is a NUL character in the address.") from wrong

    middleware.process_exception = process_exception
    if iscoroutinefunction(get_response):
        markcoroutinefunction(middleware)
    return middleware
