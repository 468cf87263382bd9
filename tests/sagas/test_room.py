"""A full disk: nothing new is begun, nothing that was done is lost, everybody is told, and it goes on by itself."""

import sqlite3
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.test import Client

from sagas import bell, orchestrator
from sagas.dashboard.chrome import chrome
from sagas.engine import Pump, claims, room
from sagas.health import health
from sagas.models import Due, Saga
from sagas.worker import Clock
from tests.sagas import shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_said() -> Iterator[None]:
    bell.connection().flushall()
    yield
    bell.connection().flushall()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A disk that is full until the test says otherwise; looked at each time."""
    found = {"room": False}
    monkeypatch.setattr(room, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(room, "has_room", lambda: found["room"])
    return found


def full() -> OperationalError:
    """What the database says then."""
    fault = OperationalError("could not extend file: No space left on device")
    fault.__cause__ = psycopg.errors.DiskFull("could not extend file")
    return fault


def test_a_full_sqlite_is_told_from_other_faults() -> None:
    tiny = sqlite3.connect(":memory:")
    tiny.execute("CREATE TABLE t (text)")
    tiny.execute("PRAGMA max_page_count = 2")
    with pytest.raises(sqlite3.OperationalError) as refused:
        tiny.execute("INSERT INTO t VALUES (?)", ["x" * 100_000])
    tiny.close()
    fault = OperationalError(str(refused.value))
    assert not room.is_full(fault)
    fault.__cause__ = refused.value
    assert room.is_full(fault)


def test_a_full_postgres_is_told_from_other_faults() -> None:
    assert room.is_full(full())
    fault = OperationalError("canceling statement due to lock timeout")
    fault.__cause__ = psycopg.errors.LockNotAvailable()
    assert not room.is_full(fault)


def test_a_database_that_could_grow_has_room() -> None:
    assert room.has_room()
    with connection.cursor() as cursor:  # and nothing is left of the question
        assert "sagas_room" not in connection.introspection.table_names(cursor)


def test_nothing_is_claimed_while_there_is_no_room(
    errand: Any, pump: Pump, world: shop.World, disk: dict[str, bool]
) -> None:
    saga = errand()
    assert pump.room.noticed(full())
    pump.run(1)
    assert world.calls == []
    assert Due.objects.get(saga=saga).lease_token is None
    disk["room"] = True
    pump.run(20)
    assert Saga.objects.get(pk=saga.pk).state == "completed"


def test_a_claim_that_finds_the_disk_full_is_no_crash(
    errand: Any, pump: Pump, world: shop.World, disk: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    errand()

    def refused(*_: Any) -> Any:
        raise full()

    monkeypatch.setattr(claims, "claim", refused)
    pump.run(1)
    assert pump.room.full


def test_what_was_done_is_kept_until_it_can_be_written(
    errand: Any,
    pump: Pump,
    world: shop.World,
    disk: dict[str, bool],
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Longer than a lease, which is all that another fault of the database is given."""
    settings.SAGAS = {**settings.SAGAS, "LEASE": 1e-9}
    deliver, refusals = orchestrator.deliver, iter(range(4))

    def refuses(*args: Any, **options: Any) -> Any:
        if next(refusals, None) is not None:
            raise full()
        disk["room"] = True
        return deliver(*args, **options)

    monkeypatch.setattr(orchestrator, "deliver", refuses)
    monkeypatch.setattr(room.time, "sleep", lambda _: None)
    saga = errand()
    pump.run(20)
    assert Saga.objects.get(pk=saga.pk).state == "completed"
    assert set(world.count.values()) == {1}


def test_everybody_is_told_until_there_is_room(client: Client, operator: Any, disk: dict[str, bool]) -> None:
    told = room.Room()
    told.noticed(full())
    assert health()["full"]
    assert "disk is full" in chrome().banner
    assert "disk space" in client.get("/readyz").json()["missing"]
    client.force_login(operator)
    assert "sagadesk_database_full 1" in client.get("/metrics").content.decode()
    page = client.get("/").content.decode()
    assert "disk is full" in page
    assert "Start one with" not in page
    disk["room"] = True
    assert told.there
    assert not health()["full"]
    assert "sagadesk_database_full 0" in client.get("/metrics").content.decode()


def test_the_clock_wakes_nobody_who_could_record_nothing(errand: Any, disk: dict[str, bool]) -> None:
    errand()
    bell.connection().flushall()
    clock = Clock()
    clock.room.noticed(full())
    clock.tick()
    assert bell.connection().keys("rq:queue:*") == []
    disk["room"] = True
    clock.tick()
    assert bell.connection().keys("rq:queue:*") != []


def test_the_api_says_what_is_wrong(
    client: Client, operator: Any, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.force_login(operator)

    def refused(*_: Any, **__: Any) -> Any:
        raise full()

    monkeypatch.setattr(orchestrator, "start", refused)
    answer = client.post("/api/v1/sagas", {"type": "Errand", "data": {}}, content_type="application/json")
    assert answer.status_code == 503
    assert "disk is full" in answer.json()["error"]["message"]
    assert health()["full"], "and everybody else hears of it"
