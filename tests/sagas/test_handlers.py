"""Handlers that hang, block or are asynchronous, and commands that nobody handles."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils.functional import SimpleLazyObject

from sagas import Later, SagaOrchestrator, SagaStep, command, orchestrator, registry
from sagas.engine import Pump, claims, hold_unserved
from sagas.engine.slots import Slots
from sagas.models import Due, Process, Saga, Step
from sagas.registry import WAITS_QUEUE
from tests.sagas import shop
from tests.sagas.running import at_once, run
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


def test_a_hung_handler_costs_its_own_slot_only(world: shop.World) -> None:
    release = threading.Event()
    pump = Pump(("hang", "fetch", "pay", "post"), "test-worker")
    hanging = Hanging().start({"item": "x"})
    Hanging.wait_for = release
    others = orchestrator.start_many("Errand", [{"item": str(i)} for i in range(5)])
    run(pump)
    assert Saga.objects.filter(pk__in=[o.pk for o in others], state="completed").count() == 5
    hanging.refresh_from_db()
    assert (hanging.state, hanging.attention) == ("pending", "outcome_unknown")
    assert len(pump.hung) == 1
    release.set()
    until(lambda: not pump.busy)
    hanging.refresh_from_db()
    assert hanging.state == "completed", "its late success is taken: nobody else held the command"


def test_a_handler_that_answers_at_the_last_moment_does_not_hang(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(pump, monkeypatch)
    saga = errand()
    (work,) = claims.claim(["fetch"], 1, "test-worker")
    pump._begin(work)
    pump.running[work.token] = pump.running[work.token]._replace(until=0.0)
    pump._harvest(claiming=False, end=0.0)
    assert Step.objects.get(saga=saga, name="fetch").status == "completed"
    assert not pump.hung


class Stranger(SagaOrchestrator):
    saga_type = "Stranger"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("call", "NowhereService.Call" if data else "HangService.Hang")]


class Hanging(SagaOrchestrator):
    saga_type = "Hanging"
    wait_for: threading.Event

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("hang", "HangService.Hang", timeout=0.2, retry=shop.Retry(max_attempts=1))]


@command("HangService.Hang")
def hang(_: Any) -> None:
    Hanging.wait_for.wait(30)


@command("AsyncService.Sleep")
async def sleep(sent: Any) -> Any:
    await asyncio.sleep(0)
    if sent.get("hang"):
        await asyncio.Event().wait()
    return {"slept": True}


class Asynchronous(SagaOrchestrator):
    saga_type = "Asynchronous"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        retry = shop.Retry(max_attempts=1)
        return [SagaStep("sleep", "AsyncService.Sleep", timeout=0.3 if data.get("hang") else 20, retry=retry)]


class Troubled(SagaOrchestrator):
    saga_type = "Troubled"
    raises: BaseException
    calls: str

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("wait", self.calls, retry=shop.Retry(max_attempts=1))]


@command("TroubledService.Wait", queue="troubled")
def wait(_: Any) -> None:
    raise Troubled.raises


@command("TroubledService.WaitLater", queue="troubled")
async def wait_later(_: Any) -> None:
    raise Troubled.raises


@pytest.mark.parametrize(
    ("data", "end"), [({}, ("completed", None)), ({"hang": 1}, ("pending", "outcome_unknown"))]
)
def test_handlers_may_be_asynchronous_and_are_timed_out(data: Any, end: Any) -> None:
    saga = Asynchronous().start(data)
    run(Pump(["async"], "test-worker"))
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == end


def test_a_result_that_cannot_be_looked_at_is_its_handlers_own_trouble(world: shop.World) -> None:
    def gone() -> Any:
        raise Saga.DoesNotExist("no such customer")

    first, *others = orchestrator.start_many("Errand", [{"item": str(i), "hold": True} for i in range(4)])
    answers = {str(first.pk): SimpleLazyObject(gone)}
    world.behaviour["FetchService.Fetch"] = lambda c: answers.get(c["saga_id"], {"fetched": True})
    run(Pump(("fetch", "pay", "post"), "test-worker"))
    assert Saga.objects.filter(pk__in=[o.pk for o in others], state="completed").count() == 3
    assert world.names.count("FetchService.Fetch") == 3 + shop.QUICK.max_attempts
    error = Step.objects.get(saga=first, name="fetch").error or ""
    assert "cannot be recorded: DoesNotExist: no such customer" in error


async def _leaves() -> None:
    await asyncio.sleep(0)
    raise SystemExit(3)


@pytest.mark.parametrize("own", [False, True], ids=["itself", "a task of its own"])
def test_an_asynchronous_handler_that_ends_the_program_ends_itself_only(
    own: bool, caplog: pytest.LogCaptureFixture
) -> None:
    slots, ended = Slots(lambda: 5), []

    async def leaving() -> None:
        if own:
            asyncio.get_running_loop().create_task(_leaves())
            await asyncio.sleep(30)
        await _leaves()

    async def staying() -> str:
        await release.wait()
        return "stayed"

    release = asyncio.Event()
    slots.run_async(staying, 20, lambda result, fault: ended.append((result, fault)), "staying")
    slots.run_async(leaving, 0.2 if own else 20, lambda *_: ended.append("left"), "leaving")
    until(lambda: ended == ["left"])
    loop = slots._loop
    assert loop is not None
    loop.call_soon_threadsafe(release.set)
    until(lambda: len(ended) == 2)
    assert ended[1] == ("stayed", None)
    assert ("its loop goes on" in caplog.text) == own


@pytest.mark.parametrize("fault", [TimeoutError(), asyncio.CancelledError("by the bank")])
@pytest.mark.parametrize("named", ["TroubledService.Wait", "TroubledService.WaitLater"])
def test_a_time_out_that_a_handler_raises_is_told_as_its_own(
    fault: BaseException, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    Troubled.raises, Troubled.calls = fault, named
    saga = Troubled().start({})
    run(Pump(["troubled"], "test-worker"))
    step = Step.objects.get(saga=saga)
    assert (step.outcome, step.attention) == ("unknown", "outcome_unknown")
    assert f"{type(fault).__name__}: {fault}" in (step.error or "")
    assert "(test_handlers.py:" in (step.error or "")
    assert "no reply within" not in (step.error or "")
    assert f"{named} failed in attempt 1" in caplog.text


def test_a_command_that_nobody_handles_asks_for_attention(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_saga_classes", "_saga_types", "_commands"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))

    class Orphaned(SagaOrchestrator):
        saga_type = "Orphaned"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            return [SagaStep("call", "GoneService.Call")]

    saga = Orphaned().start({})
    pump = Pump(["gone"], "test-worker")
    run(pump)
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("pending", "no_handler")
    command("GoneService.Call")(lambda _: {"back": True})
    orchestrator.act(saga.pk, "retry", asked(step="call"))
    run(pump)
    saga.refresh_from_db()
    assert saga.state == "completed"


def test_a_command_of_which_nobody_knows_asks_for_attention(settings: Any) -> None:
    settings.SAGAS = {"UNSERVED": 0.001}
    saga = Stranger().start({"item": "x"})
    Due.objects.update(due_at=Now() - timedelta(seconds=1))
    gone = {"host": "h", "pid": 1, "started_at": NOW, "seen_at": NOW}
    Process.objects.create(name="w", kind="worker", queues=["nowhere"], **gone)
    assert hold_unserved() == 0, "its workers may be back soon"
    Process.objects.all().delete()
    assert hold_unserved() == 1
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("pending", "no_handler")


class Blocking(SagaOrchestrator):
    saga_type = "Blocking"
    meanwhile: Any

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("block", "BlockingService.Block")]


class Impatient(SagaOrchestrator):
    saga_type = "Impatient"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("block", "BlockingService.Block", timeout=0.5, retry=shop.Retry(max_attempts=1))]


@command("BlockingService.Block")
async def block(_: Any) -> None:
    Blocking.meanwhile()


def test_an_asynchronous_handler_that_blocks_does_not_hold_up_those_that_come_after(
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocking, release = threading.Event(), threading.Event()
    Blocking.meanwhile = lambda: (blocking.set(), release.wait(30))
    pump = Pump(["blocking", "async"], "test-worker")
    blocked = Blocking().start({})
    runs = threading.Thread(target=lambda: (run(pump), connection.close()))
    runs.start()
    assert blocking.wait(20)
    left_behind = pump._slots._loop
    until(lambda: pump._slots._loop is not left_behind)
    assert "BlockingService.Block blocks its event loop; the next handlers get another loop" in caplog.text
    after = Asynchronous().start({})
    until(lambda: Saga.objects.get(pk=after.pk).state == "completed")
    release.set()
    runs.join(30)
    assert Saga.objects.get(pk=blocked.pk).state == "completed"
    until(lambda: left_behind.is_closed())


def test_a_handler_whose_own_task_blocks_is_named_beside_what_shares_its_loop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocking, release, ended = threading.Event(), threading.Event(), []
    pool = Slots(lambda: 64)

    async def waits() -> None:
        while not release.is_set():
            await asyncio.sleep(0.01)

    async def in_a_task() -> None:
        async def blocks() -> None:
            blocking.set()
            release.wait(30)

        await asyncio.gather(blocks())

    for name, make in (("Idle.Wait", waits), ("Gather.All", in_a_task)):
        pool.run_async(make, 30, lambda result, fault: ended.append(fault), name)
    assert blocking.wait(20)
    until(lambda: (pool.watch(), pool._loop is None)[1])
    release.set()
    assert "Gather.All or Idle.Wait blocks its event loop" in caplog.text
    until(lambda: len(ended) == 2)
    assert (ended, pool._names) == ([None, None], {})


def test_what_an_asynchronous_handler_says_too_late_is_taken() -> None:
    release = threading.Event()
    Blocking.meanwhile = lambda: release.wait(30)
    saga = Impatient().start({})
    pump = Pump(["blocking"], "test-worker")
    run(pump)
    saga.refresh_from_db()
    assert saga.attention == "outcome_unknown"
    release.set()
    until(lambda: Saga.objects.get(pk=saga.pk).state == "completed")
    until(lambda: not pump.busy)


def test_a_no_from_outside_does_not_speak_for_an_attempt_before_it(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = registry.handler("PayService.Pay")
    assert known
    bare = {"PayService.Pay": replace(known, inbox=False)}
    monkeypatch.setattr(registry, "_commands", {**registry._commands, **bare})
    tries: list[str] = []

    def pay(sent: Any) -> Any:
        tries.append(sent.meta.key)
        if len(tries) == 1:
            raise ConnectionError("it is there, and the answer is lost")
        return Later(within=3600)

    world.behaviour["PayService.Pay"] = pay
    saga = errand()
    run(pump)
    Due.objects.filter(saga=saga).exclude(queue=WAITS_QUEUE).update(due_at=Now())
    run(pump)
    assert Step.objects.get(saga=saga, name="pay").waiting == "reply"
    assert orchestrator.step_failed(saga.pk, "pay", "no")
    step = Step.objects.get(saga=saga, name="pay")
    assert (step.status, step.unresolved) == ("executing", True)
