"""Who may open a socket: pages of our own origin. A browser sends its cookies along with any other site's, too."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

App = Callable[..., Any]
Scope = dict[str, Any]


def same_origin(app: App) -> App:
    """Refuse sockets that another site's page opens; the browser would send our cookie along."""

    async def inner(scope: Scope, receive: App, send: App) -> None:
        await (app if _trusted(scope) else WebsocketDenier())(scope, receive, send)

    return inner


def _trusted(scope: Scope) -> bool:
    """Same host and port as the request's own, as for a form's post, or one of the trusted origins."""
    headers = {name: value.decode("latin1") for name, value in scope["headers"]}
    host, origin = headers.get(b"host", ""), headers.get(b"origin", "")
    allowed = validate_host(split_domain_port(host)[0], _hosts())
    try:
        own = urlsplit(origin).netloc == host
    except ValueError:  # no browser says that
        return False
    return allowed and (own or origin in settings.CSRF_TRUSTED_ORIGINS)


def _hosts() -> list[str]:
    """Return the hosts that requests may name, as Django has it: with DEBUG, none named means this machine's."""
    if settings.DEBUG and not settings.ALLOWED_HOSTS:
        return [".localhost", "127.0.0.1", "[::1]"]
    return list(settings.ALLOWED_HOSTS)
