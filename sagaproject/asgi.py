"""The web process: pages by Django, the live socket by Channels, static files from the apps' folders."""

import os
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagaproject.settings")
os.environ.setdefault("SAGADESK_CONN_MAX_AGE", "600")  # a request's thread outlives it

from django.core.asgi import get_asgi_application

django = get_asgi_application()  # sets Django up: what follows may import models

from channels.routing import ProtocolTypeRouter
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse

from sagaproject.seats import in_turns
from sagas.routing import live_socket

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


application = without_root_path(
    ProtocolTypeRouter(
        {
            "http": in_turns(StaticFiles(django)),
            "websocket": live_socket,
        }
    )
)
