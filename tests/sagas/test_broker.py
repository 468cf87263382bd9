"""Which Redis is ours, however a project says where it is, and what our queues are called beside its own."""

import asyncio
from collections.abc import Iterator
from typing import Any

import django_rq.settings
import pytest
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection
from redis.sentinel import SentinelConnectionPool
from rq import Queue

from sagas import broker, jobs, registry


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[dict[str, Any]]:
    """An entry of RQ_QUEUES that is ours, beside the project's own ``default``; a test says where it leads."""
    path = settings.REDIS_URL.removeprefix("unix://")
    entry = {"UNIX_SOCKET_PATH": path, "DB": 0, "SERIALIZER": "rq.serializers.JSONSerializer"}
    monkeypatch.setitem(django_rq.settings.QUEUES, "sagas", entry)
    settings.SAGAS = {**settings.SAGAS, "RQ": "sagas"}
    broker.connection().flushall()  # tests before may have left nudges behind
    yield entry
    if "UNIX_SOCKET_PATH" in entry:
        broker.connection().flushall()


def test_our_queues_are_called_after_our_entry(entry: dict[str, Any]) -> None:
    assert [broker.queue(name) for name in ("default", "events", "payment")] == [
        "sagas",
        "sagas-events",
        "sagas-payment",
    ]


def test_without_one_they_have_their_own_names() -> None:
    assert [broker.queue(name) for name in ("default", "payment")] == ["default", "payment"]


def test_a_projects_job_and_our_nudge_do_not_meet(entry: dict[str, Any]) -> None:
    redis = broker.connection()
    Queue("default", connection=redis).enqueue_call("shop.jobs.send_mail")
    jobs.nudge(["default"])
    assert [job.args for job in jobs.queue("default", redis).jobs] == [["default"]]
    assert Queue("default", connection=redis).count == 1


def test_rqs_pages_are_told_of_our_queues(entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    queues = django_rq.settings.QUEUES
    ours = {broker.queue(name) for name in registry.queues()}
    before = dict(queues)
    jobs.serve_known_queues()
    try:
        assert queues.keys() - before.keys() == ours - {"sagas"}
        assert all(queues[name]["SERIALIZER"] == entry["SERIALIZER"] for name in ours)
    finally:
        for name in ours - before.keys():
            del queues[name]


def test_hints_are_heard_from_the_redis_that_they_go_to(entry: dict[str, Any]) -> None:
    async def heard() -> Any:
        async with broker.listening(socket_connect_timeout=2) as redis:
            return await redis.get("said")

    broker.connection().set("said", "here")
    assert asyncio.run(heard()) == b"here"


ELSEWHERE = {"HOST": "redis.example.org", "PORT": 6400, "DB": 3, "USERNAME": "saga", "PASSWORD": "a secret"}
REACHED = {"host": "redis.example.org", "port": 6400, "db": 3, "username": "saga", "password": "a secret"}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (ELSEWHERE, REACHED),
        ({"URL": "redis://saga:a%20secret@redis.example.org:6400/3"}, REACHED),
        ({"URL": "redis://redis.example.org", "DB": 3}, {"host": "redis.example.org", "port": 6379, "db": 3}),
        ({"URL": "unix:///run/redis.sock?db=2"}, {"path": "/run/redis.sock", "db": 2}),
        ({**ELSEWHERE, "SSL": True, "SSL_CERT_REQS": "none"}, REACHED | {"cert_reqs": "none"}),
        ({"URL": "rediss://redis.example.org"}, {"host": "redis.example.org", "cert_reqs": "required"}),
    ],
)
def test_wherever_it_is_and_however_that_is_said(
    entry: dict[str, Any], said: dict[str, Any], meant: dict[str, Any]
) -> None:
    entry.clear()
    entry.update(said)
    pool = broker.listening().connection_pool
    link = pool.connection_class(**pool.connection_kwargs)
    assert isinstance(link, SSLConnection) == ("cert_reqs" in meant)
    assert isinstance(link, UnixDomainSocketConnection) == ("path" in meant)
    given = {name: getattr(link, name) for name in meant if name != "cert_reqs"}
    assert given == {name: value for name, value in meant.items() if name != "cert_reqs"}
    if "cert_reqs" in meant:
        assert link.cert_reqs == {"none": 0, "required": 2}[meant["cert_reqs"]]


def test_sentinels_are_asked_which_it_is(entry: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    entry.clear()
    entry.update(SENTINELS=[("10.0.0.1", 26379)], MASTER_NAME="main", DB=1, PASSWORD="a secret")
    monkeypatch.setattr(SentinelConnectionPool, "get_master_address", lambda _: ("10.0.0.7", 6390))
    known = broker.listening().connection_pool.connection_kwargs
    assert (known["host"], known["port"], known["db"], known["password"]) == ("10.0.0.7", 6390, 1, "a secret")
