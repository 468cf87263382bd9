"""What the checks say to a project that has forgotten something of what the desk stands on."""

from collections.abc import Sequence
from typing import Any

import pytest
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.core.checks import CheckMessage

from sagas import hosting
from sagas.hosting import PROCESSORS

urlpatterns: list[Any] = []
django_alone = get_asgi_application()
no_sockets = ProtocolTypeRouter({"http": django_alone})
wrapped = [no_sockets].__getitem__


def ids(messages: Sequence[CheckMessage]) -> list[str | None]:
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_our_own_project_is_complete() -> None:
    assert hosting.check_broker() == hosting.check_time_zone() == []
    assert hosting.check_templates() == hosting.check_mounting() == []


@pytest.mark.parametrize("queues", [None, {}, {"mail": {"URL": "redis://"}}])
def test_queues_without_a_redis_are_named(settings: Any, queues: Any) -> None:
    settings.RQ_QUEUES = queues
    assert ids(hosting.check_broker()) == ["sagas.E014"]
    del settings.RQ_QUEUES
    assert ids(hosting.check_broker()) == ["sagas.E014"]


def test_the_entry_that_is_meant_has_to_be_there(settings: Any) -> None:
    settings.SAGAS = {**settings.SAGAS, "RQ": "sagas"}
    (message,) = hosting.check_broker()
    assert (message.id, "named sagas" in message.msg) == ("sagas.E014", True)
    settings.SAGAS = {**settings.SAGAS, "RQ": "two words"}
    assert hosting.check_broker() == [], "that it is no name is told by another check"


def test_the_caches_client_is_not_ours_to_change(settings: Any) -> None:
    settings.RQ_QUEUES = {"default": {"USE_REDIS_CACHE": "default"}}
    assert ids(hosting.check_broker()) == ["sagas.E015"]


def test_times_without_a_zone_are_refused(settings: Any) -> None:
    settings.USE_TZ = False
    assert ids(hosting.check_time_zone()) == ["sagas.E013"]


def test_templates_that_are_not_found_are_named(settings: Any) -> None:
    (engine,) = settings.TEMPLATES
    settings.TEMPLATES = [{**engine, "APP_DIRS": False}]
    (message,) = hosting.check_templates()
    assert (message.id, "APP_DIRS" in (message.hint or "")) == ("sagas.E011", True)


@pytest.mark.parametrize("missing", PROCESSORS)
def test_what_templates_are_not_given_is_named(settings: Any, missing: str) -> None:
    (engine,) = settings.TEMPLATES
    given = [name for name in PROCESSORS if name != missing]
    settings.TEMPLATES = [{**engine, "OPTIONS": {"context_processors": given}}]
    (message,) = hosting.check_templates()
    assert (message.id, message.msg.endswith(f": {missing}.")) == ("sagas.E011", True)


def test_a_desk_that_is_nowhere_is_told(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    assert ids(hosting.check_mounting()) == ["sagas.W018"]


def test_callbacks_that_would_find_nobody_are_told(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.SAGAS = {"CALLBACK_URL": "https://shop.example"}
    assert ids(hosting.check_mounting()) == ["sagas.W018", "sagas.E012"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("django_alone", ["sagas.W019"]),
        ("no_sockets", ["sagas.W019"]),
        ("wrapped", []),  # nobody can see into it
        ("misspelt", []),  # the server says so
        (None, []),
    ],
)
def test_a_web_process_without_sockets_is_told_where_that_can_be_seen(
    settings: Any, name: str | None, found: list[str]
) -> None:
    settings.ASGI_APPLICATION = name and f"{__name__}.{name}"
    assert ids(hosting.check_mounting()) == found
