"""Where handlers are quick, a worker takes more than it can run at once, so that commits are shared; and gives back."""

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from sagas.engine import Pump, claims
from sagas.engine import pump as pumping
from sagas.engine.slots import Slots
from sagas.models import Due, Saga
from tests.sagas import shop
from tests.sagas.conftest import QUEUES
from tests.sagas.running import assert_rows_are_the_fold, rest, run
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two(settings: Any) -> None:
    """Two handlers at once, and four pieces of work ahead."""
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 2, "PREFETCH": 4}


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much was asked for with each claim."""
    asked: list[int] = []
    claim = claims.claim

    def noted(queues: Any, limit: int, worker: str) -> Any:
        asked.append(limit)
        return claim(queues, limit, worker)

    monkeypatch.setattr(claims, "claim", noted)
    return asked


@pytest.mark.parametrize(
    ("took", "ahead"),
    [(None, 0), (0.0, 4), (0.001, 4), (0.03, 4), (0.04, 3), (0.05, 2), (0.09, 0), (0.1, 0), (30.0, 0)],
)
def test_a_tenth_of_a_second_of_work_is_taken_ahead(two: None, took: float | None, ahead: int) -> None:
    pump = Pump(QUEUES, "test-worker")
    pump._slots.took = took
    assert pump.free == 2 + ahead


def test_of_what_was_taken_no_more_runs_at_once_than_may(
    two: None, errand: Any, limits: list[int], world: shop.World
) -> None:
    running, most = [0], [0]
    together = threading.Lock()

    def counted(_: Any) -> dict[str, Any]:
        with together:
            running[0] += 1
            most[0] = max(most[0], running[0])
        with together:
            running[0] -= 1
        return {}

    for name in ("FetchService.Fetch", "PayService.Pay", "PostService.Post"):
        world.behaviour[name] = counted
    sagas = [errand() for _ in range(20)]
    pump = Pump(QUEUES, "test-worker")
    pump._slots.took = 0.0
    run(pump)
    assert max(limits) == 6
    assert most[0] <= 2
    assert {Saga.objects.get(pk=saga.pk).state for saga in sagas} == {"completed"}


@pytest.fixture
def stuck(world: shop.World) -> Any:
    """Handlers that do not return until they are told to."""
    go_on = threading.Event()

    def waits(_: Any) -> dict[str, Any]:
        assert go_on.wait(30)
        return {}

    world.behaviour["FetchService.Fetch"] = waits
    yield go_on
    go_on.set()


def pumping_thread(pump: Pump) -> threading.Thread:
    """Have a worker pump in a thread of its own."""

    def serve() -> None:
        try:
            pump.run(budget=30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_what_waits_in_vain_is_left_to_others_as_if_it_had_never_been_taken(
    two: None, errand: Any, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch, world: shop.World
) -> None:
    monkeypatch.setattr(pumping, "AFTER_ALL", 0.05)
    sagas = [errand() for _ in range(6)]
    pump = Pump(QUEUES, "test-worker")
    pump._slots.took = 0.0
    thread = pumping_thread(pump)
    until(lambda: Due.objects.filter(lease_token__isnull=False).count() == 2)
    left = Due.objects.free()
    assert [(due.attempt, due.worker, due.error) for due in left] == [(1, None, None)] * 4
    until(lambda: pump.free == 0)
    assert pump.busy == 2
    stuck.set()
    thread.join()
    for saga in sagas:
        assert rest(Pump(QUEUES, "another"), saga).state == "completed"
        assert_rows_are_the_fold(saga)
    assert world.count["FetchService.Fetch"] == 6


def test_what_has_not_begun_has_not_timed_out(
    two: None, errand: Any, stuck: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pumping, "AFTER_ALL", 3600)
    sagas = [errand() for _ in range(3)]
    Due.objects.filter(saga=sagas[2]).update(timeout=0.05)
    pump = Pump(QUEUES, "test-worker")
    pump._slots.took = 0.0
    thread = pumping_thread(pump)
    until(lambda: Due.objects.filter(lease_token__isnull=False).count() == 2)
    (due,) = Due.objects.free()
    assert (due.saga_id, due.attempt, due.error) == (sagas[2].pk, 1, None)
    stuck.set()
    thread.join()


def test_a_handler_that_hangs_keeps_nobody_waiting_once_its_time_is_over(
    two: None, errand: Any, stuck: threading.Event, world: shop.World
) -> None:
    first = [errand() for _ in range(2)]
    Due.objects.update(timeout=0.2)
    hung = {str(saga.pk) for saga in first}
    waits = world.behaviour["FetchService.Fetch"]

    def hangs_once(sent: Any) -> Any:
        return waits(sent) if sent["saga_id"] in hung and sent.meta.attempt == 1 else {}

    world.behaviour["FetchService.Fetch"] = hangs_once
    others = [errand() for _ in range(4)]
    pump = Pump(QUEUES, "test-worker")
    pump._slots.took = 0.0
    thread = pumping_thread(pump)
    until(lambda: all(Saga.objects.get(pk=saga.pk).state == "completed" for saga in others))
    stuck.set()
    thread.join()
    until(lambda: pump.busy == 0)  # what hung has said late what came of it


def test_what_a_worker_has_taken_it_does_before_it_stops(two: None, errand: Any, world: shop.World) -> None:
    stop = threading.Event()
    fetched: list[str] = []

    def last(sent: Any) -> dict[str, Any]:
        stop.set()
        fetched.append(sent["saga_id"])
        return {}

    world.behaviour["FetchService.Fetch"] = last
    for _ in range(6):
        errand()
    pump = Pump(QUEUES, "test-worker", stop.is_set)
    pump._slots.took = 0.0
    run(pump)
    assert len(fetched) == 6
    assert not Due.objects.filter(lease_token__isnull=False).exists()


# --- the slots


def test_coroutines_wait_for_each_other_beyond_the_limit() -> None:
    limit, running, most, ended = [2], [0], [0], []

    async def work() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0)
        running[0] -= 1

    pool = Slots(lambda: limit[0])
    for _ in range(10):
        pool.run_async(work, 30, lambda _, fault: ended.append(fault), "work")
    until(lambda: len(ended) == 10)
    assert ended == [None] * 10
    assert most[0] <= 2
    assert pool.waiting == 0


def test_threads_that_are_called_while_others_begin_do_not_exceed_the_limit() -> None:
    eager = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads meet each other between any two lines
    try:
        for _ in range(300):
            go_on, begun, ended = threading.Event(), [], []
            pool = Slots(lambda: 2)

            def work(begun: list[int] = begun, go_on: threading.Event = go_on) -> None:
                begun.append(1)
                go_on.wait(30)

            def done(*_: Any, ended: list[int] = ended) -> None:
                ended.append(1)

            for _ in range(6):
                pool.run(work, done)
            until(lambda begun=begun: len(begun) >= 2)
            most = pool.busy
            go_on.set()
            until(lambda ended=ended: len(ended) == 6)
            assert most == 2
    finally:
        sys.setswitchinterval(eager)


@pytest.mark.parametrize("of_coroutines", [False, True])
def test_what_has_not_begun_can_be_taken_back_and_goes_on_with_a_higher_limit(of_coroutines: bool) -> None:
    limit, go_on, begun, ended = [1], threading.Event(), [], []
    pool = Slots(lambda: limit[0])

    def give(name: str) -> Callable[..., None]:
        def done(*_: Any) -> None:
            ended.append(name)

        def work() -> None:
            begun.append(name)
            go_on.wait(30)

        async def turning() -> None:
            begun.append(name)
            while not go_on.is_set():
                await asyncio.sleep(0.001)

        if of_coroutines:
            pool.run_async(turning, 30, done, name)
        else:
            pool.run(work, done)
        return done

    given = [give(name) for name in "abcd"]
    until(lambda: begun == ["a"])
    assert pool.waiting == 3
    assert pool.waited > 0
    assert pool.withdraw({given[1], given[0]}) == [given[1]]
    limit[0] = 2
    pool.go_on()
    until(lambda: begun == ["a", "c"])
    assert pool.withdraw(given) == [given[3]]
    assert (pool.waiting, pool.waited) == (0, 0.0)
    go_on.set()
    until(lambda: sorted(ended) == ["a", "c"])


def test_the_time_that_handlers_take_is_the_latest_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Slots(lambda: 1)
    assert pool.took is None
    pool.run(lambda: None, lambda *_: None)
    until(lambda: pool.took is not None)
    assert pool.took is not None
    pool.took = 30.0
    ended: list[Any] = []
    for _ in range(300):
        pool.run(lambda: None, lambda *_: ended.append(1))
    until(lambda: len(ended) == 300)
    assert pool.took < 0.1
