"""What operators do to a batch: once, however often they ask, and where it applies."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from sagas import orchestrator
from sagas.engine import Pump, carry_on
from sagas.models import Batch, BatchItem, Due, OperatorAction, Saga
from sagas.orchestrator import Course, Invalid, NotFound, Refused, batching
from tests.sagas import shop
from tests.sagas.batches.carrying import AT_ONCE, Ask, begin, carried_on, states
from tests.sagas.running import run

pytestmark = pytest.mark.django_db(transaction=True)


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

    monkeypatch.setattr(batching.trail, "record", broken)
    with pytest.raises(IntegrityError, match="something else"):
        begin(asked, action_id="one")
    assert not Batch.objects.exists()
