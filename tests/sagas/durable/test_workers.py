"""Workers that die while they run a durable function, and those that were only thought to be dead."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db.models.functions import Now

from sagas import orchestrator, registry
from sagas.core import messages as m
from sagas.engine import Pump, call, claims
from sagas.models import Due, LateReply, Step
from sagas.orchestrator import Asked
from sagas.replay import Record
from tests.sagas import functions, shop
from tests.sagas.durable.play import Play, other_order
from tests.sagas.functions import fetch, pay, post

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_that_dies_in_a_run_costs_a_lease(
    play: Callable[..., Play], pump: Pump, world: shop.World
) -> None:
    saga = functions.errands.start({"item": "book"})
    (work,) = claims.claim(["default"], 1, "doomed")
    assert isinstance(work.command, Record)
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert claims.reap() == 1
    Due.objects.update(due_at=Now())
    assert Play(pump, saga).go(functions.errand).end == ("completed", None)
    assert world.count["FetchService.Fetch"] == 1


def test_a_zombies_run_is_not_heard(play: Callable[..., Play], pump: Pump, world: shop.World) -> None:
    saga = functions.errands.start({"item": "book"})
    (zombie,) = claims.claim(["default"], 1, "zombie")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    claims.reap()
    function, record, _ = call.call_of(zombie)
    with functions.doing(other_order):
        reply = call.reply_to(zombie, function(record), None)
    assert isinstance(reply, m.Grown)
    orchestrator.deliver([orchestrator.Answered(saga.pk, reply, zombie.token)])
    assert not Step.objects.filter(saga=saga, name="pay").exists()
    Due.objects.update(due_at=Now())
    done = Play(pump, saga).go(functions.errand)
    orchestrator.deliver([orchestrator.Answered(saga.pk, reply, zombie.token)])
    assert done.go(functions.errand).end == ("completed", None)
    assert not LateReply.objects.exists()


def test_a_verdict_that_comes_during_a_run_is_heard_by_the_next(
    play: Callable[..., Play], world: shop.World
) -> None:
    def body(saga: Any, data: Any) -> Any:
        def first() -> Any:
            fetch(saga)
            if not told:
                told.append(orchestrator.step_completed(saga.id, "pay", "meanwhile"))
            return post(saga)

        return saga.parallel(first, lambda: pay(saga))

    told: list[bool] = []
    world.behaviour["PayService.Pay"] = shop.later()
    done = play(body)
    assert told == [True]
    assert done.end == ("completed", None)
    assert done.step("function").result[1] == "meanwhile"


def test_a_function_whose_code_is_gone_asks_for_it(
    play: Callable[..., Play], pump: Pump, asked: Callable[..., Asked], world: shop.World
) -> None:
    saga = functions.errands.start({"item": "book"})
    with mock.patch.dict(registry._commands):
        del registry._commands["function Errands"]
        gone = Play(pump, saga).go(functions.errand)
    assert gone.end == ("pending", "no_handler")
    orchestrator.act(saga.pk, "retry", asked(step="function"))
    assert gone.go(functions.errand).end == ("completed", None)
