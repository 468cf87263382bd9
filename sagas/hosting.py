"""Checks of the project that Sagadesk stands in: its queues, its templates, and where the desk is to be found.

Workers need the first only, and start sooner without the others, which load what pages are made of.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.handlers.asgi import ASGIHandler
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import NoReverseMatch, Resolver404, get_resolver, get_script_prefix, resolve
from django.utils.module_loading import import_string

from sagas import conf
from sagas.checks import TAG, check_settings, uncallable

#: What the desk's pages ask the request, the user and his permissions, and what is to be said to him.
PROCESSORS = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)
#: What gives the desk's views who is asking, and keeps what is to be said to him until the next page.
MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
)
#: Where sessions are kept in a table of the app's; other engines need none.
IN_TABLES = ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.cached_db")


@register(TAG)
def check_broker(**_: Any) -> list[CheckMessage]:
    """Find out whether it is said where Redis is, and in a way that leaves its client to us."""
    if check_settings():  # which say in which entry it is
        return []
    name = conf.settings().RQ
    entry = (getattr(settings, "RQ_QUEUES", None) or {}).get(name)
    hint = (
        f'RQ_QUEUES = {{"{name}": {{"URL": "redis://…", "SERIALIZER": "rq.serializers.JSONSerializer"}}, …}}'
    )
    if entry is None:
        text = f"RQ_QUEUES has no queue named {name}, which says where the Redis of all our queues is."
        return [Error(text, hint=hint, id="sagas.E014")]
    if "USE_REDIS_CACHE" in entry:
        text = f"RQ_QUEUES[{name!r}] borrows the cache's client, whose time-outs we would change."
        return [Error(text, hint=hint, id="sagas.E015")]
    return []


@register(TAG)
def check_time_zone(**_: Any) -> list[CheckMessage]:
    """Find out whether times are moments: due work is compared with the database's clock."""
    if settings.USE_TZ:
        return []
    text = "USE_TZ is False: times without a zone cannot be compared with the database's clock."
    return [Error(text, hint="USE_TZ = True; TIME_ZONE may be any.", id="sagas.E013")]


@register(Tags.templates)
def check_templates(**_: Any) -> list[CheckMessage]:
    """Find out whether the desk's templates are found, and given what they need."""
    try:
        template: Any = get_template("sagas/base.html")
        engine = template.backend.engine
    except TemplateDoesNotExist:
        hint = 'Say "APP_DIRS": True in TEMPLATES, or name the loader of app directories.'
        return [Error("The templates of the app sagas are not found.", hint=hint, id="sagas.E011")]
    missing = [name for name in PROCESSORS if name not in engine.context_processors]
    if not missing:
        return []
    text = f"The desk's pages need what TEMPLATES does not give them: {', '.join(missing)}."
    return [Error(text, hint="Add it to context_processors in OPTIONS.", id="sagas.E011")]


@register(Tags.urls)
def check_mounting(**_: Any) -> list[CheckMessage]:
    """Find out whether pages and sockets of the desk are anywhere, and have what they need."""
    return [*_pages(), *_callbacks(), *_sockets()] if getattr(settings, "ROOT_URLCONF", None) else []


def _pages() -> Iterator[CheckMessage]:
    if _is_mounted("saga-overview"):
        yield from (*_middleware(), *_apps(), *_login())
        return
    hint = 'Add path("ops/", include("sagas.dashboard.urls")) to urlpatterns, under any prefix.'
    yield Warning("ROOT_URLCONF does not have the desk's pages.", hint=hint, id="sagas.W018")


def _middleware() -> Iterator[CheckMessage]:
    given = [each for each in map(_imported, settings.MIDDLEWARE) if isinstance(each, type)]
    missing = [name for name in MIDDLEWARE if not any(issubclass(each, _imported(name)) for each in given)]
    if missing:
        text = f"The desk's pages need what MIDDLEWARE does not have: {', '.join(missing)}."
        hint = "Add it, in the order in which startproject writes it: sessions, auth, messages."
        yield Error(text, hint=hint, id="sagas.E018")


def _imported(path: str) -> Any:
    """Return what is at a path; None if it cannot be imported, which Django says when it serves."""
    try:
        return import_string(path)
    except Exception:  # a module of the project's own, which may raise anything
        return None


def _apps() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE in IN_TABLES and not apps.is_installed("django.contrib.sessions"):
        text = "Nobody can log in: INSTALLED_APPS lacks django.contrib.sessions, whose table keeps who did."
        hint = "Add it and migrate, or choose another SESSION_ENGINE."
        yield Error(text, hint=hint, id="sagas.E019")
    if not apps.is_installed("django.contrib.staticfiles"):
        text = "INSTALLED_APPS lacks django.contrib.staticfiles, which finds the desk's styles and scripts."
        hint = "Add it; it is what collectstatic belongs to."
        yield Warning(text, hint=hint, id="sagas.W022")


def _login() -> Iterator[CheckMessage]:
    """Follow LOGIN_URL, to which whoever is nobody yet is sent."""
    hint = 'Name a page where your people log in, as LOGIN_URL = "admin:login".'
    try:
        url = urlsplit(resolve_url(settings.LOGIN_URL))
    except (NoReverseMatch, TypeError):
        text = f"LOGIN_URL is {settings.LOGIN_URL!r}, and no page has that name: who is not logged in gets an error."
        yield Error(text, hint=hint, id="sagas.E020")
        return
    if url.netloc:
        return  # another site's
    try:
        resolve("/" + url.path.removeprefix(get_script_prefix()).removeprefix("/"))
    except Resolver404:
        text = f"LOGIN_URL leads to {url.path}, and ROOT_URLCONF has no such page."
        hint += ' Where a proxy serves that one, say SILENCED_SYSTEM_CHECKS = ["sagas.W021"].'
        yield Warning(text, hint=hint, id="sagas.W021")


def _callbacks() -> Iterator[CheckMessage]:
    if check_settings():  # which say where answers are awaited
        return
    if conf.settings().CALLBACK_URL and not _is_mounted("api-callback"):
        text = "SAGAS['CALLBACK_URL'] is set, but ROOT_URLCONF does not have the API that callbacks go to."
        hint = 'Add path("api/v1/", include("sagas.api.urls")) to urlpatterns, under any prefix.'
        yield Error(text, hint=hint, id="sagas.E012")


def _is_mounted(name: str) -> bool:
    return name in get_resolver().reverse_dict


def _sockets() -> Iterator[CheckMessage]:
    """Look at what is served where that can be told: a router of Channels, or Django alone."""
    from channels.routing import ProtocolTypeRouter  # a worker does without

    path = getattr(settings, "ASGI_APPLICATION", None)
    if not path:
        return  # WSGI serves it
    if wrong := uncallable(path):
        text = f"ASGI_APPLICATION: {path} {wrong}."
        hint = 'Name what a module has that calls get_asgi_application(), as "mysite.asgi.application".'
        yield Warning(text, hint=hint, id="sagas.W023")
        return
    served = import_string(path)
    routed = served.application_mapping if isinstance(served, ProtocolTypeRouter) else None
    if isinstance(served, ASGIHandler) or (routed is not None and "websocket" not in routed):
        text = (
            f"{settings.ASGI_APPLICATION} answers no web sockets: the desk's pages do not follow their sagas."
        )
        hint = 'ProtocolTypeRouter({"http": …, "websocket": sagas.routing.live_socket})'
        yield Warning(text, hint=hint, id="sagas.W019")
