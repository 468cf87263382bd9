"""The engine against real rows: claiming, running, committing in groups, and what happens when things die."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from sagas import SagaOrchestrator, SagaStep, command, orchestrator, registry, rows
from sagas.core.events import event_from
from sagas.core.machine import fold
from sagas.core.messages import Completed
from sagas.core.progress import Progress
from sagas.engine import Pump, claims, hold_unserved, reap
from sagas.models import Definition, Due, LateReply, Process, Saga, Step
from sagas.orchestrator import ledger, loading, pins
from sagas.signals import committed
from tests.sagas import shop
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


def run(pump: Pump) -> None:
    pump.run(budget=30)


def rest(pump: Pump, saga: Saga) -> Saga:
    """Run until the saga is at rest, making every back-off due at once."""
    for _ in range(30):
        run(pump)
        saga.refresh_from_db()
        waiting = Due.objects.filter(saga=saga, paused=False)
        if not waiting.exists():
            return saga
        waiting.update(due_at=Now())
    raise AssertionError(f"{saga} does not come to rest: {list(waiting.values())}")


def refold(saga: Saga) -> Progress:
    """Fold the saga's event log from nothing."""
    definition = pins.definition(saga.definition_id)
    log = [
        event_from(e.type, at=e.at, version=e.version, step=e.step, data=e.data)
        for e in saga.events.order_by("sequence")
    ]
    return fold(Progress.blank(definition), log)


def assert_rows_are_the_fold(saga: Saga) -> None:
    (held,) = loading.read([saga.pk])
    assert held.progress == refold(saga)


def test_an_errand_runs_through(errand: Any, pump: Pump, world: shop.World) -> None:
    saga = errand()
    run(pump)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert world.names == ["FetchService.Fetch", "PayService.Pay", "PostService.Post"]
    assert not Due.objects.exists()
    assert_rows_are_the_fold(saga)


def test_a_handler_gets_the_data_the_results_and_the_envelope(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    saga = errand(extra={"deep": [1]})
    world.behaviour["PostService.Post"] = shop.reject()
    rest(pump, saga)
    pay = next(sent for sent in world.calls if sent.name == "PayService.Pay")
    assert dict(pay)["extra"] == {"deep": [1]}
    assert pay["saga_id"] == str(saga.pk)
    assert pay["step_name"] == "pay"
    assert pay["results"] == {"fetch": {"by": "FetchService.Fetch"}}
    assert pay.meta.key == f"{saga.pk}:pay:do:1"
    refund = next(sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund["original_result"] == {"by": "PayService.Pay"}
    assert refund.meta.undoes == pay.meta.key


def test_a_saga_that_moves_on_while_it_is_read_is_told_as_it_was_at_one_moment(
    errand: Any, pump: Pump
) -> None:
    saga = errand()  # as it was read
    run(pump)
    told = orchestrator.snapshot(saga)
    saga.refresh_from_db()
    assert (told["version"], told["state"]) == (saga.version, "completed")
    assert {step["status"] for step in told["steps"]} == {"completed"}


def test_a_rejection_rolls_back_in_reverse_order(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject("no post today")
    saga = rest(pump, errand())
    assert (saga.state, saga.error) == ("failed", "no post today")
    assert world.names[-2:] == ["PayService.Refund", "FetchService.Return"]
    assert_rows_are_the_fold(saga)


def test_a_failing_first_step_ends_in_failed(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject()
    assert rest(pump, errand()).state == "failed"
    assert world.names == ["FetchService.Fetch"]


def test_an_error_is_retried_with_the_same_key(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.fail(times=2)
    assert rest(pump, errand()).state == "completed"
    tries = [sent.meta for sent in world.calls if sent.name == "PayService.Pay"]
    assert [meta.attempt for meta in tries] == [1, 2, 3]
    assert len({meta.key for meta in tries}) == 1


def test_an_unknown_outcome_is_undone_like_a_completed_step(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.fail()
    saga = rest(pump, errand())
    assert saga.state == "failed"
    assert world.count["PayService.Pay"] == 3
    assert world.count["PayService.Refund"] == 1
    refund = next(sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund["original_result"] is None
    assert_rows_are_the_fold(saga)


def test_an_undo_that_keeps_failing_asks_for_attention(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject()
    world.behaviour["PayService.Refund"] = shop.fail()
    saga = rest(pump, errand())
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")
    assert world.count["PayService.Refund"] == 3
    assert world.count["FetchService.Return"] == 0, (
        "nothing is undone while something that relies on it stands"
    )


def test_branches_run_side_by_side_and_meet(errand: Any, pump: Pump, world: shop.World) -> None:
    together = threading.Barrier(2, timeout=20)
    for name in ("FetchService.Fetch", "PayService.Pay"):
        world.behaviour[name] = lambda _: together.wait() and None
    assert rest(pump, errand(branches=True)).state == "completed"
    assert world.names[-1] == "PostService.Post"


def test_a_branch_that_fails_waits_for_the_one_that_runs(errand: Any, pump: Pump, world: shop.World) -> None:
    paying, rejected = threading.Event(), threading.Event()

    def pay(_: Any) -> Any:
        paying.set()
        assert rejected.wait(20)
        return {"paid": 1}

    def fetch(_: Any) -> Any:
        assert paying.wait(20)
        rejected.set()
        return shop.reject("gone")(_)

    world.behaviour |= {"PayService.Pay": pay, "FetchService.Fetch": fetch}
    saga = rest(pump, errand(branches=True))
    assert saga.state == "failed"
    assert world.count["PayService.Refund"] == 1


def at_once(pump: Pump, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let handlers end as they begin, so that how outcomes are grouped is no matter of chance."""
    monkeypatch.setattr(pump._slots, "run", lambda function, done: done(function(), None))


@pytest.fixture
def commits() -> Iterator[list[int]]:
    """How many sagas each commit moved."""
    sizes: list[int] = []

    def heard(*, changes: list[Any], **_: Any) -> None:
        sizes.append(len(changes))

    committed.connect(heard)
    yield sizes
    committed.disconnect(heard)


def test_many_sagas_share_their_commits(
    world: shop.World, pump: Pump, commits: list[int], monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 16}
    at_once(pump, monkeypatch)
    orchestrator.start_many("Errand", [{"item": str(i)} for i in range(40)])
    commits.clear()
    run(pump)
    assert Saga.objects.filter(state="completed").count() == 40
    assert commits == [16] * 3 + [16] * 3 + [8] * 3


def test_a_saga_is_read_once_and_again_only_if_somebody_moved_it(
    errand: Any, pump: Pump, world: shop.World, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Any] = []
    locks: list[Any] = []
    held_from, lock = loading.held_from, loading.lock

    def counted(saga: Any, *rest: Any) -> Any:
        reads.append(saga["id"])
        return held_from(saga, *rest)

    def noted(ids: Any) -> Any:
        locks.append(ids)
        return lock(ids)

    monkeypatch.setattr(loading, "held_from", counted)
    monkeypatch.setattr(loading, "lock", noted)
    left_alone = errand()
    run(pump)
    assert reads == [left_alone.pk], "when it was claimed"
    assert not locks

    reads.clear()
    moved = errand(branches=True)
    paused = threading.Event()

    def pay(_: Any) -> None:
        orchestrator.act(moved.pk, "pause", asked())
        orchestrator.act(moved.pk, "resume", asked())
        paused.set()

    def fetch(_: Any) -> None:
        assert paused.wait(20)

    world.behaviour |= {"PayService.Pay": pay, "FetchService.Fetch": fetch}
    run(pump)
    assert len(reads) > 1
    for saga in (left_alone, moved):
        saga.refresh_from_db()
        assert saga.state == "completed"
        assert_rows_are_the_fold(saga)


def test_a_saga_that_moved_on_unseen_is_locked_and_read_again(
    errand: Any, pump: Pump, world: shop.World, asked: Any
) -> None:
    """The pump trusts what it last saw; its commit must find out that somebody else was there."""
    neighbour, moved = errand(), errand()

    def fetch(given: Any) -> None:
        if given["saga_id"] == str(moved.pk):
            orchestrator.act(moved.pk, "pause", asked())
            orchestrator.act(moved.pk, "resume", asked())

    world.behaviour["FetchService.Fetch"] = fetch
    run(pump)
    for saga in (neighbour, moved):
        saga.refresh_from_db()
        assert saga.state == "completed"
        assert_rows_are_the_fold(saga)
    assert set(moved.events.values_list("type", flat=True)) >= {"SagaPaused", "SagaResumed"}


def test_a_worker_that_stays_hears_the_ring(errand: Any, pump: Pump, world: shop.World) -> None:
    def stay() -> None:
        pump.run(30, stay=True)
        connection.close()

    thread, stop = threading.Thread(target=stay), threading.Event()
    pump.stopping = stop.is_set
    thread.start()
    try:
        assert pump.staying.wait(20)
        saga = errand()
        pump.ring()
        until(lambda: Saga.objects.filter(pk=saga.pk, state="completed").exists())
    finally:
        stop.set()
        pump.ring()
        thread.join(20)
    assert not thread.is_alive(), "told to stop, it does not use up its budget"


def test_two_replies_that_share_a_commit_are_two_transitions(
    errand: Any, pump: Pump, world: shop.World, commits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(pump, monkeypatch)
    saga = errand(branches=True)
    run(pump)
    saga.refresh_from_db()
    assert commits == [1, 1, 1], "the start, both branches, the join"
    versions = saga.events.order_by("sequence").values_list("version", flat=True)
    assert sorted(set(versions)) == [1, 2, 3, 4]
    assert_rows_are_the_fold(saga)


def test_a_claim_takes_what_others_have_not_and_waits_for_nobody(errand: Any) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has one writer: claims come one after the other
    first, second = errand(), errand()
    taken: SimpleQueue[Any] = SimpleQueue()

    def claim() -> None:
        taken.put(claims.claim(["fetch"], 10, "other"))
        connection.close()

    with transaction.atomic():
        (mine,) = claims.claim(["fetch"], 1, "one")
        thread = threading.Thread(target=claim)
        thread.start()
        (theirs,) = taken.get(timeout=20)
    thread.join()
    assert {mine.saga_id, theirs.saga_id} == {first.pk, second.pk}


def test_the_longest_due_is_taken_first_however_the_database_finds_it(errand: Any) -> None:
    sagas = [errand() for _ in range(20)]
    for age, saga in enumerate(sagas):
        Due.objects.filter(saga=saga).update(due_at=NOW - timedelta(minutes=age))
    with transaction.atomic():
        if connection.vendor == "postgresql":
            connection.cursor().execute(
                "SET LOCAL enable_nestloop = off"
            )  # which would go by time, by chance
        taken = claims.claim(["fetch"], 20, "one")
    assert [work.saga_id for work in taken] == [saga.pk for saga in reversed(sagas)]


def test_what_takes_longer_than_a_lease_is_kept(
    errand: Any, pump: Pump, world: shop.World, settings: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "LEASE": 0.3}

    def fetch(sent: Any) -> None:
        lease = Due.objects.filter(saga=sent["saga_id"]).values_list("lease_until", flat=True)
        first = lease.get()
        until(lambda: lease.get() > first, within=10)

    world.behaviour["FetchService.Fetch"] = fetch
    saga = errand()
    run(pump)
    saga.refresh_from_db()
    assert (saga.state, world.count["FetchService.Fetch"]) == ("completed", 1)


def test_a_handler_that_outlasts_the_budget_keeps_nobody_out_and_is_heard(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    """Its worker serves on in the same job: another job might go to another worker, and nobody would hear it."""
    release, holding = threading.Event(), threading.Event()

    def fetch(given: Any) -> None:
        if "slow" in given:
            holding.set()
            release.wait(30)

    world.behaviour["FetchService.Fetch"] = fetch
    slow = errand(slow=True)
    job = threading.Thread(target=lambda: (pump.run(0.05, stay=True), connection.close()))
    job.start()
    assert holding.wait(20)
    for _ in range(10):  # takes longer than the budget
        other = errand()
        pump.ring()
        until(lambda other=other: Saga.objects.filter(pk=other.pk, state="completed").exists())
    release.set()
    job.join(20)
    assert not job.is_alive(), "with nothing left that runs, the budget counts"
    assert Saga.objects.get(pk=slow.pk).state == "completed"


def test_a_lost_lease_is_an_attempt_of_unknown_outcome(errand: Any, pump: Pump, world: shop.World) -> None:
    saga = errand()
    (work,) = claims.claim(["fetch"], 10, "doomed")
    assert claims.claim(["fetch"], 10, "other") == [], "it is held"
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap() == 1
    step = Step.objects.get(saga=saga, name="fetch")
    assert (step.attempt, step.outcome, step.unresolved) == (2, "unknown", True)
    assert "doomed" in (step.error or "")
    assert rest(pump, saga).state == "completed"
    assert work.command is not None
    assert world.calls[0].meta.key == work.command.meta.key


def test_a_zombie_cannot_speak_for_a_command_that_another_holds(errand: Any, world: shop.World) -> None:
    saga = errand()
    (work,) = claims.claim(["fetch"], 1, "zombie")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    reap()
    Due.objects.update(due_at=Now())
    (again,) = claims.claim(["fetch"], 1, "successor")
    before = Saga.objects.get(pk=saga.pk).version
    reply = orchestrator.Answered(saga.pk, _completed(work.number), work.token)
    orchestrator.deliver([reply])
    assert Saga.objects.get(pk=saga.pk).version == before
    assert LateReply.objects.get().step == "fetch"
    orchestrator.deliver([orchestrator.Answered(saga.pk, _completed(again.number), again.token)])
    assert Saga.objects.get(pk=saga.pk).version == before + 1


def test_a_definite_reply_counts_while_nobody_else_holds_the_command(errand: Any, world: shop.World) -> None:
    saga = errand()
    (work,) = claims.claim(["fetch"], 1, "slow")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    reap()
    orchestrator.deliver([orchestrator.Answered(saga.pk, _completed(work.number), work.token)])
    assert Step.objects.get(saga=saga, name="fetch").status == "completed"


def _completed(number: int) -> Completed:
    return Completed(number, {"late": True})


def test_a_repeated_reply_changes_nothing(errand: Any, world: shop.World) -> None:
    saga = errand()
    assert orchestrator.step_completed(saga.pk, "fetch", {"n": 1})
    version = Saga.objects.get(pk=saga.pk).version
    for _ in range(3):
        assert not orchestrator.step_completed(saga.pk, "fetch", {"n": 2})
    assert Saga.objects.get(pk=saga.pk).version == version
    assert LateReply.objects.count() == 3
    assert Step.objects.get(saga=saga, name="fetch").result == {"n": 1}


def test_a_reply_to_a_step_that_is_not_open_is_late(errand: Any, world: shop.World) -> None:
    saga = errand()
    assert not orchestrator.step_completed(saga.pk, "post", {})
    assert not orchestrator.compensation_completed(saga.pk, "fetch")
    with pytest.raises(orchestrator.Invalid, match="no step 'nothing'"):
        orchestrator.step_completed(saga.pk, "nothing", {})
    with pytest.raises(orchestrator.NotFound):
        orchestrator.step_failed(uuid4(), "fetch", "x")
    assert LateReply.objects.count() == 4, "even those are recorded"


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


@pytest.mark.parametrize(
    ("data", "end"), [({}, ("completed", None)), ({"hang": 1}, ("pending", "outcome_unknown"))]
)
def test_handlers_may_be_asynchronous_and_are_timed_out(data: Any, end: Any) -> None:
    saga = Asynchronous().start(data)
    run(Pump(["async"], "test-worker"))
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == end


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


@pytest.mark.parametrize(
    "result", [object(), float("nan"), {"text": "a\x00b"}, {"half": "\ud800"}, [10**5000]]
)
def test_what_cannot_be_recorded_is_no_result(
    errand: Any, pump: Pump, world: shop.World, result: Any
) -> None:
    world.behaviour["FetchService.Fetch"] = lambda _: result
    saga = errand(hold=True)
    rest(pump, saga)
    step = Step.objects.get(saga=saga, name="fetch")
    assert saga.attention == "retries_spent"
    assert "cannot be recorded" in (step.error or "")


def test_an_error_that_no_database_could_store_is_stored_without_that(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject("a\x00b \ud800")
    assert rest(pump, errand()).error == "ab ?"


def test_a_saga_that_cannot_be_read_does_not_hold_up_its_queue(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    errand()
    unreadable, healthy = errand(cannot_undo=True), errand()
    document = {"saga_type": "Errand", "steps": []}
    Definition.objects.filter(pk=unreadable.definition_id).update(document=document)
    pins.forget_definitions()
    run(pump)
    healthy.refresh_from_db()
    assert healthy.state == "completed"
    due = Due.objects.get(saga=unreadable)
    assert due.lease_token is None
    assert "cannot be read" in (due.error or "")


def test_an_outcome_that_cannot_be_written_does_not_spoil_its_group(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt, healthy = errand(), errand()
    write = ledger.Group.write

    def refuses(group: Any) -> None:
        if spoilt.pk in group.sagas:
            raise DataError("the database has no room for it")
        write(group)

    monkeypatch.setattr(ledger.Group, "write", refuses)
    run(pump)
    healthy.refresh_from_db()
    assert healthy.state == "completed"
    assert "no room for it" in (Due.objects.get(saga=spoilt).error or "")


def test_a_database_that_was_away_for_longer_than_a_lease_holds_nothing_up(
    errand: Any, pump: Pump, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.SAGAS = {"LEASE": 0.1}
    saga = errand()

    def is_away(_: ledger.Group) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(ledger.Group, "write", is_away)
        run(pump)
    until(reap)
    step = saga.steps.get(name="fetch")
    assert (step.status, step.attempt) == ("executing", 2)


def test_a_lost_lease_that_cannot_be_decided_is_put_off(errand: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    saga = errand()
    claims.claim(["fetch"], 1, "doomed")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))

    def breaks(*_: Any) -> None:
        raise RuntimeError("poison")

    monkeypatch.setattr(ledger.Group, "decide", breaks)
    assert reap() == 1
    assert "poison" in (Due.objects.get(saga=saga).error or "")
    assert reap() == 0


def test_a_saga_that_cannot_be_decided_does_not_hold_up_the_others(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned, healthy = errand(), errand()
    decide = ledger.Group.decide

    def breaks(group: Any, held: Any, *told: Any) -> Any:
        if held.id == poisoned.pk:
            raise RuntimeError("poison")
        return decide(group, held, *told)

    monkeypatch.setattr(ledger.Group, "decide", breaks)
    run(pump)
    healthy.refresh_from_db()
    poisoned.refresh_from_db()
    assert (healthy.state, poisoned.state) == ("completed", "pending")
    due = Due.objects.get(saga=poisoned)
    assert due.lease_token is not None, "nobody may think that nothing was tried"
    assert "poison" in (due.error or "")
    monkeypatch.setattr(ledger.Group, "decide", decide)
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    reap()
    assert Step.objects.get(saga=poisoned, name="fetch").unresolved
    assert rest(pump, poisoned).state == "completed"


def test_nobody_writes_without_the_lock_unnoticed(errand: Any) -> None:
    saga = errand()

    @transaction.atomic
    def write() -> None:
        group = ledger.Group()
        group.lock([saga.pk])
        Saga.objects.filter(pk=saga.pk).update(version=F("version") + 1, sequence=F("sequence") + 1)
        group.decide(group.sagas[saga.pk], _completed(2))
        group.write()

    with pytest.raises(rows.Stale):
        write()
    assert Step.objects.get(saga=saga, name="fetch").status == "executing"


def test_who_reads_in_a_transaction_can_write_in_it(errand: Any) -> None:
    if connection.vendor != "sqlite":
        return  # where readers never wait for writers
    saga = errand()
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)
    with transaction.atomic():
        assert Saga.objects.filter(pk=saga.pk).exists()
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("UPDATE sagas_saga SET paused = paused")
        Saga.objects.filter(pk=saga.pk).update(paused=F("paused"))
    other.close()


def test_work_is_not_begun_before_it_is_due(errand: Any, pump: Pump, world: shop.World) -> None:
    errand()
    Due.objects.update(due_at=Now() + timedelta(hours=1))
    run(pump)
    assert world.calls == []


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


def test_an_asynchronous_handler_that_blocks_does_not_hold_up_those_that_come_after() -> None:
    blocking, release = threading.Event(), threading.Event()
    Blocking.meanwhile = lambda: (blocking.set(), release.wait(30))
    pump = Pump(["blocking", "async"], "test-worker")
    blocked = Blocking().start({})
    runs = threading.Thread(target=lambda: (run(pump), connection.close()))
    runs.start()
    assert blocking.wait(20)
    until(lambda: pump._slots._loop is None)
    after = Asynchronous().start({})
    until(lambda: Saga.objects.get(pk=after.pk).state == "completed")
    release.set()
    runs.join(30)
    assert Saga.objects.get(pk=blocked.pk).state == "completed"


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
