"""Waves, pace, and when a batch pauses by itself."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.models import F

from sagas import orchestrator
from sagas.engine import Pump, batches, carry_on
from sagas.models import Batch
from sagas.orchestrator import Course, batching
from tests.sagas import shop
from tests.sagas.batches.carrying import Ask, begin, carried_on, counted, states
from tests.sagas.running import run

pytestmark = pytest.mark.django_db(transaction=True)


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
