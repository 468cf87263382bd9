"""The web process: pages by Django, the live socket by Channels, static files from the apps' folders."""

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
os.environ.setdefault("SAGADESK_CONN_MAX_AGE", "600")  # a request's thread outlives it

from django.core.asgi import get_asgi_application

django = get_asgi_application()  # sets Django up: what follows may import models

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host

from sagaproject.seats import in_turns
from sagas.routing import websocket_urlpatterns

App = Callable[..., Any]
Scope = dict[str, Any]


class StaticFiles(ASGIStaticFilesHandler):
    """Serves them with no step of its own; a browser asks each time, and mostly hears 304."""

    def serve(self, request: HttpRequest) -> HttpResponse:
        try:
            response = super().serve(request)
        except SuspiciousOperation as refused:  # a path that climbs out of the folders
            raise Http404 from refused
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def without_root_path(app: App) -> App:
    """Ignore the Daphne-Root-Path header: with it, any client could move every link and redirect."""

    async def inner(scope: Scope, receive: App, send: App) -> None:
        await app({**scope, "root_path": ""} if "root_path" in scope else scope, receive, send)

    return inner


def same_origin(app: App) -> App:
    """Refuse sockets that another site's page opens; the browser would send our cookie along."""

    async def inner(scope: Scope, receive: App, send: App) -> None:
        await (app if _trusted(scope) else WebsocketDenier())(scope, receive, send)

    return inner


def _trusted(scope: Scope) -> bool:
    """Same host and port as the request's own, as for a form's post, or one of the trusted origins."""
    headers = {name: value.decode("latin1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    allowed = validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)
    try:
        own = urlsplit(origin).netloc == host
    except ValueError:  # no browser says that
        return False
    return allowed and (own or origin in settings.CSRF_TRUSTED_ORIGINS)


application = without_root_path(
    ProtocolTypeRouter(
        {
            "http": in_turns(StaticFiles(django)),
            "websocket": same_origin(AuthMiddlewareStack(URLRouter(websocket_urlpatterns))),
        }
    )
)
