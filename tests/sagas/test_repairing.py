"""Effects that came too late: who is asked about them, and the saga that undoes one."""

from typing import Any

import pytest

from sagas import orchestrator
from sagas.core.messages import Completed
from sagas.engine import Pump
from sagas.models import Event, LateReply, Saga, Step
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold, rest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def denied(errand: Any, pump: Pump, world: shop.World, asked: Any) -> Saga:
    """A saga that is held at its second step: an operator called that one without effect."""
    world.behaviour["PayService.Pay"] = shop.fail()
    saga = rest(pump, errand(hold=True))
    orchestrator.act(saga.pk, "resolve", asked(step="pay", outcome="none"))
    return saga


@pytest.fixture
def twice(denied: Saga, pump: Pump, world: shop.World, asked: Any) -> Saga:
    """A completed saga whose second step was done twice: what was called without effect was not."""
    first = Step.objects.get(saga=denied, name="pay").action_number
    world.behaviour["PayService.Pay"] = lambda _: {"receipt": "the second"}
    orchestrator.act(denied.pk, "retry", asked(step="pay"))
    tell(denied, first, {"receipt": "the first"})
    return rest(pump, denied)


def tell(saga: Saga, number: int | None, result: Any) -> None:
    """Have a worker that was lost tell what its command came to."""
    assert number is not None
    orchestrator.deliver([orchestrator.Answered(saga.pk, Completed(number, result))])


def shown(saga: Saga) -> dict[str, Any]:
    """Return the saga as its pages show it."""
    return orchestrator.snapshot(Saga.objects.get(pk=saga.pk))


def test_what_was_done_twice_asks_once_the_saga_has_done_its_own(twice: Saga) -> None:
    assert (twice.state, twice.attention) == ("completed", "late_effect")
    pay = Step.objects.get(saga=twice, name="pay")
    assert pay.result == {"receipt": "the second"}, "what is known of the one that counts stays"
    assert "had been called without effect" in shown(twice)["why"]["text"]
    assert not LateReply.objects.exists()
    assert_rows_are_the_fold(twice)


def test_a_repair_undoes_the_first_of_two_effects_and_leaves_the_second(
    twice: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    orchestrator.act(twice.pk, "compensate", asked())
    repair = rest(pump, Saga.objects.get(origin=twice, origin_kind="repair"))
    assert repair.state == "completed"
    (refund,) = (sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund.meta.undoes == f"{twice.pk}:pay:do:1"
    assert refund["original_result"] == {"receipt": "the first"}
    after = Saga.objects.get(pk=twice.pk)
    assert (after.state, after.attention) == ("completed", None)
    assert_rows_are_the_fold(after)


def test_a_callback_that_tells_of_a_denied_effect_asks(denied: Saga, asked: Any) -> None:
    assert orchestrator.step_completed(denied.pk, "pay", {"receipt": "it went through"})
    assert Saga.objects.get(pk=denied.pk).attention == "late_effect"
    with pytest.raises(orchestrator.Conflict, match="had its effect too late"):
        orchestrator.act(denied.pk, "retry", asked(step="pay"))
    assert not orchestrator.step_completed(denied.pk, "pay", {"receipt": "again"}), "it is known"


def test_a_callback_about_what_an_undo_has_met_asks_nobody(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour |= {"PayService.Pay": shop.fail()}
    saga = rest(pump, errand())
    assert (saga.state, world.count["PayService.Refund"]) == ("failed", 1)
    assert not orchestrator.step_completed(saga.pk, "pay", {"receipt": "late"})
    assert Saga.objects.get(pk=saga.pk).attention is None
    assert LateReply.objects.get().step == "pay"


def test_what_has_no_undo_is_settled_by_hand(errand: Any, pump: Pump, world: shop.World, asked: Any) -> None:
    world.behaviour["PostService.Post"] = shop.fail()
    saga = rest(pump, errand(hold=True))
    number = Step.objects.get(saga=saga, name="post").action_number
    orchestrator.act(saga.pk, "resolve", asked(step="post", outcome="none"))
    orchestrator.act(saga.pk, "skip", asked(step="post"))
    assert rest(pump, saga).state == "completed"
    tell(saga, number, {"parcel": 1})
    compensate = next(each for each in shown(saga)["verbs"] if each["verb"] == "compensate")
    assert (compensate["applies"], compensate["reason"]) == (
        False,
        "post names no compensation; settle its late effect with resolve.",
    )
    orchestrator.act(saga.pk, "resolve", asked(step="post", outcome="waived"))
    assert Saga.objects.get(pk=saga.pk).attention is None


def test_an_action_that_an_older_process_sent_anew_is_known_by_the_log(
    denied: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    first = Step.objects.get(saga=denied, name="pay").action_number
    world.behaviour["PayService.Pay"] = lambda _: {"receipt": "the second"}
    orchestrator.act(denied.pk, "retry", asked(step="pay"))
    Step.objects.update(former=None)  # which is all that it writes otherwise
    tell(denied, first, {})
    saga = rest(pump, denied)
    assert (saga.state, saga.attention) == ("completed", "late_effect")
    assert_rows_are_the_fold(saga)
    orchestrator.act(denied.pk, "resolve", asked(step="pay", outcome="waived"))
    tell(denied, first, {})
    assert Saga.objects.get(pk=denied.pk).attention is None, "it is settled"


def test_a_repair_gets_what_the_undo_would_have_got(
    twice: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    orchestrator.act(twice.pk, "compensate", asked())
    rest(pump, Saga.objects.get(origin=twice, origin_kind="repair"))
    (refund,) = (sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund["results"] == {"fetch": {"by": "FetchService.Fetch"}}
    assert refund["item"] == "book"


def test_a_repair_is_not_rolled_back_and_so_lost(
    twice: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["PayService.Refund"] = shop.reject("no")
    orchestrator.act(twice.pk, "compensate", asked())
    repair = rest(pump, Saga.objects.get(origin=twice, origin_kind="repair"))
    assert repair.attention == "held"
    for door in (orchestrator.act, orchestrator.preview):
        with pytest.raises(orchestrator.Conflict, match="undoes an effect of another saga"):
            door(repair.pk, "compensate", asked())
    assert not next(each for each in shown(repair)["verbs"] if each["verb"] == "compensate")["applies"]


def test_a_document_from_before_steps_remembered_is_taken_in(twice: Saga, asked: Any) -> None:
    document = orchestrator.export(twice.pk)
    for step in document["steps"]:
        del step["former"]
    Saga.objects.all().delete()
    Step.objects.all().delete()
    Event.objects.all().delete()
    assert orchestrator.import_saga(document, asked()).created
    assert orchestrator.import_saga(document, asked()).here
