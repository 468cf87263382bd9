"""Checks of the project that Sagadesk stands in: its queues, its templates, and where the desk is to be found.

Workers need the first only, and start sooner without the others, which load what pages are made of.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.handlers.asgi import ASGIHandler
from django.template import TemplateDoesNotExist
from django.template.loader import get_template
from django.urls import get_resolver

from sagas import conf
from sagas.checks import TAG, check_settings

#: What the desk's pages ask the request, the user and his permissions, and what is to be said to him.
PROCESSORS = (
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
)


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
    """Find out whether pages and sockets of the desk are anywhere."""
    return [*_pages(), *_callbacks(), *_sockets()] if getattr(settings, "ROOT_URLCONF", None) else []


def _pages() -> Iterator[CheckMessage]:
    if not _is_mounted("saga-overview"):
        hint = 'Add path("ops/", include("sagas.dashboard.urls")) to urlpatterns, under any prefix.'
        yield Warning("ROOT_URLCONF does not have the desk's pages.", hint=hint, id="sagas.W018")


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
    from channels.routing import ProtocolTypeRouter, get_default_application  # a worker does without

    try:
        served = get_default_application()
    except Exception:  # not named, or not to be imported: whoever serves it says so
        return
    routed = served.application_mapping if isinstance(served, ProtocolTypeRouter) else None
    if isinstance(served, ASGIHandler) or (routed is not None and "websocket" not in routed):
        text = (
            f"{settings.ASGI_APPLICATION} answers no web sockets: the desk's pages do not follow their sagas."
        )
        hint = 'ProtocolTypeRouter({"http": …, "websocket": sagas.routing.live_socket})'
        yield Warning(text, hint=hint, id="sagas.W019")
