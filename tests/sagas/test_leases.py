"""Taking due work and keeping it, and who may speak for it when a lease is lost."""

import threading
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, OperationalError, connection, transaction
from django.db.models.functions import Now

from sagas import orchestrator
from sagas.core.messages import Completed
from sagas.engine import Pump, claims, reap
from sagas.models import Due, LateReply, Saga, Step
from sagas.orchestrator import ledger
from sagas.signals import left_over
from tests.sagas import shop
from tests.sagas.running import rest, run
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime.now(UTC)


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


def test_who_takes_all_that_it_can_calls_the_next_one(errand: Any) -> None:
    called: list[set[str]] = []

    def hear(queues: set[str], **_: Any) -> None:
        called.append(queues)

    for _ in range(3):
        errand()
    left_over.connect(hear)
    try:
        assert len(claims.claim(["fetch"], 2, "one")) == 2
        assert called == [{"fetch"}]
        assert len(claims.claim(["fetch"], 2, "another")) == 1
        assert called == [{"fetch"}], "nothing is left"
    finally:
        left_over.disconnect(hear)


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
            connection.cursor().execute("SET LOCAL enable_nestloop = off")  # it would go by time
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


def test_a_lost_lease_that_cannot_be_written_holds_up_no_other(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisoned, healthy = errand(), errand()
    claims.claim(["fetch"], 2, "doomed")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    write = ledger.Group.write

    def refuses(group: ledger.Group) -> None:
        if poisoned.pk in group.sagas:
            raise DataError("no room for that value")
        write(group)

    monkeypatch.setattr(ledger.Group, "write", refuses)
    assert reap() == 2
    assert "no room for that value" in (Due.objects.get(saga=poisoned).error or "")
    assert healthy.steps.get(name="fetch").attempt == 2


def test_work_is_not_begun_before_it_is_due(errand: Any, pump: Pump, world: shop.World) -> None:
    errand()
    Due.objects.update(due_at=Now() + timedelta(hours=1))
    run(pump)
    assert world.calls == []
