"""What goes wrong with one saga of a batch, or with one batch, is no other's affair."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError, connection
from django.test.utils import CaptureQueriesContext

from sagas import orchestrator
from sagas.engine import Pump, batches, carry_on
from sagas.models import Batch, Saga
from sagas.orchestrator import batch_plan
from sagas.worker import Clock
from tests.sagas import shop
from tests.sagas.batches.carrying import AT_ONCE, Ask, begin, carried_on, states
from tests.sagas.running import rest, run

pytestmark = pytest.mark.django_db(transaction=True)


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
