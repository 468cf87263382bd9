"""What is shown of a saga is what it was at one moment."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from importlib import import_module
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.urls import reverse

from sagas import orchestrator
from sagas.clock import database_now
from sagas.engine import Pump, claims
from sagas.models import Due, Process, Saga, Step
from tests.sagas import shop

SNAPSHOT = import_module("sagas.orchestrator.snapshot")
really_read = SNAPSHOT._belongings


@pytest.mark.django_db(transaction=True)
def test_a_saga_that_moves_faster_than_it_is_read_is_still_shown_as_it_was_at_one_moment() -> None:
    sagas = [orchestrator.start("Errand", {"item": item}).saga for item in ("book", "pen")]
    with patch.object(SNAPSHOT, "_belongings", _moving_first):
        for told in orchestrator.snapshots(sagas):
            assert [step["attempt"] for step in told["steps"]] == [told["version"]] * len(told["steps"])


def _moving_first(sagas: Sequence[Saga]) -> Any:
    """Read what belongs to sagas that have moved on since they were read themselves, unless they are locked."""
    if not connection.in_atomic_block:
        for saga in Saga.objects.all():
            version = saga.version + 1
            Step.objects.filter(saga=saga).update(attempt=version)
            Saga.objects.filter(pk=saga.pk).update(version=version, sequence=F("sequence") + 1)
    return really_read(sagas)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("text", ["full until {2026-12-24Tnoon}", "full until {2026-12-24T18:00}"])
def test_what_a_participant_says_is_repeated_as_it_is_whatever_stands_in_its_braces(
    errand: Callable[..., Saga], pump: Pump, world: shop.World, operator: Any, client: Client, text: str
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject(text)
    saga = errand(hold=True)
    pump.run(30)
    client.force_login(operator)
    saga.refresh_from_db()
    assert text in orchestrator.snapshot(saga)["why"]["text"]
    assert text in client.get(reverse("saga-detail", args=[saga.pk])).content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_moment_that_was_given_in_another_zone_is_said_in_utc() -> None:
    begins = datetime(2100, 12, 24, 18, tzinfo=timezone(timedelta(hours=1)))
    saga = orchestrator.start("Errand", {"item": "book"}, at=begins).saga
    assert "It begins at 2100-12-24 17:00:00 UTC;" in orchestrator.snapshot(saga)["why"]["text"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seconds", "says"), [(60, "given to worker-a, which has been silent since"), (1, "is running")]
)
def test_a_worker_that_is_silent_is_not_said_to_be_running(errand: Any, seconds: float, says: str) -> None:
    saga, now = errand(), database_now()
    seen = now - timedelta(seconds=seconds)
    Process.objects.create(name="worker-a", kind="worker", host="h", pid=1, started_at=seen, seen_at=seen)
    assert claims.claim(["fetch"], 1, "worker-a")
    saga.refresh_from_db()
    document = orchestrator.snapshot(saga)
    assert says in document["why"]["text"]
    step, lease = document["steps"][0], Due.objects.get().lease_until
    assert lease is not None
    assert datetime.fromisoformat(step["lease_until"]) == lease
    told = "counts as lost at" in document["why"]["text"]
    assert told == (step["silent_since"] is not None) == (seconds > 10)


WORKER, CLOCK = "manage.py saga worker", "manage.py saga clock"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("served", "clock", "says"),
    [
        (["fetch"], True, ", and no worker has taken it yet."),
        (["fetch"], False, f". No clock is alive, which sees when a time has come: {CLOCK} starts one."),
        (["pay"], True, f". No worker serves fetch: {WORKER} fetch starts one."),
        (None, True, f". No worker is alive: {WORKER} starts one."),
        (None, False, f". No worker and no clock is alive: {WORKER} and {CLOCK} start them."),
    ],
)
def test_what_is_due_says_who_is_missing_and_how_to_start_it(
    errand: Callable[..., Saga], served: list[str] | None, clock: bool, says: str
) -> None:
    saga = errand()
    alive(served, clock)
    told = orchestrator.snapshot(saga)["why"]["text"]
    assert told.startswith("FetchService.Fetch of fetch has been due since ")
    assert told.endswith(f" on queue fetch{says}")
    Step.objects.filter(name="fetch").update(due_at=database_now() + timedelta(minutes=1))
    later = orchestrator.snapshot(saga)["why"]["text"]
    assert later.endswith(
        f" UTC.{says.removeprefix('.')}" if "starts" in says or "start them" in says else " UTC."
    )


@pytest.mark.django_db(transaction=True)
def test_of_another_projects_worker_no_command_is_told(errand: Callable[..., Saga], settings: Any) -> None:
    settings.SAGAS = {"ELSEWHERE": ["fetch"]}
    saga = errand()
    alive(["pay"], clock=True)
    told = orchestrator.snapshot(saga)["why"]["text"]
    assert told.endswith(" No worker serves fetch: start one in the project that does.")


@pytest.mark.django_db(transaction=True)
def test_only_a_clock_ends_what_waits_until_a_time(errand: Callable[..., Saga]) -> None:
    begins = database_now() + timedelta(hours=1)
    saga = orchestrator.start("Errand", {"item": "book"}, at=begins).saga
    alive(["waits"], clock=False)
    told = orchestrator.snapshot(saga)["why"]["text"]
    assert told.endswith(
        f"nothing is dispatched before. No clock is alive, which sees when a time has come: {CLOCK} starts one."
    )
    alive(None, clock=True)
    assert orchestrator.snapshot(saga)["why"]["text"].endswith("nothing is dispatched before.")


def alive(served: list[str] | None, clock: bool) -> None:
    now = database_now()
    if served is not None:
        Process.objects.create(
            name="w", kind=Process.WORKER, queues=served, pid=1, started_at=now, seen_at=now
        )
    if clock:
        Process.objects.create(name="c", kind=Process.CLOCK, pid=1, started_at=now, seen_at=now)
    gone = now - timedelta(minutes=1)
    for name, kind in (("gone", Process.WORKER), ("gone clock", Process.CLOCK)):
        row = {"kind": kind, "queues": ["fetch"], "pid": 1, "started_at": gone, "seen_at": gone}
        Process.objects.get_or_create(name=name, defaults=row)
