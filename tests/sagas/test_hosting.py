"""What the checks say to a project that has forgotten something of what the desk stands on."""

from collections.abc import Sequence
from typing import Any

import pytest
from channels.routing import ProtocolTypeRouter
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.asgi import get_asgi_application
from django.core.checks import CheckMessage
from django.urls import set_script_prefix

from sagas import hosting
from sagas.hosting import MIDDLEWARE, PROCESSORS

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


@pytest.mark.parametrize("missing", MIDDLEWARE)
def test_middleware_that_the_desk_lacks_is_named(settings: Any, missing: str) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if each != missing]
    (message,) = hosting.check_mounting()
    assert (message.id, message.msg.endswith(f": {missing}.")) == ("sagas.E018", True)


class Sessions(SessionMiddleware):
    """A project's own."""


def test_a_middleware_may_be_the_projects_own(settings: Any) -> None:
    others = [each for each in settings.MIDDLEWARE if "SessionMiddleware" not in each]
    settings.MIDDLEWARE = [f"{__name__}.Sessions", *others, "misspelt.Middleware"]
    assert hosting.check_mounting() == []


@pytest.mark.parametrize(
    ("app", "found"), [("sessions", ["sagas.E019"]), ("staticfiles", ["sagas.W022"]), ("messages", [])]
)
def test_an_app_that_the_desk_lacks_is_named(settings: Any, app: str, found: list[str]) -> None:
    settings.INSTALLED_APPS = [each for each in settings.INSTALLED_APPS if each != f"django.contrib.{app}"]
    assert ids(hosting.check_mounting()) == found
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert ids(hosting.check_mounting()) == [each for each in found if each != "sagas.E019"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("admin:login", []),
        ("/login/?by=password", []),
        ("https://accounts.example/", []),
        ("log-in", ["sagas.E020"]),
        (None, ["sagas.E020"]),
        ("/accounts/login/", ["sagas.W021"]),  # Django's own, if nothing else is said
    ],
)
def test_a_login_that_is_nowhere_is_told(settings: Any, url: str | None, found: list[str]) -> None:
    settings.LOGIN_URL = url
    assert ids(hosting.check_mounting()) == found


def test_a_login_is_looked_for_below_the_prefix_that_a_server_adds(settings: Any) -> None:
    settings.LOGIN_URL = "login"
    set_script_prefix("/shop/")
    try:
        assert hosting.check_mounting() == []
    finally:
        set_script_prefix("/")


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
        ("misspelt", ["sagas.W023"]),
        (None, []),  # WSGI serves it
    ],
)
def test_a_web_process_without_sockets_is_told_where_that_can_be_seen(
    settings: Any, name: str | None, found: list[str]
) -> None:
    settings.ASGI_APPLICATION = name and f"{__name__}.{name}"
    assert ids(hosting.check_mounting()) == found
