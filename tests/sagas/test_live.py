"""Hints through a real Redis, and the sockets with real pages' fragments."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any
from unittest.mock import Mock
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from channels.auth import AuthMiddleware
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.test import Client
from redis import Redis
from redis.connection import Connection

from sagas import broker, consumers, orchestrator, routing
from sagas.live import channel, feed, publish
from sagas.live.publish import Publisher
from sagas.models import Saga
from sagas.routing import live_socket, websocket_urlpatterns
from sagas.signals import Change
from sagas.soon import Soon
from tests.sagas import shop

pytestmark = pytest.mark.django_db(transaction=True)

application = SessionMiddlewareStack(AuthMiddleware(URLRouter(websocket_urlpatterns)))


def cookie(user: Any) -> list[tuple[bytes, bytes]]:
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    return [(b"cookie", f"{name}={client.cookies[name].value}".encode())]


class Socket:
    """A page's socket, as the page's script uses it."""

    def __init__(self, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        self.wire = WebsocketCommunicator(application, path, headers=headers)

    async def __aenter__(self) -> "Socket":
        connected, _ = await self.wire.connect(timeout=5)
        assert connected
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.wire.disconnect()

    async def say(self, **frame: Any) -> None:
        await self.wire.send_to(text_data=json.dumps(frame))

    async def hear(self) -> dict[str, Any]:
        frame = json.loads(await self.wire.receive_from(timeout=6))
        await self.say(type="got", n=frame["n"])
        return frame

    async def hear_until(self, condition: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        while not condition(frame := await self.hear()):
            pass
        return frame

    async def closing(self) -> int:
        while (event := await self.wire.receive_output(timeout=6))["type"] != "websocket.close":
            pass
        return int(event["code"])


def run(story: Awaitable[None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await story

    asyncio.run(within())


def test_a_list_hears_of_a_change_by_its_hint(
    held: Saga, operator: Any, asked: Any, monkeypatch: Any
) -> None:
    # The round that finds Redis listening is the last one that would have come by itself.
    monkeypatch.setattr(feed, "BEAT", 600.0)
    monkeypatch.setattr(routing.feed, "_beat_at", 0.0)  # and later tests have their beat as it was

    async def story() -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.say(type="show", sagas={str(held.pk): held.version}, list="")
            await socket.hear_until(lambda f: "banner" in f)
            while not routing.feed._ears.hearing or routing.feed._beat_at < time.monotonic() + 300:
                await asyncio.sleep(0.02)
            await act(held.pk, "pause", asked())
            frame = await socket.hear_until(lambda f: "sagas" in f)
            assert frame["sagas"][0]["version"] == held.version + 1
            assert "paused" in frame["sagas"][0]["row"]

    headers = cookie(operator)
    act = database_sync_to_async(orchestrator.act)
    run(story())


def test_a_saga_page_hears_the_same_partials_that_it_was_made_of(held: Saga, operator: Any) -> None:
    async def story() -> None:
        async with Socket(f"/ws/sagas/{held.pk}/", headers) as socket:
            await socket.say(type="show", sagas={str(held.pk): held.version})
            frame = await socket.hear_until(lambda f: "sagas" in f)
        pushed.update(frame["sagas"][0]["regions"])

    pushed: dict[str, str] = {}
    headers = cookie(operator)
    run(story())
    client = Client()
    client.force_login(operator)
    page = client.get(f"/sagas/{held.pk}/").content.decode()
    for name in ("verbs", "graph", "log", "commands", "data", "raw"):
        assert pushed[name].strip() in page


def test_without_redis_a_page_still_follows(held: Saga, operator: Any, asked: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(broker, "connection", lambda: Redis.from_url("unix:///nowhere/redis.sock"))

    async def story() -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.say(type="show", sagas={str(held.pk): held.version})
            await socket.hear()
            await act(held.pk, "pause", asked())
            await socket.hear_until(lambda f: "sagas" in f)

    headers = cookie(operator)
    act = database_sync_to_async(orchestrator.act)
    run(story())


def test_the_overview_and_new_sagas_are_told(errand: Any, operator: Any, world: shop.World) -> None:
    async def story() -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.say(type="show", sagas={}, overview=True, list="")
            await socket.hear_until(lambda f: "overview" in f)
            await sync_to_async(errand)()
            seen: dict[str, Any] = {}
            while not {"new", "overview"} <= seen.keys():
                seen |= await socket.hear()
            assert seen["new"] == 1

    headers = cookie(operator)
    run(story())


def test_a_program_that_only_listens_is_told_what_its_address_is_about(
    held: Saga, errand: Any, operator: Any, asked: Any, monkeypatch: Any
) -> None:
    async def story() -> None:
        async with Socket(f"/ws/sagas/{held.pk}/", headers) as page, Socket("/ws/sagas/", headers) as desk:
            await page.hear_until(lambda f: f.get("sagas", [{}])[0].get("version") == held.version)
            await desk.hear_until(lambda f: "overview" in f)
            await act(held.pk, "pause", asked())
            await page.hear_until(lambda f: f.get("sagas", [{}])[0].get("version") == held.version + 1)
            await sync_to_async(errand)()
            await desk.hear_until(lambda f: "new" in f)

    monkeypatch.setattr(consumers, "SILENT", 0.0)
    headers = cookie(operator)
    act = database_sync_to_async(orchestrator.act)
    run(story())


@pytest.mark.parametrize("path", ["/ws/sagas/", f"/ws/sagas/{uuid4()}/"])
def test_strangers_and_the_unpermitted_are_turned_away_with_the_reason(path: str, db: None) -> None:
    async def story(headers: list[tuple[bytes, bytes]], code: int) -> None:
        async with Socket(path, headers) as socket:
            await socket.say(type="show", sagas={}, overview=True)
            assert await socket.closing() == code

    run(story([], consumers.SIGNED_OUT))
    run(story(cookie(get_user_model().objects.create_user("nobody")), consumers.NOT_ALLOWED))


def test_a_log_out_or_a_lost_permission_ends_the_connection(db: None, monkeypatch: Any) -> None:
    monkeypatch.setattr(consumers, "RECHECK", 0.05)
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))

    async def story(headers: list[tuple[bytes, bytes]], change: Callable[[], Any], code: int) -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.say(type="show", sagas={})
            await socket.hear()
            await sync_to_async(change)()
            assert await socket.closing() == code

    def new_password() -> None:
        reader.set_password("another")
        reader.save()

    run(story(cookie(reader), new_password, consumers.SIGNED_OUT))
    run(story(cookie(reader), reader.user_permissions.clear, consumers.NOT_ALLOWED))


def test_a_verb_that_one_may_use_from_now_on_is_offered_from_now_on(
    errand: Callable[..., Saga], world: shop.World, monkeypatch: Any
) -> None:
    monkeypatch.setattr(consumers, "RECHECK", 0.05)
    saga = errand()
    reader = get_user_model().objects.create_user("reader")
    see, pause = (Permission.objects.get(codename=f"{verb}_saga") for verb in ("view", "pause"))
    reader.user_permissions.add(see)
    address = f"/sagas/{saga.pk}/pause/"

    async def story(headers: list[tuple[bytes, bytes]]) -> None:
        async with Socket(f"/ws/sagas/{saga.pk}/", headers) as socket:
            await socket.say(type="show", sagas={str(saga.pk): 0})
            assert address not in str(await socket.hear())
            await sync_to_async(reader.user_permissions.add)(pause)
            await socket.hear_until(lambda frame: address in str(frame))

    run(story(cookie(reader)))


def test_a_database_that_is_away_for_a_moment_does_not_end_the_looking_after_permissions(
    db: None, monkeypatch: Any
) -> None:
    monkeypatch.setattr(consumers, "RECHECK", 0.05)
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    looked: list[str] = []
    may = consumers.ListConsumer._may

    async def sometimes(consumer: Any, user: Any) -> Any:
        looked.append("")
        if len(looked) == 2:
            raise OperationalError("the database is away")
        return await may(consumer, user)

    async def story(headers: list[tuple[bytes, bytes]]) -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.say(type="show", sagas={})
            await socket.hear()
            while len(looked) < 2:
                await asyncio.sleep(0)
            await sync_to_async(reader.user_permissions.clear)()
            assert await socket.closing() == consumers.NOT_ALLOWED

    monkeypatch.setattr(consumers.ListConsumer, "_may", sometimes)
    run(story(cookie(reader)))


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "show", "sagas": {"01a22333-7644-7651-9618-929f6f4c2596": 1e999}}',
        "{",
        "[]",
        '{"type": "retry"}',
        '{"type": "show", "sagas": []}',
        '{"type": "show", "sagas": {"x": 1}}',
        '{"type": "show", "sagas": {"' + str(uuid4()) + '": null}}',
        "x" * 20_000,
        json.dumps({"type": "show", "sagas": {str(uuid4()): 1 for _ in range(201)}}),
        "[" * 16_000,
    ],
)
def test_nonsense_ends_the_connection(text: str, operator: Any) -> None:
    async def story() -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            await socket.wire.send_to(text_data=text)
            assert await socket.closing() == consumers.TOO_MUCH

    headers = cookie(operator)
    run(story())


def test_a_page_that_talks_too_much_is_cut_off(operator: Any) -> None:
    async def story() -> None:
        async with Socket("/ws/sagas/", headers) as socket:
            for _ in range(consumers.OFTEN + 1):
                await socket.say(type="got", n=0)
            assert await socket.closing() == consumers.TOO_MUCH

    headers = cookie(operator)
    run(story())


def test_a_commit_is_one_hint_in_redis(monkeypatch: Any) -> None:
    module = import_module("sagas.live.publish")  # the package's own name for it is the function
    monkeypatch.setattr(
        module, "_soon", Soon(0, lambda sagas: module._publisher.publish(channel.pack(sagas)))
    )
    ids = [uuid4(), uuid4()]
    hints: list[dict[UUID, int]] = []
    with Redis.from_url(settings.REDIS_URL) as redis, redis.pubsub(ignore_subscribe_messages=True) as heard:
        heard.subscribe(channel.CHANNEL)
        heard.get_message(timeout=1)
        publish(changes=[Change(i, "T", 3, "pending", None, False) for i in ids])
        redis.publish(channel.CHANNEL, channel.pack({ids[0]: 4}))  # comes behind it
        while {ids[0]: 4} not in hints:
            message = heard.get_message(timeout=1)
            hints += [channel.unpack(message["data"])] if message else []
    ours = [hint for hint in hints if hint.keys() & set(ids)]  # others may still be told of by earlier tests
    assert ours == [dict.fromkeys(ids, 3), {ids[0]: 4}]


def test_a_dead_redis_costs_a_worker_almost_nothing(monkeypatch: Any) -> None:
    nobody = Redis.from_url("redis://192.0.2.1:6379")
    monkeypatch.setattr(broker, "connection", lambda: nobody)
    publisher = Publisher()
    tries = Mock(wraps=Connection.connect)
    monkeypatch.setattr(Connection, "connect", lambda self: tries(self))
    assert not any(publisher.publish("x") for _ in range(1000))
    assert tries.call_count < 10  # each waits a tenth of a second; the others do not wait


@pytest.mark.parametrize("path", ["/ws/sagas", "/ws/sagas/nosuch/", "/elsewhere/"])
def test_a_socket_that_is_not_there_is_turned_away_and_no_error(path: str) -> None:
    async def story() -> None:
        own = [(b"origin", b"http://testserver"), (b"host", b"testserver")]
        connected, _ = await WebsocketCommunicator(live_socket, path, headers=own).connect()
        assert not connected

    run(story())
