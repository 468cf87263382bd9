"""Periodic sagas: one for each tick, whichever clocks run or die; what was missed is caught up with once."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from django.core.checks import ERROR
from django.db import ProgrammingError, connection
from django.test import Client
from django.urls import reverse
from redis.exceptions import RedisError

from sagas import SagaStep, checks, orchestrator, registry, worker
from sagas.clock import database_now
from sagas.engine import Pump, periodic
from sagas.engine.periodic import Periodic
from sagas.management.commands._saga import upkeep
from sagas.models import Saga, Schedule
from tests.sagas import shop

pytestmark = pytest.mark.django_db(transaction=True)


class Nightly:
    """What a saga author's class looks like to the registry; it must not be there for other tests' clocks."""

    saga_type = "Nightly"
    every = "0 3 * * *"
    sample_data = {"item": "book"}
    asked = 0

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("fetch", "FetchService.Fetch", "FetchService.Return")]

    def periodic_data(self) -> dict[str, Any]:
        self.asked += 1
        return {"asked": self.asked}


@pytest.fixture
def nightly() -> Iterator[Nightly]:
    author = Nightly()
    registry.saga_types()
    with mock.patch.dict(registry._saga_types, {"Nightly": author}):
        yield author


class Time:
    """The database's time, as a test has it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def time() -> Iterator[Time]:
    now = Time(at("2026-01-01T12:00"))
    with mock.patch.multiple(periodic, about_now=now, database_now=now):
        yield now


def keys() -> list[str | None]:
    found = Saga.objects.filter(saga_type="Nightly").order_by("id")
    return list(found.values_list("idempotency_key", flat=True))


def test_nobody_but_the_clock_takes_the_key_of_a_tick(nightly: Nightly, operator: Any) -> None:
    with pytest.raises(orchestrator.Invalid, match="such keys are the clock's own"):
        orchestrator.start(
            "Nightly", {}, idempotency_key="every 2026-01-02T03:00:00+00:00", started_by=operator
        )
    assert keys() == []


def test_a_saga_is_started_at_each_tick_and_none_for_what_was_before(nightly: Nightly, time: Time) -> None:
    clock = Periodic()
    clock.look()
    assert keys() == []
    for now in ("2026-01-02T02:59:59", "2026-01-02T03:00", "2026-01-02T03:00:01", "2026-01-03T03:00:02"):
        time.now = at(now)
        clock.look()
    assert keys() == ["every 2026-01-02T03:00:00+00:00", "every 2026-01-03T03:00:00+00:00"]
    assert list(Saga.objects.order_by("id").values_list("data", flat=True)) == [{"asked": 1}, {"asked": 2}]


def test_the_clock_asks_the_database_only_when_a_tick_has_come(
    nightly: Nightly, time: Time, django_assert_num_queries: Any
) -> None:
    clock = Periodic()
    clock.look()
    with django_assert_num_queries(0):
        clock.look()


def test_of_missed_ticks_the_latest_is_started_once_and_the_others_are_said(
    nightly: Nightly, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    Periodic().look()
    time.now = at("2026-01-05T04:00")
    for _ in range(2):
        Periodic().look()  # another clock, born now
    assert keys() == ["every 2026-01-05T03:00:00+00:00"]
    assert Schedule.objects.get().missed == 3
    assert "3 ticks before 2026-01-05T03:00:00+00:00 were missed, and are skipped" in caplog.text


def test_many_clocks_start_one(nightly: Nightly, time: Time) -> None:
    Periodic().look()
    time.now = at("2026-01-02T03:00")
    together = threading.Barrier(4)
    faults: list[Exception] = []

    def tick() -> None:
        clock = Periodic()
        try:
            together.wait(10)
            clock.look()
        except Exception as fault:
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=tick) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert keys() == ["every 2026-01-02T03:00:00+00:00"]


def test_a_tick_is_not_started_again_though_its_row_is_lost(nightly: Nightly, time: Time) -> None:
    """The key remembers what the schedule forgot, whatever data there would be now."""
    Periodic().look()
    time.now = at("2026-01-02T03:00")
    Periodic().look()
    Schedule.objects.update(tick=at("2026-01-01T12:00"), saga_id=None)
    Periodic().look()
    assert len(keys()) == 1
    assert Schedule.objects.get().saga_id == Saga.objects.get().pk


def test_a_clock_that_was_set_back_starts_nothing_twice_and_goes_on(nightly: Nightly, time: Time) -> None:
    clock = Periodic()
    clock.look()
    for now in ("2027-01-01T03:00", "2026-01-01T12:05", "2026-01-02T03:00"):
        time.now = at(now)
        clock.look()
    assert keys() == ["every 2027-01-01T03:00:00+00:00", "every 2026-01-02T03:00:00+00:00"]


def test_a_type_that_cannot_be_started_is_tried_again_and_named(nightly: Nightly, time: Time) -> None:
    clock = Periodic()
    clock.look()
    time.now = at("2026-01-02T03:00")
    with mock.patch.object(nightly, "periodic_data", side_effect=LookupError("no such shop")):
        clock.look()
    assert keys() == []
    assert list(upkeep._unstarted()) == ["Nightly cannot be started at its tick: LookupError: no such shop"]
    clock.look()
    assert keys() == [], "not each second"
    time.now += timedelta(minutes=1)
    clock.look()
    assert keys() == ["every 2026-01-02T03:00:00+00:00"]
    assert list(upkeep._unstarted()) == []


def test_what_an_author_asks_the_database_in_vain_holds_up_nobody_else(nightly: Nightly, time: Time) -> None:
    clock = Periodic()
    clock.look()
    time.now = at("2026-01-02T03:00")
    with mock.patch.object(nightly, "periodic_data", side_effect=ProgrammingError("no such table: shop")):
        clock.look()  # and raises nothing
    assert list(upkeep._unstarted()) == [
        "Nightly cannot be started at its tick: RuntimeError: periodic_data: no such table: shop"
    ]


def test_another_expression_is_another_schedule(nightly: Nightly, time: Time) -> None:
    """So that clocks of two versions do not take each other's ticks, and a new one starts nothing for the past."""
    old = Periodic()
    old.look()
    with mock.patch.object(nightly, "every", "0 11 * * *"):
        Periodic().look()
    time.now = at("2026-01-02T11:00")
    old.look()
    with mock.patch.object(nightly, "every", "0 11 * * *"):
        Periodic().look()
    assert keys() == ["every 2026-01-02T03:00:00+00:00", "every 2026-01-02T11:00:00+00:00"]


def test_it_is_read_in_the_time_zone_of_the_settings(nightly: Nightly, time: Time, settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    Periodic().look()
    time.now = at("2026-01-01T18:00")
    Periodic().look()
    assert keys() == ["every 2026-01-01T18:00:00+00:00"]


def test_what_the_clock_started_runs(nightly: Nightly, pump: Pump, world: shop.World) -> None:
    Schedule.objects.create(saga_type="Nightly", every="0 3 * * *", tick=database_now() - timedelta(days=1))
    worker.Clock().tick()
    pump.run(30)
    assert Saga.objects.get().state == "completed"


def test_a_clock_without_redis_starts_what_is_due_all_the_same(
    nightly: Nightly, errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise RedisError("Redis is away")

    errand()  # so that somebody would have to be woken
    monkeypatch.setattr(worker.jobs, "ring_for_due", away)
    Schedule.objects.create(saga_type="Nightly", every="0 3 * * *", tick=database_now() - timedelta(days=1))
    worker.Clock().tick()
    assert Saga.objects.filter(saga_type="Nightly").exists()


@pytest.mark.parametrize(
    ("every", "says"),
    [("0 25 * * *", "bad hour"), (f"{','.join(map(str, range(60)))} 3 * * *", "may have 100")],
)
def test_a_wrong_expression_is_an_error_at_start_up(
    nightly: Nightly, time: Time, every: str, says: str
) -> None:
    with mock.patch.object(nightly, "every", every):
        found = [m for m in checks.check_saga_types() if m.id == "sagas.E008"]
        Periodic().look()
    assert [m.level for m in found] == [ERROR]
    assert says in found[0].msg
    assert keys() == []


def test_the_type_page_says_when(nightly: Nightly, time: Time, operator: Any, client: Client) -> None:
    client.force_login(operator)
    url = reverse("saga-type-detail", args=["Nightly"])
    assert "by the clock, <code>0 3 * * *</code>" in client.get(reverse("saga-type-list")).content.decode()
    assert "No clock has seen it yet" in client.get(url).content.decode()
    Periodic().look()
    time.now = at("2026-01-04T03:00")
    Periodic().look()
    page = client.get(url).content.decode()
    assert "<code>0 3 * * *</code>" in page
    assert str(Saga.objects.get().pk) in page
    assert "2 ticks before that came while no clock ran, and were skipped" in page
    with mock.patch.object(nightly, "every", "never"):
        assert "Never started by the clock" in client.get(url).content.decode()
