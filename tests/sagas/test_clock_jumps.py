"""Somebody sets the database's clock: no effect is doubled, nothing is lost for an hour, no dead worker looks alive."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.backends.signals import connection_created

from sagas import clock, orchestrator
from sagas.clock import database_now
from sagas.conf import settings
from sagas.core import messages as m
from sagas.engine import Pump, claims, jumps
from sagas.health import health
from sagas.models import Due, Process, Saga, Step
from sagas.orchestrator import ledger
from sagas.worker import Clock
from tests.sagas import functions, shop, waits
from tests.sagas.running import assert_rows_are_the_fold, run

pytestmark = pytest.mark.django_db(transaction=True)

Jump = Callable[[float], None]
HOUR = 3600


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jump]:
    """Set the database's clock, for all connections of this process, by so many seconds off the true time."""
    off = 0.0

    def make(seconds: float) -> None:
        nonlocal off
        off = seconds
        monkeypatch.setattr(clock, "_heard", None)
        connection.close()

    def opened(connection: Any, **_: Any) -> None:
        if off:
            (_set_postgres if connection.vendor == "postgresql" else _set_sqlite)(connection, off)

    connection_created.connect(opened)
    yield make
    connection_created.disconnect(opened)
    connection.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """What whoever mends a jump was told whenever it asked for the time, the latest at the end."""
    told: list[datetime] = []

    def now() -> datetime:
        told.append(database_now())
        return told[-1]

    monkeypatch.setattr(jumps, "database_now", now)
    return told


def _set_postgres(connection: Any, off: float) -> None:
    """Put functions of our own before PostgreSQL's."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS chaos")
        for name in ("statement_timestamp", "clock_timestamp"):
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION chaos.{name}() RETURNS timestamptz LANGUAGE sql VOLATILE"
                f" AS $$ SELECT pg_catalog.{name}() + interval '{off} seconds' $$"
            )
        cursor.execute("SET search_path = chaos, pg_catalog, public")


def _set_sqlite(connection: Any, off: float) -> None:
    """Put a function of our own in the place of SQLite's."""

    def strftime(form: str, moment: str, *more: str) -> str:
        with closing(sqlite3.connect(":memory:")) as other:
            words = (form, moment, *more, f"{off:+f} seconds")
            return str(other.execute(f"SELECT strftime({', '.join('?' * len(words))})", words).fetchone()[0])

    connection.connection.create_function("strftime", -1, strftime)


def ticking() -> Clock:
    """A clock that has looked before whatever the test does."""
    made = Clock()
    made.tick()
    return made


def waiting(errand: Any, wait: timedelta) -> Saga:
    """Return a saga whose first step has so long to wait."""
    saga: Saga = errand()
    Due.objects.update(due_at=saga.updated_at + wait)
    Step.objects.filter(saga=saga, name="fetch").update(due_at=saga.updated_at + wait)
    return saga


def test_the_clock_of_these_tests_can_be_set(jump: Jump) -> None:
    before = database_now()
    jump(-HOUR)
    assert timedelta(minutes=59) < before - database_now() < timedelta(minutes=61)
    connection.close()
    assert timedelta(minutes=59) < before - database_now() < timedelta(minutes=61), "on every connection"


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 300, -300])
def test_what_a_worker_holds_is_not_taken_for_lost(errand: Any, jump: Jump, seconds: float) -> None:
    """By the clock as it is now, its lease has long ended; it is given the time to renew it."""
    running = ticking()
    saga = errand()
    (work,) = claims.claim(["fetch"], 1, "alive")
    jump(seconds)
    running.tick()
    assert Due.objects.get(saga=saga).lease_token == work.token
    claims.renew([work])
    running.jumps._trusted_at = 0.0  # a lease later
    running.tick()
    assert Due.objects.get(saga=saga).lease_token == work.token


@pytest.mark.parametrize("seconds", [-HOUR, -300])
def test_a_dead_workers_lease_ends_one_lease_after_the_clock_was_set_back(
    errand: Any, jump: Jump, seconds: float
) -> None:
    running = ticking()
    saga = errand()
    claims.claim(["fetch"], 1, "doomed")
    jump(seconds)
    running.tick()
    until = Due.objects.get(saga=saga).lease_until
    assert until is not None
    assert until - database_now() <= timedelta(seconds=settings().LEASE)


@pytest.mark.parametrize("seconds", [HOUR, -HOUR, 300, -300])
def test_sagas_under_way_go_on_at_once(
    errand: Any, pump: Pump, world: shop.World, jump: Jump, seconds: float
) -> None:
    running = ticking()
    sagas = [errand(), errand(branches=True)]
    world.behaviour["PayService.Pay"] = shop.fail(times=1)
    jump(seconds)
    running.tick()
    run(pump)
    for saga in sagas:
        saga.refresh_from_db()
        assert saga.state == "completed"
        assert_rows_are_the_fold(saga)
    assert all(count == 2 for name, count in world.count.items() if name != "PayService.Pay")
    assert len({sent.meta.key for sent in world.calls}) == len(sagas) * 3


def test_what_a_saga_makes_due_is_due_by_the_clock_as_it_is_now(
    errand: Any, world: shop.World, jump: Jump
) -> None:
    """Its own time does not run backwards; its work must not wait for the database to get there."""
    saga = errand()
    jump(-HOUR)
    jumps.bring_forward()
    run(Pump(["fetch"], "one participant's worker"))
    due = Due.objects.get(saga=saga)
    assert due.step == "pay"
    assert due.due_at <= database_now()
    assert Saga.objects.get(pk=saga.pk).updated_at > database_now()


def test_a_wait_is_as_long_as_it_was_and_never_shorter(
    errand: Any, jump: Jump, asked: list[datetime]
) -> None:
    waiting(errand, timedelta(seconds=40))
    jump(-HOUR)
    assert jumps.bring_forward() == 1
    due_at = Due.objects.get().due_at
    assert due_at == asked[-1] + timedelta(seconds=40), "from when nobody can have begun it later"
    assert jumps.bring_forward() == 0, "another clock has done it already"
    assert Due.objects.get().due_at == due_at


def test_a_wait_until_a_moment_ends_at_that_moment_whatever_the_clock_was(pump: Pump, jump: Jump) -> None:
    """One in a definition, one that a function asked for, and one that begins when the clock was set already."""
    moment = (database_now() + timedelta(seconds=20)).isoformat()
    data = {"contract": {"begins": moment}}
    sagas = [waits.Permit().start({**data, "steps": ["until"]})]
    sagas.append(waits.Permit().start({**data, "steps": ["file", "until"]}))
    with functions.doing(lambda saga, _: saga.wait("until", until=moment)):
        sagas.append(functions.errands.start({}))
        Pump(("default",), "one for functions").run(2)
    longer = waits.Permit().start({"steps": ["rest"], "wait": 20})
    jump(-HOUR)
    assert jumps.bring_forward() == 2, "what is due at once, and what waits for a while"
    now = database_now()
    Pump(("filing", "default"), "one for filings").run(2)
    for saga in sagas:
        assert Due.objects.get(saga=saga, step="until").due_at.isoformat() == moment
    assert Due.objects.get(saga=longer).due_at < now + timedelta(seconds=21)


@pytest.mark.parametrize("wait", [0.2, 40])
def test_a_clock_that_is_set_back_twice_strands_nothing(
    errand: Any, jump: Jump, asked: list[datetime], wait: float
) -> None:
    waiting(errand, timedelta(seconds=wait))
    for seconds in (-300, -HOUR):
        jump(seconds)
        jumps.bring_forward()
        assert Due.objects.get().due_at == asked[-1] + timedelta(seconds=wait)


def test_who_waited_for_a_lock_cuts_nothing_short_that_was_made_meanwhile(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = timedelta(seconds=4)
    saga = waiting(errand, wait)
    before = iter([saga.updated_at - timedelta(seconds=8)] * 2)  # until it has found what is stranded
    monkeypatch.setattr(jumps, "database_now", lambda: next(before, saga.updated_at))
    assert jumps.bring_forward() == 0
    assert Due.objects.get().due_at == saga.updated_at + wait


def test_what_began_to_wait_while_rows_were_looked_for_is_not_cut_short(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = timedelta(seconds=4)
    saga = waiting(errand, wait)
    before, locked = saga.updated_at - timedelta(seconds=9), saga.updated_at - timedelta(seconds=8)
    told = iter([before] * 3)  # for leases, to find what is stranded, and to find it again under locks
    monkeypatch.setattr(jumps, "database_now", lambda: next(told, locked))
    assert jumps.bring_forward() == 1
    assert Due.objects.get().due_at == locked + wait


def test_work_for_later_is_left_alone_when_no_clock_was_set(errand: Any) -> None:
    errand()
    later = database_now() + timedelta(hours=5)
    Due.objects.update(due_at=later)
    Step.objects.filter(name="fetch").update(due_at=later)
    assert jumps.bring_forward() == 0


def test_a_clock_that_starts_after_the_jump_mends_it_too(errand: Any, jump: Jump) -> None:
    errand()
    jump(-HOUR)
    Clock().tick()
    assert Due.objects.get().due_at <= database_now()


def test_who_has_not_heard_of_the_jump_yet_strands_nothing(errand: Any, jump: Jump) -> None:
    """For some seconds, a worker goes on with the time that it heard before."""
    running = ticking()
    jump(-HOUR)
    running.tick()
    jump(0.0)
    errand()
    jump(-HOUR)
    running.jumps._heard = database_now(), time.monotonic()  # so that it sees no other jump
    running.jumps._mended_at += 1000  # however slow this machine is
    running.tick()
    assert Due.objects.get().due_at <= database_now()


def test_who_died_before_the_clock_was_set_back_does_not_look_alive(jump: Jump) -> None:
    now = database_now()
    Process.objects.create(name="w", kind="worker", host="h", pid=1, started_at=now, seen_at=now)
    assert health()["workers_alive"] == 1
    jump(-HOUR)
    assert health()["workers_alive"] == 0


def test_a_retry_is_due_when_it_is_said_to_be_whatever_we_take_the_time_for(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = errand()
    (work,) = claims.claim(("fetch",), 1, "a worker")
    # The time that we carry on is behind what the claim was told.
    monkeypatch.setattr(ledger, "about_now", lambda: database_now() - timedelta(seconds=2))
    lost = m.Unknown(work.number, "lost", inbox=True)
    answer = orchestrator.Answered(saga.pk, lost, work.token, work.claimed_at)
    orchestrator.deliver([answer], known={saga.pk: work.held}, trust=True)
    step = Step.objects.get(saga=saga, name="fetch")
    assert step.due_at == Due.objects.get().due_at
    assert step.due_at >= work.claimed_at
