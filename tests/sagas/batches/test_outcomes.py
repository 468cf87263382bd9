"""A batch does its verb to one saga after the other, once, and says of each what came of it."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F

from sagas import orchestrator, registry
from sagas.engine import Pump, carry_on
from sagas.models import Batch, BatchItem, Due, OperatorAction, Saga, Step
from sagas.orchestrator import Refused
from sagas.worker import Clock
from tests.sagas import shop, trade
from tests.sagas.batches.carrying import Ask, begin, carried_on, counted, states
from tests.sagas.running import assert_rows_are_the_fold, rest, run
from tests.sagas.test_repairing import tell

pytestmark = pytest.mark.django_db(transaction=True)


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
