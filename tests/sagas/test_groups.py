"""What a worker does for many sagas together: reads and commits that they share, and one that spoils nothing."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import DataError, InternalError, OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from sagas import Rejected, orchestrator, rows
from sagas.core.messages import Completed
from sagas.engine import Pump, aside, claims, reap, work
from sagas.models import Definition, Due, Saga, Step
from sagas.orchestrator import ledger, loading
from sagas.signals import committed
from tests.forgetting import forget_definitions
from tests.sagas import functions, shop
from tests.sagas.running import assert_rows_are_the_fold, at_once, rest, run
from tests.sagas.test_handlers import Hanging
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_a_saga_that_grows_is_read_once(
    pump: Pump, world: shop.World, reads: list[Any], locks: list[Any]
) -> None:
    with functions.doing(functions.errand):
        saga = functions.held_errands.start({"item": "book"})
        run(pump)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert reads == [saga.pk], "when it was claimed: which rows are new, the commit has told"
    assert not locks


def test_a_saga_is_read_once_and_again_only_if_somebody_moved_it(
    errand: Any, pump: Pump, world: shop.World, asked: Any, reads: list[Any], locks: list[Any]
) -> None:
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


def test_what_another_worker_has_taken_meanwhile_is_not_withdrawn_unseen(
    errand: Any, world: shop.World
) -> None:
    """A claim makes no version: the commit that turns the saga back must find out that somebody calls the step."""
    saga = errand(branches=True, join=["fetch"])
    taken: list[Any] = []

    def post_is_taken() -> bool:
        taken.extend(claims.claim(["post"], 1, "another worker"))
        return bool(taken)

    def pay(_: Any) -> None:
        until(post_is_taken)
        raise Rejected("no money")

    world.behaviour["PayService.Pay"] = pay
    run(Pump(["fetch", "pay"], "a worker"))
    (work,) = taken
    saga.refresh_from_db()
    assert saga.state == "compensating"
    assert Due.objects.get(saga=saga, step="post").lease_token == work.token
    assert not saga.events.filter(type="StepWithdrawn").exists(), "it is awaited"
    reply = Completed(work.number, None, inbox=True)
    orchestrator.deliver([orchestrator.Answered(saga.pk, reply, work.token, work.claimed_at)])
    rest(Pump(["fetch", "pay"], "a worker"), saga)
    assert saga.state == "failed"
    assert_rows_are_the_fold(saga)
    assert Step.objects.get(saga=saga, name="post").status == "completed", "it has no undo, and stands"


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


def test_a_saga_that_cannot_be_read_does_not_hold_up_its_queue(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    errand()
    unreadable, healthy = errand(cannot_undo=True), errand()
    document = {"saga_type": "Errand", "steps": []}
    Definition.objects.filter(pk=unreadable.definition_id).update(document=document)
    forget_definitions()
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
    assert not pump._sagas, "what nothing runs of any more is not kept"


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
    why = orchestrator.snapshot(poisoned)["why"]
    assert why["kind"] == "stuck"
    assert "fetch has ended, and what came of it could not be decided: RuntimeError: poison." in why["text"]
    monkeypatch.setattr(ledger.Group, "decide", decide)
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    reap()
    assert Step.objects.get(saga=poisoned, name="fetch").unresolved
    assert rest(pump, poisoned).state == "completed"


def test_a_saga_whose_command_cannot_be_made_spoils_nobody_elses(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, poisoned, behind = errand(), errand(), errand()
    told = work._told

    def breaks(held: Any, *more: Any) -> Any:
        if held.id == poisoned.pk:
            raise ValueError("its data makes no command")
        return told(held, *more)

    monkeypatch.setattr(work, "_told", breaks)
    run(pump)
    states = {saga.pk: (saga.state, saga.attention) for saga in Saga.objects.all()}
    assert states[before.pk] == states[behind.pk] == ("completed", None)
    assert states[poisoned.pk] == ("pending", "misconfigured")
    assert "makes no command" in (Step.objects.get(saga=poisoned, name="fetch").error or "")


def test_of_branches_that_are_lost_together_none_is_tried_again_once_one_has_turned_the_saga_back(
    errand: Any, world: shop.World
) -> None:
    saga = errand(branches=True)
    assert len(claims.claim(["fetch", "pay"], 2, "dying")) == 2
    Step.objects.filter(saga=saga, name="pay").update(budget=1)
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap() == 2
    saga.refresh_from_db()
    assert saga.state == "compensating"
    assert not Due.objects.filter(saga=saga, direction="do").exists()


def test_a_saga_that_somebody_keeps_locked_costs_its_neighbours_nothing(
    errand: Any, pump: Pump, world: shop.World, settings: Any
) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has one writer, and nobody locks a saga alone
    settings.SAGAS = {**settings.SAGAS, "LEASE": 0.5}
    locked, healthy, ended = errand(), errand(), threading.Event()

    def serve() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        run(pump)
        connection.close()
        ended.set()

    thread = threading.Thread(target=serve)
    with transaction.atomic():
        assert Saga.objects.select_for_update(no_key=True).get(pk=locked.pk)
        thread.start()
        until(lambda: Saga.objects.filter(pk=healthy.pk, state="completed").exists())
        lease = Due.objects.filter(saga=locked).values_list("lease_until", flat=True)
        first = lease.get()
        until(lambda: lease.get() > first)  # it is kept as long as it takes
        assert not ended.is_set()
        assert Saga.objects.get(pk=locked.pk).version == locked.version
    thread.join(30)
    assert Saga.objects.get(pk=locked.pk).state == "completed"
    assert set(world.count.values()) == {2}


@pytest.fixture
def refusals(monkeypatch: pytest.MonkeyPatch) -> Callable[[Saga, int], list[int]]:
    """Refuse to write so many times what a saga has a part in, for a lock that nobody sees; lists how many it was."""
    deliver = orchestrator.deliver

    def refuse(saga: Saga, times: int) -> list[int]:
        refused: list[int] = []

        def refuses(answers: Any, *more: Any, **options: Any) -> Any:
            if len(refused) < times and any(answer.saga_id == saga.pk for answer in answers):
                refused.append(len(answers))
                raise OperationalError("lock timeout") from psycopg.errors.LockNotAvailable()
            return deliver(answers, *more, **options)

        monkeypatch.setattr(orchestrator, "deliver", refuses)
        monkeypatch.setattr(aside, "SOONEST", 0.01)
        return refused

    return refuse


def test_what_is_locked_where_nobody_sees_it_is_tried_again(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch, refusals: Any
) -> None:
    locked, healthy = errand(), errand()
    at_once(pump, monkeypatch)
    refused = refusals(locked, 4)
    run(pump)
    assert len(refused) == 4
    assert refused[:2] == [2, 1], "first with its neighbour, then at once without"
    assert set(Saga.objects.values_list("pk", "state")) == {(s.pk, "completed") for s in (locked, healthy)}
    assert set(world.count.values()) == {2}


def test_who_has_met_a_lock_waits_for_no_other_one_for_a_while(
    errand: Any, pump: Pump, world: shop.World, refusals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, asked = errand(), errand(), list[set[Any]]()

    def locked(ids: Any) -> frozenset[Any]:
        asked.append({*ids})
        return frozenset({second.pk} if len(asked) < 3 else ())

    monkeypatch.setattr(loading, "locked", locked)
    monkeypatch.setattr("sagas.engine.pump.WARY", 600.0)
    refused = refusals(first, 1)
    pump.queues = frozenset({"fetch"})
    at_once(pump, monkeypatch)
    run(pump)  # it waits for the first, which is not locked any more when it looks
    assert refused == [2]
    assert {first.pk, second.pk} in asked
    pump.queues = frozenset({"pay"})
    before = len(asked)
    run(pump)
    assert len(asked) > before, "it looks before it writes"
    assert set(Step.objects.filter(name="pay").values_list("status", flat=True)) == {"completed"}


def test_who_is_to_stop_leaves_a_locked_saga_to_the_clock(
    errand: Any, pump: Pump, world: shop.World, settings: Any, refusals: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "LEASE": 0.2}
    refused = refusals(errand(), 1_000_000)
    pump.stopping = lambda: bool(refused)
    run(pump)
    assert pump.busy == 0
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap() == 1


def test_a_hung_handler_whose_time_out_met_a_lock_still_counts_as_hung(
    errand: Any, world: shop.World, settings: Any, refusals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 1}
    ends = threading.Event()
    monkeypatch.setattr(Hanging, "wait_for", ends, raising=False)
    pump = Pump(("hang", "fetch", "pay", "post"), "test-worker")
    refused = refusals(Hanging().start({}), 1)
    try:
        run(pump)
        assert (refused, len(pump.hung)) == ([1], 1)
        healthy = errand()
        run(pump)
        healthy.refresh_from_db()
        assert healthy.state == "completed", "it has a slot of its own"
    finally:
        ends.set()


def test_a_handler_that_answers_while_its_time_out_waits_for_a_lock_is_heard(
    world: shop.World, refusals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, pump = threading.Event(), Pump(("hang",), "test-worker")
    monkeypatch.setattr(Hanging, "wait_for", ends, raising=False)
    saga = Hanging().start({})
    refused = refusals(saga, 1_000_000)
    thread = threading.Thread(target=lambda: (run(pump), connection.close()))
    thread.start()
    until(lambda: refused)
    ends.set()
    until(lambda: not pump.hung)
    monkeypatch.undo()
    thread.join(30)
    saga.refresh_from_db()
    assert saga.state == "completed"


@pytest.mark.parametrize("fault", [DataError("too large"), OperationalError("away")])
def test_what_was_locked_and_cannot_be_written_then_is_tried_no_more(
    errand: Any, pump: Pump, refusals: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    settings.SAGAS = {**settings.SAGAS, "LEASE": 0.2}
    saga, write = errand(), ledger.Group.write

    def cannot(group: ledger.Group) -> None:
        if saga.pk in group.sagas:
            raise fault
        write(group)

    refusals(saga, 1)
    monkeypatch.setattr(ledger.Group, "write", cannot)
    run(pump)
    assert (len(pump._aside), pump._leased()) == (0, [])
    assert Due.objects.get(saga=saga).lease_token, "the clock says what is lost"


def test_where_nothing_can_be_seen_of_a_lock_all_wait_and_nobody_is_forgotten(
    errand: Any, pump: Pump, world: shop.World, refusals: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sagas, unseen = [errand(), errand()], iter(range(3))
    locked = loading.locked

    def cannot_be_seen(ids: Any) -> Any:
        if next(unseen, None) is not None:
            raise OperationalError("lock timeout") from psycopg.errors.LockNotAvailable()
        return locked(ids)

    at_once(pump, monkeypatch)
    refused = refusals(sagas[0], 2)
    monkeypatch.setattr(loading, "locked", cannot_be_seen)
    run(pump)
    assert refused[0] == 2
    assert set(Saga.objects.values_list("state", flat=True)) == {"completed"}
    assert set(world.count.values()) == {2}


def test_locked_sagas_take_nobodys_slots(
    errand: Any, pump: Pump, world: shop.World, settings: Any, refusals: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "CONCURRENCY": 1, "PREFETCH": 0}
    locked = errand()
    refused = refusals(locked, 1_000_000)
    pump.stopping = lambda: Saga.objects.filter(state="completed").exists()
    thread = threading.Thread(target=lambda: (pump.run(60, stay=True), connection.close()))
    settings.SAGAS = {**settings.SAGAS, "LEASE": 0.2}
    thread.start()
    until(lambda: refused)
    errand()
    pump.ring()
    thread.join(30)
    assert not thread.is_alive()
    assert Saga.objects.filter(state="completed").count() == 1


def test_the_clock_waits_for_no_lock_beside_others(errand: Any, refusals: Any) -> None:
    locked, healthy = errand(), errand()
    assert len(claims.claim(["fetch"], 2, "dying")) == 2
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    refusals(locked, 2)
    assert reap() == 2
    assert Due.objects.get(saga=healthy).lease_token is None
    assert Due.objects.get(saga=locked).lease_token, "it is looked at again"


def test_the_clock_takes_back_what_is_not_locked_without_waiting_for_the_lock(errand: Any) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has one writer, and nobody locks a saga alone
    locked, healthy = errand(), errand()
    assert len(claims.claim(["fetch"], 2, "dying")) == 2
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))

    def take_back() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '60s'")
        reap()
        connection.close()

    thread = threading.Thread(target=take_back)
    with transaction.atomic():
        assert Saga.objects.select_for_update(no_key=True).get(pk=locked.pk)
        thread.start()
        thread.join(30)
        assert Due.objects.get(saga=healthy).lease_token is None
    assert Due.objects.get(saga=locked).lease_token, "it is looked at again"


def test_a_database_that_can_only_be_read_for_a_while_is_waited_for(
    errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga, deliver, refusals = errand(), orchestrator.deliver, iter(range(3))

    def refuses(*args: Any, **options: Any) -> Any:
        if next(refusals, None) is not None:
            raise InternalError("cannot execute UPDATE in a read-only transaction")
        return deliver(*args, **options)

    monkeypatch.setattr(orchestrator, "deliver", refuses)
    run(pump)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert set(world.count.values()) == {1}


def test_nobody_writes_without_the_lock_unnoticed(errand: Any) -> None:
    saga = errand()

    @transaction.atomic
    def write() -> None:
        group = ledger.Group()
        group.lock([saga.pk])
        Saga.objects.filter(pk=saga.pk).update(version=F("version") + 1, sequence=F("sequence") + 1)
        group.decide(group.sagas[saga.pk], Completed(2))
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
