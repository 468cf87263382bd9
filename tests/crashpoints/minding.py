"""Paths of workers and clocks: leases that are kept or lost, what cannot be decided, nudges, bells, signs of life."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from threading import Event
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock, patch

from django.db import OperationalError
from django.test import override_settings
from psycopg.errors import LockNotAvailable

from sagas import bell, jobs, registry, worker
from sagas.clock import database_now
from sagas.engine import Life, Periodic, claims
from sagas.models import Process, Schedule
from sagas.orchestrator import ledger, loading
from tests.crashpoints.paths import Paths
from tests.crashpoints.shop import Yearly
from tests.crashpoints.stage import QUEUES, Stage

path = Paths()


def fresh(stage: Stage) -> None:
    """Have a saga of which nothing is claimed."""
    stage.start()


def claimed(stage: Stage) -> None:
    """Have a saga whose worker is dead."""
    stage.start()
    claims.claim(QUEUES, 10, "doomed")


def told_by_the_dead(stage: Stage) -> None:
    """Have a saga whose end a dead worker was about to tell."""
    stage.start(kind="ToldParcel")
    stage.new_pump("parcel").run(30)
    claims.claim(QUEUES, 10, "doomed")


@path(claimed)
def lose_a_lease(stage: Stage) -> None:
    stage.rest()


@path(told_by_the_dead)
def lose_the_lease_of_a_delivery(stage: Stage) -> None:
    stage.rest()


@path(fresh)
def keep_a_lease(stage: Stage) -> None:
    claims.renew(claims.claim(QUEUES, 10, "stage"))
    stage.rest()


@path()
def find_nobody_who_handles_it(stage: Stage) -> None:
    stage.start(key="k", kind="Forsaken")
    stage.rest()


def another_knows(stage: Stage) -> None:
    """Have a saga whose command a worker of other code handles, which has just gone silent."""
    stage.start(kind="Forsaken")
    signs = {"host": "h", "pid": 1, "started_at": database_now(), "seen_at": database_now()}
    names = {"queues": ["strange"], "commands": ["StrangeService.Call"]}
    Process.objects.create(name="other", kind=Process.WORKER, **names, **signs)


@path(another_knows)
def leave_a_command_to_another_worker(stage: Stage) -> None:
    stage.new_pump("strange").run(30)
    Process.objects.all().delete()
    stage.rest()


@contextmanager
def broken(module: Any, name: str, fault: Exception | None = None) -> Iterator[None]:
    """Have a function of ours fail."""
    with patch.object(module, name, side_effect=fault or ValueError("a fault of ours")):
        yield


def locked() -> OperationalError:
    """Return what the database says of a row that somebody keeps for too long."""
    fault = OperationalError("canceling statement due to lock timeout")
    fault.__cause__ = LockNotAvailable()
    return fault


@path()
def be_locked_while_nobody_handles_it(stage: Stage) -> None:
    stage.start(key="k", kind="Forsaken")
    stage.time_passes()
    with broken(loading, "lock", locked()):
        stage.clock.tick()
    stage.rest()


@path(fresh)
def be_unreadable_for_a_while(stage: Stage) -> None:
    with broken(loading, "held_from"):
        stage.serve()
    stage.rest()


@path(fresh)
def be_undecidable_for_a_while(stage: Stage) -> None:
    with broken(ledger, "drafted"):
        stage.serve()
        stage.time_passes()
        stage.clock.tick()
    stage.rest()


class DeafWorker(worker.NudgeWorker):
    """An RQ worker that hears no orders by Redis: it would have a thread of its own for them."""

    def subscribe(self) -> None:
        """Hear nothing."""

    def unsubscribe(self) -> None:
        """Nor stop hearing it."""


@path()
def be_nudged_by_a_job(stage: Stage) -> None:
    stage.start(key="k", kind="Asynchronous")
    jobs.serve(stage.pump)
    stop: Any = SimpleNamespace(asked=False, wait=lambda _: None, telling=lambda _: nullcontext())
    with override_settings(SAGAS={"MAX_JOBS": 1}), patch.object(worker, "NudgeWorker", DeafWorker):
        worker._work(list(QUEUES), stage.pump, stop)
    stage.rest()


class Once:
    """An event that is set when it is looked at for the second time."""

    def __init__(self) -> None:
        self.looks = 0

    def is_set(self) -> bool:
        """Say so."""
        self.looks += 1
        return self.looks > 1


@path()
def be_called_by_the_bell(stage: Stage) -> None:
    staying = Event()
    staying.set()
    no_threads = SimpleNamespace(
        Event=Event, Thread=Mock()
    )  # for the bell alone: the pump's handlers want theirs
    with patch.object(bell, "threading", no_threads), patch.object(bell, "SIGN", 0.01):
        listener = bell.Listener(QUEUES, staying, lambda: stage.pump.run(30))
        listener._closed = Once()  # type: ignore[assignment]
        listener._say_so()
        stage.start(key="k")
        listener._listen()
    stage.rest()


@path()
def show_signs_of_life(stage: Stage) -> None:
    life = Life(Process.WORKER, QUEUES)
    life._closed.set()
    life._beat()


@path(fresh)
def have_no_room_for_a_while(stage: Stage) -> None:
    bell.say_full(True)
    bell.heard_full()
    bell.say_full(False)
    stage.rest()


def seen_long_ago(stage: Stage) -> None:
    """Have a schedule that no clock has looked at for years."""
    past = database_now() - timedelta(days=3 * 366)
    Schedule.objects.create(saga_type=Yearly.saga_type, every=Yearly.every, tick=past)


@contextmanager
def yearly() -> Iterator[None]:
    """Have a periodic type, for this path's clocks only."""
    registry.saga_types()  # those that are still to be entered shall stay
    with patch.dict(registry._saga_types, {Yearly.saga_type: Yearly()}):
        yield


@path(seen_long_ago)
def start_at_a_tick(stage: Stage) -> None:
    with yearly():
        stage.clock.tick()
        stage.rest()


@path(seen_long_ago)
def fail_at_a_tick_and_try_again(stage: Stage) -> None:
    with yearly():
        with patch.object(Yearly, "periodic_data", side_effect=ValueError("a fault of the author's")):
            stage.clock.tick()
        stage.clock.periodic = Periodic()  # a minute later
        stage.clock.tick()
        stage.rest()


@path()
def see_a_schedule_for_the_first_time(stage: Stage) -> None:
    with yearly():
        stage.clock.tick()


@path()
def take_ahead_and_give_back(stage: Stage) -> None:
    stage.start(key="k")
    stage.take_and_give_back()
    stage.rest()
