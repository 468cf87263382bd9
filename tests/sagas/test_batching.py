"""A verb on many sagas: chosen once, then one after the other, in waves, at a pace, until too much goes wrong."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from sagas import orchestrator, registry
from sagas.engine import Pump, batches, carry_on
from sagas.models import Batch, BatchItem, Due, OperatorAction, Saga, Step
from sagas.orchestrator import Course, Forbidden, Invalid, NotFound, Refused, batch_plan, batching
from sagas.worker import Clock
from tests.sagas import shop, trade
from tests.sagas.running import assert_rows_are_the_fold, rest, run
from tests.sagas.test_repairing import tell

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., orchestrator.Asked]
#: All at once, as quickly as may be.
AT_ONCE = Course(waves=(), per_second=20, stop_above=None)


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what has moved just now, too."""
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a round of the clock take its time, however slow the machine is."""
    monkeypatch.setattr(batches, "TURN", 30)


@pytest.fixture
def held(errand: Any, pump: Pump, world: shop.World) -> Callable[[int], list[Saga]]:
    """Make so many sagas that ask for a person since nobody can be paid; from then on, everybody can."""

    def make(count: int) -> list[Saga]:
        world.behaviour["PayService.Pay"] = shop.reject("the bank is closed")
        sagas = [errand(hold=True) for _ in range(count)]
        run(pump)
        del world.behaviour["PayService.Pay"]
        assert Saga.objects.at_attention().count() == count
        return sagas

    return make


def begin(asked: Ask, verb: str = "retry", course: Course = AT_ONCE, **more: Any) -> Batch:
    answer = orchestrator.start_batch(
        verb, Saga.objects.all(), asked(**more), course, filters={"state": "pending"}
    )
    return answer.batch


def carried_on(batch: Batch) -> Batch:
    """Carry on, with no pace to wait for."""
    Batch.objects.update(next_at=F("created_at"), per_second=1e9)
    carry_on()
    batch.refresh_from_db()
    return batch


def states(batch: Batch) -> list[str]:
    return list(batch.items.values_list("state", flat=True))


def counted(batch: Batch) -> dict[str, int]:
    return {state: n for state, n in orchestrator.counts([batch])[batch.pk].items() if n}


# --- what it does


def test_each_has_its_verb_with_its_reason_and_its_entry_in_the_audit_trail(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    sagas = held(3)
    batch = carried_on(begin(asked, reason="the bank is open"))
    assert states(batch) == ["acted"] * 3
    for position, saga in enumerate(sagas):
        (action,) = OperatorAction.objects.filter(saga=saga)
        assert (action.verb, action.step, action.operator_name) == ("retry", "pay", "olga")
        assert (action.reason, action.via, action.batch_id) == ("the bank is open", "desk", batch.pk)
        assert action.action_id == f"{batch.key.hex}-{position}-0"
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert states(batch) == ["well"] * 3
    assert world.count["PayService.Pay"] == 6
    for saga in sagas:
        assert rest(pump, saga).state == "completed"
        assert_rows_are_the_fold(saga)


def test_the_oldest_is_the_first(held: Any, asked: Ask) -> None:
    sagas = held(3)
    assert list(begin(asked).items.values_list("saga_id", flat=True)) == sorted(saga.pk for saga in sagas)


def test_roll_back_and_what_came_of_it(held: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    held(2)
    batch = carried_on(begin(asked, "compensate"))
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert counted(batch) == {"well": 2}
    assert set(Saga.objects.values_list("state", flat=True)) == {"failed"}
    assert world.count["FetchService.Return"] == 2


def test_an_undo_that_fails_is_told(held: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    (saga,) = held(1)
    world.behaviour["FetchService.Return"] = shop.fail()
    batch = carried_on(begin(asked, "compensate"))
    rest(pump, saga)
    carried_on(batch)
    (item,) = batch.items.all()
    assert item.state == "failed"
    assert item.text.startswith("fetch: compensation failed: ConnectionError: the line is dead")
    retried = carried_on(begin(asked))
    world.behaviour["FetchService.Return"] = lambda _: {}
    run(pump)
    assert carried_on(retried).state == Batch.DONE
    assert counted(retried) == {"well": 1}  # though it ends as failed: it was on its way back


def test_what_failed_is_started_anew_once(errand: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("the bank is closed")
    sagas = [errand() for _ in range(2)]
    run(pump)
    assert {rest(pump, saga).state for saga in sagas} == {"failed"}
    world.behaviour["PayService.Pay"] = lambda sent: {}
    batch = carried_on(begin(asked, "restart"))
    assert states(batch) == ["acted"] * 2
    made = set(Saga.objects.filter(origin__in=sagas).values_list("pk", flat=True))
    assert {item.created_id for item in batch.items.all()} == made
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert counted(batch) == {"well": 2}
    with pytest.raises(Refused, match="that failed and was not restarted"):
        begin(asked, "restart")


def test_what_is_started_anew_and_fails_again_went_wrong(
    errand: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("the bank is closed")
    errand()
    run(pump)
    batch = carried_on(begin(asked, "restart"))
    run(pump)
    carried_on(batch)
    (item,) = batch.items.all()
    assert (item.state, item.text) == ("failed", "It rolled back: the bank is closed")


def test_a_retry_after_which_a_saga_rolls_back_went_wrong(
    held: Any, pump: Pump, asked: Ask, operator: Any
) -> None:
    (saga,) = held(1)
    batch = carried_on(begin(asked))
    orchestrator.act(saga.pk, "compensate", asked(reason="not after all"))
    carried_on(batch)
    (item,) = batch.items.all()
    assert (item.state, item.text) == ("failed", "It rolled back: rolled back by olga: not after all")


def test_of_a_step_that_waits_for_its_participants_reply_it_is_not_known_yet(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    (saga,) = held(1)
    world.behaviour["PayService.Pay"] = shop.later()
    batch = carried_on(begin(asked))
    run(pump)
    assert states(carried_on(batch)) == ["acted"]
    orchestrator.step_failed(saga.pk, "pay", "not after all")
    assert states(carried_on(batch)) == ["failed"]


def test_what_was_asked_before_is_no_new_failure(
    errand: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    world.behaviour["FetchService.Fetch"] = shop.fail()
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    saga = rest(pump, errand(hold=True, branches=True))
    orchestrator.act(saga.pk, "resolve", asked(step="fetch", outcome="none"))
    tell(saga, Step.objects.get(saga=saga, name="fetch").action_number or 0, {})
    asking = dict(Step.objects.filter(saga=saga, attention__isnull=False).values_list("name", "attention"))
    assert asking == {"fetch": "late_effect", "pay": "held"}
    del world.behaviour["PayService.Pay"]
    batch = carried_on(begin(asked))
    assert states(carried_on(batch)) == ["acted"]
    run(pump)
    assert states(carried_on(batch)) == ["well"]


def test_of_branches_one_that_waits_says_nothing_of_the_other(
    errand: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    assert rest(pump, errand(branches=True)).state == "failed"
    world.behaviour["FetchService.Fetch"] = shop.later()
    batch = carried_on(begin(asked, "restart"))
    world.behaviour["PayService.Pay"] = shop.reject("closed again")
    pay, fetch = (Due.objects.filter(step=name) for name in ("pay", "fetch"))
    pay.update(paused=True)
    run(pump)
    assert states(carried_on(batch)) == ["acted"]
    pay.update(paused=False)
    run(pump)
    (item,) = carried_on(batch).items.all()
    assert (item.state, item.text) == ("failed", "It rolled back: closed again")
    assert not fetch.exists()


def test_a_choreography_is_not_well_because_it_waits_for_its_end(asked: Ask) -> None:
    pump = Pump(("events", registry.WAITS_QUEUE), "test-worker")
    with trade.world() as world:
        world.behaviour["GoodsAsked"] = trade.tells("GoodsMissing")
        saga = rest(pump, trade.Trade().start({"item": "book"}))
        assert saga.state == "failed"
        batch = carried_on(begin(asked, "restart"))
        assert states(carried_on(batch)) == ["acted"]
        run(pump)
        assert states(carried_on(batch)) == ["failed"]


def test_a_step_that_is_held_again_went_wrong(held: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    held(1)
    world.behaviour["PayService.Pay"] = shop.reject("the bank is closed for good")
    batch = carried_on(begin(asked))
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    (item,) = batch.items.all()
    assert (item.state, item.text) == ("failed", "pay: held: the bank is closed for good")


def test_what_has_moved_on_is_left_alone_and_said(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    first, second, third = held(3)
    batch = begin(asked)
    seen = batch.items.get(saga=second).version
    orchestrator.act(second.pk, "pause", asked(step=None))
    carried_on(batch)
    assert states(batch) == ["acted", "refused", "acted"]
    text = batch.items.get(saga=second).text
    assert text == (
        f"The saga has moved on: you saw version {seen}, it is {seen + 1}. olga did that: pause, 'because'."
    )
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert counted(batch) == {"well": 2, "refused": 1}
    assert rest(pump, first).state == rest(pump, third).state == "completed"


def test_a_saga_that_is_pruned_meanwhile_is_passed_over(held: Any, pump: Pump, asked: Ask) -> None:
    first, second = held(2)
    batch = begin(asked)
    first.delete()
    carried_on(batch)
    assert states(batch) == ["refused", "acted"]
    second.delete()
    assert carried_on(batch).state == Batch.DONE
    assert states(batch) == ["refused", "well"]


def test_what_cannot_be_decided_holds_up_no_other(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = held(2)
    batch = begin(asked)
    each = orchestrator.act_on_each

    def breaks(saga_id: Any, *rest: Any) -> Any:
        if saga_id == first.pk:
            raise ZeroDivisionError("an author's mistake")
        return each(saga_id, *rest)

    monkeypatch.setattr(orchestrator, "act_on_each", breaks)
    carried_on(batch)
    assert states(batch) == ["refused", "acted"]
    assert (
        batch.items.get(saga=first).text == "It could not be decided: ZeroDivisionError: an author's mistake"
    )


def test_a_verb_and_its_place_are_written_together(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch, pump: Pump
) -> None:
    """The database goes away between the two."""
    (saga,) = held(1)
    batch = begin(asked)
    save = BatchItem.save

    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(BatchItem, "save", away)
    carry_on()
    batch.refresh_from_db()
    assert batch.note == "Its next saga cannot be acted on at the moment: OperationalError: away"
    assert not OperatorAction.objects.filter(saga=saga).exists()
    assert states(batch) == ["waiting"]
    monkeypatch.setattr(BatchItem, "save", save)
    carried_on(batch)
    assert OperatorAction.objects.filter(saga=saga).count() == 1
    run(pump)
    assert (carried_on(batch).state, batch.note) == (Batch.DONE, None)


def test_the_clock_carries_it_on(held: Any, asked: Ask, pump: Pump) -> None:
    held(1)
    batch = begin(asked)
    Clock().tick()
    assert states(batch) == ["acted"]


def test_it_is_pruned_some_time_after_it_has_ended(held: Any, asked: Ask, pump: Pump) -> None:
    held(2)
    old, young, running = (begin(asked, action_id=name) for name in ("old", "young", "running"))
    orchestrator.act_on_batch(old.pk, "cancel", asked())
    orchestrator.act_on_batch(young.pk, "cancel", asked())
    for batch, days in ((old, 40), (young, 20)):
        Batch.objects.filter(pk=batch.pk).update(ended_at=F("created_at") - timedelta(days=days))
    Batch.objects.filter(pk=running.pk).update(created_at=F("created_at") - timedelta(days=40))
    list(orchestrator.prune(timedelta(days=30), 10, asked()))
    assert set(Batch.objects.values_list("pk", flat=True)) == {young.pk, running.pk}
    assert BatchItem.objects.count() == 4
    action = OperatorAction.objects.get(action_id="old")
    assert (action.verb, action.batch_id) == ("start_batch", old.pk)


# --- what goes wrong with one, and not with the others


def author_raises(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    def broken(*_: Any) -> None:
        raise fault

    monkeypatch.setattr(shop.Errand, "define_steps", broken)


@pytest.fixture
def failed(errand: Any, pump: Pump, world: shop.World) -> Saga:
    """A saga that has rolled back."""
    world.behaviour["PayService.Pay"] = shop.reject("the bank is closed")
    saga = rest(pump, errand())
    assert saga.state == "failed"
    del world.behaviour["PayService.Pay"]
    return saga


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ProgrammingError("no such table"), "ProgrammingError: no such table"),
        (RuntimeError("half \udcff and \x00"), "RuntimeError: half ? and "),
    ],
)
def test_an_authors_mistake_is_told_and_holds_up_nobody(
    failed: Saga, asked: Ask, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: str
) -> None:
    batch = begin(asked, "restart")
    author_raises(monkeypatch, fault)
    carried_on(batch)
    (item,) = batch.items.all()
    assert (item.state, item.text) == ("refused", f"It could not be decided: {told}")


@pytest.mark.parametrize("fault", [OperationalError("their database is away"), RuntimeError("no directory")])
def test_what_may_pass_is_tried_again_and_the_others_go_on(
    failed: Saga, held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    stuck, clock, looked = begin(asked, "restart"), Clock(), []
    held(1)
    batch = begin(asked)
    if isinstance(fault, OperationalError):
        author_raises(monkeypatch, fault)
    else:  # a backend of permissions has gone away, for the one
        check = orchestrator.check_operator

        def away(who: Any, needed: str, doing: str) -> None:
            if needed == "sagas.restart_saga":
                raise fault
            check(who, needed, doing)

        monkeypatch.setattr(orchestrator, "check_operator", away)
    monkeypatch.setattr(clock.periodic, "look", lambda: looked.append(1))
    clock.tick()
    stuck.refresh_from_db()
    assert stuck.note == f"Its next saga cannot be acted on at the moment: {type(fault).__name__}: {fault}"
    assert (stuck.state, states(stuck)) == (Batch.RUNNING, ["waiting"])
    assert (states(batch), looked) == (["acted"], [1])
    monkeypatch.undo()
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))
    assert (carried_on(stuck).note, states(stuck)) == (None, ["acted"])


@pytest.mark.only_on("postgresql")
def test_a_saga_that_somebody_has_locked_has_its_turn_later(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = held(2)
    monkeypatch.setattr(batches, "PATIENCE", 50)
    one, other = (begin_on(asked, saga) for saga in (first, second))
    with psycopg.connect(**connection.get_connection_params()) as theirs:
        theirs.execute("SELECT 1 FROM sagas_saga WHERE id = %s FOR UPDATE", [first.pk])
        carry_on()
    assert (states(one), states(other)) == (["waiting"], ["acted"])
    assert states(carried_on(one)) == ["acted"]


def begin_on(asked: Ask, saga: Saga) -> Batch:
    those = Saga.objects.filter(pk=saga.pk)
    return orchestrator.start_batch("retry", those, asked(), AT_ONCE, filters={}).batch


def test_a_look_takes_as_many_queries_however_many_are_under_way(held: Any, asked: Ask, pump: Pump) -> None:
    def queries(batch: Batch) -> int:
        with CaptureQueriesContext(connection) as taken:
            batches._look(batch.pk)
        return len(taken)

    held(2)
    few = queries(carried_on(begin(asked)))
    run(pump)
    held(9)
    assert queries(carried_on(begin(asked))) == few


# --- waves, pace, and when it pauses by itself


def test_a_wave_begins_once_it_is_known_what_came_of_the_one_before(
    held: Any, pump: Pump, asked: Ask
) -> None:
    held(10)
    batch = begin(asked, course=Course(waves=(1, 2, 3), per_second=20))
    for wave, (acted, before) in enumerate([(1, 0), (2, 1), (3, 3), (4, 6)]):
        carried_on(carried_on(batch))
        assert batch.wave == wave
        assert counted(batch) == {
            k: n for k, n in {"acted": acted, "well": before, "waiting": 10 - acted - before}.items() if n
        }
        run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert counted(batch) == {"well": 10}


def test_waves_beyond_the_last_saga_are_none(held: Any, pump: Pump, asked: Ask) -> None:
    held(3)
    batch = begin(asked, course=Course(waves=(2, 50, 7)))
    carried_on(batch)
    run(pump)
    carried_on(carried_on(batch))
    run(pump)
    assert carried_on(batch).state == Batch.DONE


def test_it_pauses_itself_when_too_many_go_wrong_again(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    held(4)
    batch = begin(asked, course=Course(waves=(1,), per_second=20, stop_above=20))
    carried_on(batch)
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    run(pump)
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note == "1 of 1 went wrong again, which is more than 20 %."
    assert counted(batch) == {"failed": 1, "waiting": 3}
    assert carried_on(batch).state == Batch.PAUSED

    del world.behaviour["PayService.Pay"]
    orchestrator.act_on_batch(batch.pk, "resume", asked())
    carried_on(carried_on(batch))  # what went wrong before does not count any more
    assert (batch.state, batch.note) == (Batch.RUNNING, None)
    assert counted(batch) == {"failed": 1, "acted": 3}
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    run(pump)
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note == "3 of 3 went wrong again since it was resumed, which is more than 20 %."
    orchestrator.act_on_batch(batch.pk, "resume", asked())
    assert carried_on(batch).state == Batch.DONE


def test_what_is_under_way_when_it_is_resumed_counts(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    held(4)
    batch = carried_on(begin(asked, course=Course(waves=(3,), per_second=20, stop_above=0)))
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    orchestrator.act_on_batch(batch.pk, "resume", asked())
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    run(pump)
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note == "3 of 3 went wrong again, which is more than 0 %."


def test_as_much_as_may_go_wrong_does_not_stop_it(
    held: Any, pump: Pump, asked: Ask, world: shop.World
) -> None:
    first, *_ = held(5)
    batch = carried_on(begin(asked, course=Course(waves=(), per_second=20, stop_above=20)))
    bad = str(first.pk)
    world.behaviour["PayService.Pay"] = lambda sent: shop.reject()(sent) if sent["saga_id"] == bad else {}
    run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert counted(batch) == {"failed": 1, "well": 4}


def test_it_goes_on_at_its_pace(held: Any, asked: Ask) -> None:
    held(3)
    batch = begin(asked, course=Course(waves=(), per_second=0.1))
    carry_on()
    batch.refresh_from_db()
    assert states(batch) == ["acted", "waiting", "waiting"]
    assert timedelta(seconds=8) < batch.next_at - batch.created_at <= timedelta(seconds=12)
    carry_on()
    assert states(batch) == ["acted", "waiting", "waiting"]
    Batch.objects.update(next_at=F("next_at") - timedelta(hours=1))  # it was not looked at for an hour
    carry_on()
    assert states(batch) == ["acted", "acted", "waiting"]


def test_no_more_begin_while_too_many_are_under_way(
    held: Any, asked: Ask, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(3)
    monkeypatch.setattr(batches, "MOST_UNDER_WAY", 2)
    monkeypatch.setattr(batching, "MOST_UNDER_WAY", 2)
    batch = carried_on(carried_on(begin(asked)))
    assert states(batch) == ["acted", "acted", "waiting"]
    run(pump)
    assert states(carried_on(batch)) == ["well", "well", "acted"]


def test_a_round_of_the_clock_is_not_all_of_it(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(3)
    monkeypatch.setattr(batches, "TURN", 0)
    batch = carried_on(begin(asked))
    assert states(batch) == ["acted", "waiting", "waiting"]  # one at least, however long it took to look
    assert states(carried_on(batch)) == ["acted", "acted", "waiting"]


def test_two_batches_go_on_side_by_side(held: Any, pump: Pump, asked: Ask) -> None:
    held(2)
    one, other = begin(asked), begin(asked)
    carried_on(one)
    assert states(one) == ["acted", "acted"]
    assert states(other) == ["refused", "refused"]  # the first was there before
    run(pump)
    assert {carried_on(one).state, carried_on(other).state} == {Batch.DONE}


@pytest.mark.only_on("postgresql")
def test_what_another_clock_carries_on_is_left_to_it(held: Any, asked: Ask) -> None:
    held(1)
    batch = begin(asked)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT 1 FROM sagas_batch FOR UPDATE")
        carry_on()
        assert states(batch) == ["waiting"]


# --- what can be done to it


def test_pausing_resuming_and_cancelling(held: Any, asked: Ask, pump: Pump) -> None:
    held(3)
    batch = begin(asked, course=Course(waves=(1,), per_second=20))
    orchestrator.act_on_batch(batch.pk, "pause", asked(reason="wait"))
    assert states(carried_on(batch)) == ["waiting"] * 3
    orchestrator.act_on_batch(batch.pk, "resume", asked())
    assert states(carried_on(batch)) == ["acted", "waiting", "waiting"]
    orchestrator.act_on_batch(batch.pk, "cancel", asked())
    assert carried_on(batch).ended_at is None
    run(pump)
    assert carried_on(batch).state == Batch.CANCELLED
    assert batch.ended_at is not None
    assert states(batch) == ["well", "waiting", "waiting"]  # what came of the one is seen all the same
    done = OperatorAction.objects.filter(saga=None).order_by("pk").values_list("verb", "batch_id")
    assert list(done) == [
        ("start_batch", batch.pk), ("pause_batch", batch.pk), ("resume_batch", batch.pk), ("cancel_batch", batch.pk)
    ]  # fmt: skip


def test_what_is_paused_is_looked_at_and_not_written(held: Any, asked: Ask) -> None:
    held(1)
    batch = begin(asked)
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    with CaptureQueriesContext(connection) as queries:
        carry_on()
    assert not [query["sql"] for query in queries if query["sql"].startswith(("UPDATE", "INSERT"))]


def test_what_came_of_those_before_is_seen_while_it_is_paused(held: Any, asked: Ask, pump: Pump) -> None:
    held(2)
    batch = carried_on(begin(asked, course=Course(waves=(1,), per_second=20)))
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    run(pump)
    assert carried_on(batch).state == Batch.PAUSED
    assert states(batch) == ["well", "waiting"]


def test_a_wave_is_not_waited_for_any_longer(held: Any, asked: Ask, pump: Pump) -> None:
    held(2)
    batch = begin(asked, course=Course(waves=(1,), per_second=20))
    with pytest.raises(Refused, match="Not all sagas of this wave have had their turn yet"):
        orchestrator.act_on_batch(batch.pk, "release", asked())
    carried_on(batch)
    orchestrator.act_on_batch(batch.pk, "release", asked())
    assert states(carried_on(batch)) == ["acted", "acted"]
    orchestrator.act_on_batch(batch.pk, "release", asked())
    assert (carried_on(batch).state, batch.ended_at) == (Batch.DONE, None)
    run(pump)
    assert carried_on(batch).ended_at is not None
    assert states(batch) == ["well", "well"]


def test_what_was_released_holds_up_no_later_wave(held: Any, asked: Ask, pump: Pump) -> None:
    slow, *_ = held(4)
    batch = carried_on(begin(asked, course=Course(waves=(1, 1), per_second=20)))
    Due.objects.filter(saga=slow).update(paused=True)
    orchestrator.act_on_batch(batch.pk, "release", asked())
    for acted in (["acted", "acted"], ["acted", "well", "acted", "acted"]):
        carried_on(carried_on(batch))
        assert states(batch)[: len(acted)] == acted
        run(pump)
    assert carried_on(batch).state == Batch.DONE
    assert (states(batch), batch.ended_at) == (["acted", "well", "well", "well"], None)


def test_a_release_says_still_why_it_is_paused(held: Any, asked: Ask, pump: Pump, world: shop.World) -> None:
    slow, *_ = held(4)
    batch = carried_on(begin(asked, course=Course(waves=(2,), per_second=20, stop_above=0)))
    Due.objects.filter(saga=slow).update(paused=True)
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    run(pump)
    note = carried_on(batch).note
    assert note == "1 of 1 went wrong again, which is more than 0 %."
    orchestrator.act_on_batch(batch.pk, "release", asked())
    assert (carried_on(batch).state, batch.note) == (Batch.PAUSED, note)


def test_of_what_is_over_it_is_not_looked_for_for_ever(held: Any, asked: Ask) -> None:
    held(1)
    batch = carried_on(begin(asked))
    orchestrator.act_on_batch(batch.pk, "cancel", asked())
    carry_on()
    batch.refresh_from_db()
    assert batch.ended_at is None
    Batch.objects.update(next_at=F("next_at") - timedelta(days=2))
    carry_on()
    batch.refresh_from_db()
    assert (batch.ended_at is not None, states(batch)) == (True, ["acted"])


def test_what_waits_for_nothing_is_not_released(held: Any, asked: Ask, pump: Pump) -> None:
    held(2)
    batch = carried_on(begin(asked, course=Course(waves=(1,), per_second=20)))
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    run(pump)
    carried_on(batch)
    with pytest.raises(Refused, match="The batch waits for nothing: it is known what came of each"):
        orchestrator.act_on_batch(batch.pk, "release", asked())


@pytest.mark.parametrize("verb", ["pause", "resume", "release", "cancel"])
def test_what_has_ended_stays_so(held: Any, asked: Ask, verb: str) -> None:
    held(1)
    batch = begin(asked)
    orchestrator.act_on_batch(batch.pk, "cancel", asked())
    with pytest.raises(Refused, match="The batch is cancelled"):
        orchestrator.act_on_batch(batch.pk, verb, asked())
    with pytest.raises(Refused, match="The batch is cancelled"):
        orchestrator.preview_batch_verb(batch.pk, verb, asked())
    (document,) = orchestrator.batch_documents([orchestrator.batch_numbered(batch.pk)])
    assert document["verbs"] == []


def test_verbs_that_do_not_apply(held: Any, asked: Ask) -> None:
    held(1)
    batch = begin(asked)
    with pytest.raises(Refused, match="is not paused"):
        orchestrator.act_on_batch(batch.pk, "resume", asked())
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    with pytest.raises(Refused, match="is paused already"):
        orchestrator.act_on_batch(batch.pk, "pause", asked())
    with pytest.raises(Invalid, match="'stop' is not for batches; there are pause, resume, release, cancel"):
        orchestrator.act_on_batch(batch.pk, "stop", asked())
    with pytest.raises(NotFound, match="There is no batch 0"):
        orchestrator.act_on_batch(0, "pause", asked())
    with pytest.raises(Invalid, match="reason: is required"):
        orchestrator.act_on_batch(batch.pk, "resume", asked(reason=" "))


# --- once, whoever asks how often


def test_the_same_action_id_begins_one_batch_and_does_a_verb_once(held: Any, asked: Ask) -> None:
    held(2)
    batch = begin(asked, action_id="one")
    again = orchestrator.start_batch(
        "retry", Saga.objects.all(), asked(action_id="one"), AT_ONCE, filters={"state": "pending"}
    )
    assert (again.batch, again.repeated) == (batch, True)
    assert Batch.objects.count() == 1
    first = orchestrator.act_on_batch(batch.pk, "pause", asked(action_id="two"))
    second = orchestrator.act_on_batch(batch.pk, "pause", asked(action_id="two"))
    assert (first.repeated, second.repeated) == (False, True)
    for verb, action_id in (("resume", "two"), ("pause", "one")):
        with pytest.raises(Invalid, match="action_id: was already used"):
            orchestrator.act_on_batch(batch.pk, verb, asked(action_id=action_id))
    for verb, course in (("compensate", AT_ONCE), ("retry", Course())):
        with pytest.raises(Invalid, match="action_id: was already used"):
            begin(asked, verb, course, action_id="one")
    with pytest.raises(Invalid, match=f"was already used, to start batch {batch.pk}"):
        orchestrator.act(Saga.objects.all()[0].pk, "pause", asked(action_id="one"))


def test_two_doors_at_once_begin_one_batch(held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    held(1)
    stored, looks = batching._stored, []

    def unseen(*args: Any) -> Any:
        looks.append(1)
        return None if len(looks) == 1 else stored(*args)

    batch = begin(asked, action_id="one")
    monkeypatch.setattr(batching, "_stored", unseen)
    assert begin(asked, action_id="one") == batch
    assert (Batch.objects.count(), BatchItem.objects.count()) == (1, 1)


def test_another_unique_value_that_is_taken_is_not_hidden(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(1)

    def broken(*_: Any, **__: Any) -> None:
        raise IntegrityError("something else")

    monkeypatch.setattr(batching, "_record", broken)
    with pytest.raises(IntegrityError, match="something else"):
        begin(asked, action_id="one")
    assert not Batch.objects.exists()


# --- who may, and what is refused


@pytest.mark.parametrize("verb", ["resume", "release"])
def test_to_have_it_go_on_one_needs_its_verbs_permission(held: Any, asked: Ask, verb: str) -> None:
    held(2)
    batch = carried_on(begin(asked, course=Course(waves=(1,), per_second=20)))
    orchestrator.act_on_batch(batch.pk, "pause", asked())
    user = get_user_model().objects.create_user("ulf")
    user.user_permissions.set(Permission.objects.filter(codename="run_batch"))
    with pytest.raises(Forbidden, match=r"needs the permission sagas\.retry_saga"):
        orchestrator.act_on_batch(batch.pk, verb, asked(operator=user))
    orchestrator.act_on_batch(batch.pk, "cancel", asked(operator=user))


@pytest.mark.parametrize("lacking", ["run_batch", "retry_saga"])
def test_it_needs_both_permissions(held: Any, lacking: str) -> None:
    held(1)
    user = get_user_model().objects.create_user("ulf")
    names = {"run_batch", "retry_saga"} - {lacking}
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    asking = orchestrator.Asked(operator=user, via="desk", reason="because")
    with pytest.raises(Forbidden, match=f"needs the permission sagas.{lacking}"):
        orchestrator.start_batch("retry", Saga.objects.all(), asking, AT_ONCE, filters={})
    with pytest.raises(Forbidden, match=f"needs the permission sagas.{lacking}"):
        orchestrator.preview_batch("retry", Saga.objects.all(), asking, AT_ONCE)


@pytest.mark.parametrize("lost", ["run_batch", "retry_saga"])
def test_it_pauses_itself_once_who_began_it_may_not_any_more(held: Any, asked: Ask, lost: str) -> None:
    held(2)
    user = get_user_model().objects.create_user("ulf")
    both = Permission.objects.filter(codename__in=["run_batch", "retry_saga"])
    user.user_permissions.set(both)
    batch = begin(asked, operator=get_user_model().objects.get(pk=user.pk))
    user.user_permissions.set(both.exclude(codename=lost))
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note is not None
    assert batch.note.startswith("ulf may not do it any more: You may not ")
    assert batch.note.endswith(f"it needs the permission sagas.{lost}.")
    assert states(batch) == ["waiting", "waiting"]


@pytest.mark.parametrize("via", ["desk", "api", "command"])
def test_it_pauses_itself_once_who_began_it_is_gone(held: Any, asked: Ask, operator: Any, via: str) -> None:
    held(1)
    batch = begin(asked, via=via)
    operator.delete()
    assert carried_on(batch).state == Batch.PAUSED
    assert batch.note == "olga may not do it any more: That user is not there any more."
    other = get_user_model().objects.create_superuser("mia")
    with pytest.raises(Refused, match="is not there any more: cancel it, and begin another"):
        orchestrator.act_on_batch(batch.pk, "resume", asked(operator=other))


def test_who_began_it_at_a_shell_is_named_whoever_runs_the_clock(
    held: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (saga,) = held(1)
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    batch = begin(lambda **_: orchestrator.Asked(operator=None, via="command", reason="because"))
    monkeypatch.setattr("getpass.getuser", lambda: "clock")
    assert states(carried_on(batch)) == ["acted"]
    assert OperatorAction.objects.get(saga=saga).operator_name == "shell:root"


@pytest.mark.parametrize(
    ("course", "wrong"),
    [
        (Course(waves=(0,)), "waves: must be whole numbers from 1 to 10000"),
        (Course(waves=(1.5,)), "waves: must be whole numbers"),  # type: ignore[arg-type]
        (Course(waves=(True,)), "waves: must be whole numbers"),
        (Course(waves=(1,) * 21), "waves: must be at most 20"),
        (Course(per_second=0), r"per_second: must be from 0\.01 to 20"),
        (Course(per_second=21), "per_second: must be"),
        (Course(per_second=float("nan")), "per_second: must be"),
        (Course(per_second=True), "per_second: must be"),
        (Course(per_second=10**400), "per_second: must be"),
        (Course(per_second="x"), "per_second: must be"),  # type: ignore[arg-type]
        (Course(stop_above=100), "stop_above: must be a percentage from 0 to 99, or left out"),
        (Course(stop_above=-1), "stop_above: must be"),
        (Course(stop_above=2.5), "stop_above: must be"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_an_impossible_course_is_refused(held: Any, asked: Ask, course: Course, wrong: str) -> None:
    held(1)
    with pytest.raises(Invalid, match=wrong):
        begin(asked, course=course)
    with pytest.raises(Invalid, match=wrong):
        orchestrator.preview_batch("retry", Saga.objects.all(), asked(), course)


def test_verbs_that_are_for_one_saga_at_a_time(asked: Ask) -> None:
    with pytest.raises(
        Invalid, match="'resolve' is not for many sagas at once; there are retry, compensate, restart"
    ):
        begin(asked, "resolve")


def test_nothing_begins_without_a_saga_or_without_a_reason(held: Any, asked: Ask) -> None:
    with pytest.raises(
        Refused,
        match="No saga matches that asks for a person and can be retried, or each has moved since you looked",
    ):
        begin(asked)
    held(1)
    with pytest.raises(Invalid, match="reason: is required"):
        begin(asked, reason="")
    assert not Batch.objects.exists()


def test_more_than_one_batch_takes_are_refused(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(3)
    monkeypatch.setattr(batch_plan, "LARGEST", 2)
    monkeypatch.setattr(batching, "LARGEST", 2)
    with pytest.raises(Refused, match="3 sagas match, and one batch takes at most 2: narrow the filters"):
        begin(asked)
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert not plan.possible
    assert plan.sentences == ("3 sagas match, and one batch takes at most 2: narrow the filters.",)


# --- what is said before


def test_the_preview_says_what_it_will_do_and_changes_nothing(held: Any, errand: Any, asked: Ask) -> None:
    held(40)
    errand()
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(reason=""), Course())
    assert (plan.total, plan.matching, plan.possible) == (40, 41, True)
    assert [(a.saga_type, a.state, a.count, a.step, a.attention) for a in plan.alike] == [
        ("Errand", "pending", 40, "pay", "held")
    ]
    assert [saga.pk for saga in plan.first] == list(
        Saga.objects.order_by("pk").values_list("pk", flat=True)[:5]
    )
    assert plan.sentences == (
        "It retries the steps that ask for a person in 40 sagas, the oldest first: first 1, then 5, then 25, "
        "then the other 9, at most 10 a second.",
        "A wave begins once it is known what came of each saga of the wave before.",
        "It pauses by itself when more than 20 % of those of which it is known went wrong again.",
        "Each is done only if its saga is then still as it is now, and the verb applies; "
        "others are left alone, and listed.",
        "It goes on with nobody looking, and can be paused, resumed and cancelled; what was done stays done.",
        "1 more match, and are left alone: it is not for them, they are paused, or they moved a moment ago.",
    )
    assert not Batch.objects.exists()


def test_one_saga_needs_no_waves(held: Any, asked: Ask) -> None:
    held(1)
    plan = orchestrator.preview_batch("compensate", Saga.objects.all(), asked(), Course(stop_above=None))
    assert plan.sentences[:2] == (
        "It rolls back 1 saga, the oldest first, at most 10 a second.",
        "Each is done only if its saga is then still as it is now, and the verb applies; "
        "others are left alone, and listed.",
    )
    assert [(a.saga_type, a.count) for a in plan.alike] == [("Errand", 1)]


def test_what_has_moved_since_the_preview_is_not_taken(held: Any, asked: Ask) -> None:
    first, second = held(2)
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    orchestrator.act(first.pk, "pause", asked())
    batch = orchestrator.start_batch(
        "retry", Saga.objects.all(), asked(), AT_ONCE, filters={}, seen_at=plan.seen_at
    ).batch
    assert [item.saga_id for item in batch.items.all()] == [second.pk]


def test_more_than_was_previewed_are_refused(held: Any, asked: Ask) -> None:
    held(2)
    sagas = Saga.objects.all()
    with pytest.raises(Refused, match="2 sagas match by now, more than the 1 that you saw: look again"):
        orchestrator.start_batch("retry", sagas, asked(), AT_ONCE, filters={}, at_most=1)
    assert orchestrator.start_batch("retry", sagas, asked(), AT_ONCE, filters={}, at_most=2).batch.total == 2


def test_what_is_paused_is_left_alone(held: Any, asked: Ask) -> None:
    first, second = held(2)
    orchestrator.act(first.pk, "pause", asked())
    orchestrator.act_on_queue("pay", "pause", asked())
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert "What calls a paused queue waits until that is resumed: pay." in plan.sentences
    assert [item.saga_id for item in begin(asked).items.all()] == [second.pk]


def test_what_no_retry_helps_is_left_alone(errand: Any, pump: Pump, asked: Ask, world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("closed")
    saga = rest(pump, errand(cannot_undo=True))
    assert saga.attention == "cannot_undo"
    plan = orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE)
    assert (plan.total, plan.matching, plan.alike) == (0, 1, [])


def test_what_moves_in_this_moment_is_not_taken(
    held: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(1)
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(hours=1))
    assert orchestrator.preview_batch("retry", Saga.objects.all(), asked(), AT_ONCE).total == 0


def test_what_is_said_of_each_verb(held: Any, asked: Ask) -> None:
    held(1)
    batch = begin(asked)
    assert verbs(batch) == ["pause", "cancel"]
    assert "What was begun goes on" in orchestrator.preview_batch_verb(batch.pk, "pause", asked())
    carried_on(batch)
    assert verbs(batch) == ["pause", "release", "cancel"]


def verbs(batch: Batch) -> list[str]:
    (document,) = orchestrator.batch_documents([batch])
    return list(document["verbs"])
