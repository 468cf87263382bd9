"""Sagas that are called: started, and carried on in the process that started them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections, transaction

from sagas import Unavailable, direct, orchestrator
from sagas.engine import Pump, resident
from sagas.models import Due, Saga, Step
from tests.sagas import shop, waits
from tests.sagas.running import assert_rows_are_the_fold, rest
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], resident.Resident]]:
    """This process' resident; what it had for the test before is over, and what it has for this one is over behind."""
    monkeypatch.setattr(direct, "_resident", None)
    yield direct._host
    monkeypatch.setattr(resident, "SPARE", 0.0)
    if direct._resident is not None and (thread := direct._resident._thread) is not None:
        direct._resident.ring()
        thread.join(timeout=30)
        assert not thread.is_alive()


def errand(**options: Any) -> Saga:
    return shop.Errand().run({"item": "book"}, **options)


def test_a_saga_is_carried_on_where_it_is_called_and_no_worker_hears_of_it(world: shop.World) -> None:
    saga = errand()
    assert saga.state == "completed"
    assert world.names == ["FetchService.Fetch", "PayService.Pay", "PostService.Post"]
    assert not Due.objects.exists()
    assert_rows_are_the_fold(saga)


def test_what_is_returned_is_what_the_row_says(world: shop.World) -> None:
    saga = errand(correlation_id="c", idempotency_key="k")
    row = Saga.objects.get(pk=saga.pk)
    for field in Saga._meta.concrete_fields:
        assert getattr(saga, field.attname) == getattr(row, field.attname), field.attname


def test_its_row_tells_what_the_steps_have_returned(world: shop.World) -> None:
    made = {"fetch": "FetchService.Fetch", "pay": "PayService.Pay", "post": "PostService.Post"}
    assert errand().results == {step: {"by": name} for step, name in made.items()}


def test_it_is_never_read(world: shop.World, reads: list[Any], locks: list[Any]) -> None:
    assert errand().state == "completed"
    assert not reads
    assert not locks


def test_it_rolls_back_where_it_is_called(world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject("no post today")
    saga = errand()
    assert (saga.state, saga.error) == ("failed", "no post today")
    assert world.names[-2:] == ["PayService.Refund", "FetchService.Return"]
    assert_rows_are_the_fold(saga)


def test_nobody_is_rung_for(world: shop.World, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[set[str]] = []

    def hear(*, queues: set[str], **_: Any) -> None:
        rung.append(queues)

    orchestrator.ledger.committed.connect(hear)
    try:
        errand()
    finally:
        orchestrator.ledger.committed.disconnect(hear)
    assert rung
    assert not any(rung)


def test_what_is_on_a_queue_that_is_not_run_here_goes_on_with_its_worker(
    world: shop.World, settings: Any, pump: Pump
) -> None:
    settings.SAGAS = {**settings.SAGAS, "RUN_QUEUES": ("fetch",)}
    saga = errand(wait=0)
    rest_here(saga)
    assert world.names == ["FetchService.Fetch"]
    assert Due.objects.get().queue == "pay"
    with ThreadPoolExecutor(1) as other:
        called = other.submit(lambda: _closing(lambda: errand()))
        until(lambda: Due.objects.filter(queue="pay", lease_token=None).count() == 2)
        pump.run(30)
        assert called.result(timeout=30).state == "completed"
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_what_is_tried_again_later_is_left_to_the_workers(world: shop.World, pump: Pump) -> None:
    world.behaviour["PayService.Pay"] = _busy_once()
    saga = errand(wait=0)
    rest_here(saga)
    assert Due.objects.get().lease_token is None
    assert rest(pump, saga).state == "completed"
    assert [sent.meta.key for sent in world.calls if sent.name == "PayService.Pay"] == [
        f"{saga.pk}:pay:do:1"
    ] * 2


@pytest.fixture
def nobody_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        raise AssertionError("it was to be returned at once")

    monkeypatch.setattr(direct, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))


@pytest.mark.usefixtures("nobody_looks_again")
def test_it_returns_when_a_person_is_asked(world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject()
    world.behaviour["PayService.Refund"] = shop.reject("spent")
    saga = errand()
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")


@pytest.mark.usefixtures("nobody_looks_again")
def test_it_returns_when_an_approval_is_waited_for(world: shop.World) -> None:
    saga = waits.Permit().run({"steps": ["ok"], "amount": 1})
    assert saga.waiting is not None
    assert saga.waiting["kind"] == "approval"


def test_a_handler_that_takes_longer_than_the_caller_waits_goes_on(world: shop.World) -> None:
    release = threading.Event()
    world.behaviour["PayService.Pay"] = lambda _: release.wait(30) and {}
    saga = errand(wait=0.2)
    assert saga.state == "pending"
    assert Step.objects.get(saga=saga, name="pay").status == "executing"
    release.set()
    until(lambda: Saga.objects.get(pk=saga.pk).state == "completed")


def test_a_call_where_commits_are_the_callers_is_refused(world: shop.World) -> None:
    transaction.set_autocommit(False)
    try:
        with pytest.raises(RuntimeError, match="on_commit"):
            shop.Errand().run({"item": "book"}, wait=5)
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert not world.names


def test_a_call_in_a_transaction_is_refused(world: shop.World) -> None:
    with transaction.atomic(), pytest.raises(RuntimeError, match="on_commit"):
        errand()
    assert not Saga.objects.exists()


@pytest.mark.parametrize("wait", [-1, None, True, "5", float("nan")])
def test_a_wait_that_is_none_is_refused(world: shop.World, wait: Any) -> None:
    with pytest.raises(orchestrator.Invalid, match="seconds"):
        errand(wait=wait)
    assert not Saga.objects.exists()


def test_data_that_does_not_do_is_refused_and_nothing_stays_behind(
    world: shop.World, host: Callable[[], resident.Resident]
) -> None:
    with pytest.raises(orchestrator.Invalid):
        shop.Errand().run({"item": object()})
    assert not host()._visits


def test_the_same_key_again_is_the_same_saga_at_its_end(world: shop.World) -> None:
    first, again = errand(idempotency_key="k"), errand(idempotency_key="k")
    assert (again.pk, again.state) == (first.pk, "completed")
    assert len(world.calls) == 3


def test_many_callers_share_what_carries_them_on(
    world: shop.World, host: Callable[[], resident.Resident]
) -> None:
    with ThreadPoolExecutor(8) as callers:
        sagas = list(callers.map(lambda _: _closing(errand), range(40)))
    assert {saga.state for saga in sagas} == {"completed"}
    assert len(world.calls) == len({sent.meta.key for sent in world.calls}) == 3 * 40
    assert not host()._visits
    assert not host()._sagas
    assert not Due.objects.exists()


def test_what_there_is_no_room_for_goes_to_the_workers(world: shop.World, settings: Any, pump: Pump) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 1}
    release = threading.Event()
    world.behaviour["FetchService.Fetch"] = lambda _: release.wait(30) and {}
    first, second = errand(wait=0), errand(wait=0)
    assert Due.objects.get(saga=first).lease_token is not None
    assert Due.objects.get(saga=second).lease_token is None
    release.set()
    until(lambda: Saga.objects.get(pk=first.pk).state == "completed")
    assert rest(pump, second).state == "completed"


def test_what_has_arrived_together_finds_room_one_after_the_other(
    world: shop.World, settings: Any, host: Callable[[], resident.Resident]
) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 1}
    ours = host()
    started = [orchestrator.start("Errand", {"item": "book"}, claim=ours.lease) for _ in range(3)]
    visits = [ours.receive(each.claimed) for each in started]
    held = [visit.wait(30) for visit in visits]
    assert [each.progress.state for each in held if each] == ["completed"] * 3


@pytest.fixture
def begun_late(settings: Any) -> None:
    """Whatever is begun has waited so long that its lease may be over."""
    settings.SAGAS = {**settings.SAGAS, "LEASE": 1e-9}


@pytest.mark.usefixtures("begun_late")
def test_what_was_lost_before_it_was_begun_is_not_begun_here(
    world: shop.World, host: Callable[[], resident.Resident], pump: Pump
) -> None:
    ours = host()
    started = orchestrator.start("Errand", {"item": "book"}, claim=ours.lease)
    Due.objects.update(lease_token=None, lease_until=None, claimed_at=None, timeout_at=None, worker=None)
    assert ours.receive(started.claimed).wait(30) is None
    assert not ours._visits
    assert not world.calls
    assert rest(pump, started.saga).state == "completed"


@pytest.mark.usefixtures("begun_late")
def test_what_waited_long_and_is_still_ours_is_begun(world: shop.World) -> None:
    assert errand().state == "completed"


def test_the_lease_of_what_waits_for_room_is_kept(
    world: shop.World, host: Callable[[], resident.Resident], settings: Any
) -> None:
    ours, release = host(), threading.Event()
    world.behaviour["FetchService.Fetch"] = lambda _: release.wait(30) and {}
    first, second = (orchestrator.start("Errand", {"item": "book"}, claim=ours.lease) for _ in range(2))
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 1}
    visits = [ours.receive(each.claimed) for each in (first, second)]
    until(lambda: len(world.calls) == 1)
    waits = Due.objects.filter(saga=second.saga)
    lease = waits.get().lease_until
    ours._renewed = -1e9
    ours.ring()
    until(lambda: waits.get().lease_until != lease)
    assert len(world.calls) == 1
    release.set()
    held = [visit.wait(30) for visit in visits]
    assert [each.progress.state for each in held if each] == ["completed"] * 2


@pytest.mark.usefixtures("begun_late")
def test_a_database_that_is_away_is_waited_for(world: shop.World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resident, "AFTER_A_FAULT", 0)
    renew, faults = resident.claims.renew, [resident.AWAY[0]("gone"), ValueError("odd")]

    def fail(*args: Any) -> Any:
        if faults:
            raise faults.pop()
        return renew(*args)

    monkeypatch.setattr(resident.claims, "renew", fail)
    assert errand().state == "completed"
    assert not faults


def test_it_is_called_from_asynchronous_code(world: shop.World) -> None:
    async def call() -> Saga:
        saga = await shop.Errand().arun({"item": "book"})
        assert saga.results.keys() == {"fetch", "pay", "post"}, "no query is allowed here"
        return saga

    assert asyncio.run(call()).state == "completed"


def test_those_who_wait_in_asynchronous_code_take_no_thread(world: shop.World) -> None:
    may_end = threading.Event()
    world.behaviour["PostService.Post"] = lambda sent: may_end.wait(30)

    async def call() -> list[Saga]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        calls = [asyncio.create_task(shop.Errand().arun({"item": "book"})) for _ in range(3)]
        await _reached(lambda: world.count["PostService.Post"] == 3)
        late = asyncio.create_task(shop.Errand().arun({"item": "book"}))
        await _reached(lambda: world.count["PostService.Post"] == 4)
        late.cancel()
        may_end.set()
        return await asyncio.gather(*calls)

    assert [saga.state for saga in asyncio.run(call())] == ["completed"] * 3
    until(lambda: Saga.objects.filter(state="completed").count() == 4)


async def _reached(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def test_it_goes_on_elsewhere_when_it_is_called_from_asynchronous_code(
    world: shop.World, settings: Any, pump: Pump
) -> None:
    settings.SAGAS = {**settings.SAGAS, "RUN_QUEUES": ("fetch",)}

    async def call() -> Saga:
        called = asyncio.create_task(shop.Errand().arun({"item": "book"}))
        await asyncio.to_thread(until, lambda: world.count["FetchService.Fetch"] == 1)
        while not called.done():
            await asyncio.to_thread(_closing, lambda: pump.run(1))
        return await called

    assert asyncio.run(call()).state == "completed"


def test_nobody_waits_for_less_than_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([1.0, 2.9, 3.1])
    monkeypatch.setattr(direct, "time", SimpleNamespace(monotonic=lambda: next(times)))
    assert list(direct._pauses(3.0)) == pytest.approx([direct.LOOK, direct.LOOK * 1.5])


def test_its_thread_ends_when_there_is_nothing_for_a_while_and_comes_back(
    world: shop.World, host: Callable[[], resident.Resident], monkeypatch: pytest.MonkeyPatch
) -> None:
    errand()
    assert host()._thread is not None
    monkeypatch.setattr(resident, "SPARE", 0.0)
    until(lambda: host()._thread is None)
    assert errand().state == "completed"


def test_a_child_process_has_a_host_of_its_own(
    world: shop.World, host: Callable[[], resident.Resident]
) -> None:
    before = host()
    direct._after_fork()
    assert host() is not before


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("begun_late")
def test_its_connection_plans_by_keys(world: shop.World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    renew = resident.claims.renew

    def spy(works: Any) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_seqscan")
            seen.append(cursor.fetchone()[0])
        return renew(works)

    def caller() -> str:
        errand()
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_seqscan")
            its_own: str = cursor.fetchone()[0]
        connections.close_all()
        return its_own

    monkeypatch.setattr(resident.claims, "renew", spy)
    with ThreadPoolExecutor(1) as fresh:  # others may have set what this thread has
        assert fresh.submit(caller).result() == "on"
    assert set(seen) == {"off"}


def rest_here(saga: Saga) -> None:
    """Wait until nothing of it runs in this process."""
    assert direct._resident is not None
    visits = direct._resident._visits
    until(lambda: saga.pk not in visits)


def _busy_once() -> Callable[[Any], Any]:
    said: list[str] = []

    def behave(sent: Any) -> Any:
        if not said:
            said.append(sent.name)
            raise Unavailable("busy", retry_after=60)
        return {}

    return behave


def _closing(call: Callable[[], Saga]) -> Saga:
    try:
        return call()
    finally:
        connections.close_all()
