"""What strangers, other sites and guessers run into: headers, cookies, origins, limits."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from redis import Redis

from sagaproject import login
from sagaproject.asgi import application
from sagas import bell, consumers
from sagas.core.ids import uuid7
from sagas.dashboard.filters import Filters
from sagas.engine import Pump
from tests.sagas import shop
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_attempts() -> Iterator[None]:
    bell.connection().flushall()
    yield
    bell.connection().flushall()


@pytest.mark.parametrize("path", ["/login/", "/admin/login/", "/healthz", "/nowhere", "/api/v1/openapi.json"])
def test_every_answer_forbids_foreign_scripts_and_frames(client: Client, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    for word in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert word in policy
    assert "unsafe" not in policy
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_only_rqs_own_pages_may_have_scripts_inside(client: Client, operator: Any) -> None:
    client.force_login(operator)
    assert "'unsafe-inline'" in client.get("/django-rq/").headers["Content-Security-Policy"]
    assert "'unsafe-inline'" not in client.get("/sagas/").headers["Content-Security-Policy"]


def test_rqs_pages_show_the_queue_of_every_handler(client: Client, operator: Any) -> None:
    client.force_login(operator)
    page = re.sub(r"\s", "", client.get("/django-rq/").content.decode())
    for queue in ("default", "events", "waits", "payment", "billing", "subscription", "claims"):
        assert f">{queue}</a>" in page


def test_logging_in_gives_a_new_session_that_scripts_cannot_read(client: Client, operator: Any) -> None:
    client.get("/login/")
    session = client.session
    session["before"] = 1
    session.save()
    fixed = session.session_key
    client.cookies[settings.SESSION_COOKIE_NAME] = fixed
    client.post("/login/", {"username": "olga", "password": "x"})
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie.value not in {"", fixed}
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 8 * 3600


def test_behind_tls_cookies_and_transport_are_closed() -> None:
    """In a process of its own: these settings are read from the environment."""
    asked = ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_SSL_REDIRECT", "SECURE_HSTS_SECONDS"]
    script = (
        "import json; from sagaproject import settings as s; print(json.dumps([s.SESSION_COOKIE_NAME,"
        f" s.CSRF_COOKIE_NAME, *[bool(getattr(s, name)) for name in {asked}]]))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"SAGADESK_HTTPS": "1"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        check=True,
    )
    assert json.loads(answer.stdout) == ["__Host-sagadesk", "__Host-sagadesk-csrf", *[True] * len(asked)]


def guess(client: Client, path: str = "/login/", said: str = "wrong", name: str = "olga") -> str:
    return client.post(path, {"username": name, "password": said}).content.decode()


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
def test_guessing_a_password_ends_soon(client: Client, operator: Any, path: str) -> None:
    for _ in range(login.ATTEMPTS):
        assert "Too many attempts" not in guess(client, path)
    assert "Too many attempts" in guess(client, path)
    assert "Too many attempts" in guess(client, path, "x"), "even the right one has to wait now"
    assert "Too many attempts" not in guess(client, path, name="otto"), "others do not"


def test_the_right_password_clears_the_count(client: Client, operator: Any) -> None:
    for _ in range(3):
        for _ in range(login.ATTEMPTS - 1):
            guess(client)
        assert client.post("/login/", {"username": "olga", "password": "x"}).status_code == 302
        client.logout()


def test_without_redis_nobody_is_locked_out(
    client: Client, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: Any) -> Any:
        raise bell.RedisError("away")

    monkeypatch.setattr(bell, "brief", away)
    for _ in range(login.ATTEMPTS + 2):
        guess(client)
    assert client.post("/login/", {"username": "olga", "password": "x"}).status_code == 302


def test_a_login_leads_nowhere_else(client: Client, operator: Any) -> None:
    answer = client.post("/login/?next=https://evil.example/", {"username": "olga", "password": "x"})
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize("path", ["/ws/sagas/", "/ops/ws/sagas/"])
@pytest.mark.parametrize(
    ("origin", "welcome"),
    [
        (b"http://localhost", True),
        (b"https://desk.example.org", True),
        (b"http://desk.example.org", False),
        (b"http://localhost:8001", False),
        (b"https://evil.example", False),
        (b"null", False),
        (None, False),
    ],
)
def test_a_socket_opens_for_our_own_pages_only(
    settings: Any, origin: bytes | None, welcome: bool, path: str
) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://desk.example.org"]
    headers = [(b"host", b"localhost"), *([(b"origin", origin)] if origin else [])]

    async def story() -> bool:
        wire = WebsocketCommunicator(application, path, headers=headers)
        opened, _ = await wire.connect(timeout=10)
        if opened:  # and then, nobody is logged in
            event = await wire.receive_output(timeout=10)
            assert event["code"] == consumers.SIGNED_OUT
        await wire.disconnect()
        return opened

    assert asyncio.run(story()) is welcome


@pytest.mark.parametrize(("debug", "welcome"), [(True, True), (False, False)])
def test_while_a_project_is_made_this_machine_needs_no_name(
    settings: Any, debug: bool, welcome: bool
) -> None:
    settings.DEBUG, settings.ALLOWED_HOSTS = debug, []
    headers = [(b"host", b"localhost:8000"), (b"origin", b"http://localhost:8000")]

    async def story() -> bool:
        wire = WebsocketCommunicator(application, "/ws/sagas/", headers=headers)
        opened, _ = await wire.connect(timeout=10)
        await wire.disconnect()
        return opened

    assert asyncio.run(story()) is welcome


def test_no_client_can_move_our_links(operator: Any) -> None:
    """Daphne takes a header for the path that it is mounted under."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/sagas/",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "root_path": "/evil.example",
        "http_version": "1.1",
    }

    async def story() -> dict[str, Any]:
        wire = ApplicationCommunicator(application, scope)
        await wire.send_input({"type": "http.request", "body": b""})
        answer = await wire.receive_output(timeout=20)
        await wire.receive_output(timeout=20)
        await wire.wait(timeout=20)
        return answer

    headers = dict(asyncio.run(story())["headers"])
    assert headers[b"Location"].startswith(b"/login/")


def test_a_foreign_host_is_refused(client: Client) -> None:
    assert client.get("/login/", headers={"host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/sagas/?type=a%00b",
        "/sagas/?data.order_id=%00",
        "/audit/?operator=%00",
        "/search/?q=a%00b",
        "/types/a%00b/",
        "/sagas/?step=%00",
        "/sagas/?queue=%00",
        "/queues/%00/pause/",
        "/admin/sagas/saga/?state__exact=%00",
        "/admin/participants/account/%00/change/",
    ],
)
def test_a_character_that_postgres_has_no_room_for_is_no_error_of_ours(
    client: Client, operator: Any, path: str
) -> None:
    client.force_login(operator)
    response = client.get(path)
    if settings.ON_POSTGRES or not path.startswith("/admin/"):
        assert response.status_code == 400
        assert "makes no sense" in response.content.decode()
    else:
        assert response.status_code in {200, 302, 404}
    assert client.get(path.replace("%00", "%2500")).status_code in {200, 302, 404}, "what a person may type"


def test_the_desk_needs_no_middleware_for_that(client: Client, operator: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if not each.startswith("sagaproject.")]
    client.force_login(operator)
    response = client.get("/search/?q=a%00b")
    assert response.status_code == 400
    assert "There is a NUL character in it" in response.content.decode()
    batch = client.post("/batches/new/retry/", {"list": "type=a%00b", "reason": "x"})
    assert batch.headers["Location"] == "/sagas/?type=a%00b"
    assert not Filters(type="a\0b").apply().exists(), "as the live feed asks"


def test_rqs_pages_are_for_superusers(client: Client) -> None:
    client.force_login(get_user_model().objects.create_user("stan", is_staff=True))
    for path in ("/django-rq/", "/django-rq/queues/0/", "/django-rq/queues/0/empty/"):
        assert client.get(path).status_code == 403
        assert client.post(path).status_code == 403


def test_a_form_of_another_site_changes_nothing(operator: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    assert strict.post(f"/sagas/{uuid7()}/pause/", {"reason": "x"}).status_code == 403
    assert strict.post("/api/v1/sagas", {}, content_type="application/json").status_code == 403


def test_what_a_saga_carries_reaches_neither_redis_nor_the_log(
    errand: Any, pump: Pump, world: shop.World, caplog: pytest.LogCaptureFixture
) -> None:
    """All that Redis is told, and all that is logged, while a saga with a secret fails and is rolled back."""
    secret = "canary-7f3a"
    told: list[str] = []
    world.behaviour["PostService.Post"] = shop.reject(f"no post for {secret}")
    with Redis.from_url(settings.REDIS_URL) as redis, redis.monitor() as monitor, caplog.at_level("DEBUG"):
        saga = errand(item=secret, hold=True)
        rest(pump, saga)
        bell.connection().echo("the end")
        while "the end" not in (line := monitor.next_command()["command"]):
            told.append(line)
    assert told, "and something was told"
    assert not [line for line in told if secret in line]
    assert secret not in caplog.text
