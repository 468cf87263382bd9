"""A durable function and its record have to agree: what makes no sense is told, and code that changed."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas import Rejected, command, orchestrator, publish, registry, stranded
from sagas.models import Step
from sagas.orchestrator import Asked
from tests.sagas import functions, shop
from tests.sagas.durable.play import Body, Play, check_rows, misconfigured, other_order
from tests.sagas.functions import fetch, pay, post

pytestmark = pytest.mark.django_db(transaction=True)


async def _forgets(saga: Any, data: Any) -> Any:
    post(saga)


async def _sleeps(saga: Any, data: Any) -> Any:
    class Elsewhere:
        def __await__(self) -> Iterator[Any]:
            yield

    await Elsewhere()


def _swallows(saga: Any, data: Any) -> Any:
    with suppress(BaseException):
        fetch(saga)
    return post(saga)


def _swallows_and_returns(saga: Any, data: Any) -> Any:
    try:
        fetch(saga)
    except BaseException:
        return None


def _starts_and_keeps_the_fault(saga: Any, data: Any) -> Any:
    with suppress(Exception):
        shop.Errand().start({"item": "book"})
    return post(saga)


def _replaces_in_a_branch(saga: Any, data: Any) -> Any:
    def branch() -> Any:
        try:
            return fetch(saga)
        finally:
            {}.pop("handle")

    with suppress(KeyError):
        saga.parallel(branch, lambda: post(saga))
    return {"fetched": True}


async def _replaces_in_a_branch_later(saga: Any, data: Any) -> Any:
    async def branch() -> Any:
        try:
            return await fetch(saga)
        finally:
            {}.pop("handle")

    with suppress(KeyError):
        await saga.parallel(branch(), post(saga))
    return {"fetched": True}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda saga, data: data["nothing"], ["KeyError: 'nothing'", "in line"]),
        (lambda saga, data: object(), ["what it returned cannot be recorded"]),
        (lambda saga, data: post(saga, "function"), ["cannot be called function"]),
        (lambda saga, data: post(saga, needs=()), ["TypeError", "takes no needs"]),
        (lambda saga, data: post(saga, timeout=-1), ["timeout must be more than 0"]),
        (lambda saga, data: post(saga, input={"at": saga.now}), ["step.input.at is a datetime"]),
        (lambda saga, data: saga.wait("a", until="tomorrow"), ["moment with a time zone"]),
        (lambda saga, data: _deeper(data), ["KeyError: 'deeper' (in line ", " of _deeper, test_records.py)"]),
        (lambda saga, data: saga.stepp("pay", "PayService.Pay"), ["saga has no stepp; did you mean step?"]),
        (lambda saga, data: saga.step("PayService.Pay"), ["saga.step() missing 1 required", "'action'"]),
        (lambda saga, data: saga.wait(3), ["saga.wait() takes the step's name first, as a text, not 3"]),
        (lambda saga, data: saga.parallel([]), ["takes functions one after the other, in no list", "not []"]),
        (
            lambda saga, data: asyncio.get_running_loop(),
            ["no running event loop; there is none here", "in line"],
        ),
        (_swallows, ["went on behind fetch"]),
        (_swallows_and_returns, ["went on behind fetch"]),
        (_replaces_in_a_branch, ["went on behind fetch"]),
        (
            lambda saga, data: shop.Errand().start({"item": "book"}),
            ["start() is done anew in each run", "in line"],
        ),
        (lambda saga, data: orchestrator.start_many("Errand", []), ["start_many() is done anew"]),
        (lambda saga, data: publish("TradeAgreed", {}), ["publish() is done anew in each run"]),
        (_starts_and_keeps_the_fault, ["start() is done anew in each run"]),
        (lambda saga, data: fetch(saga, input={"saga_id": "x"}), ["input.saga_id", "the command's own"]),
        (lambda saga, data: fetch(saga, input={"original_result": 1}), ["input.original_result"]),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_is_done(
    play: Callable[..., Play], world: shop.World, body: Body, words: list[str]
) -> None:
    misconfigured(play(body), *words)
    assert world.calls == []


def _deeper(data: Any) -> Any:
    return data["deeper"]


async def _subscripts(saga: Any, data: Any) -> Any:
    return post(saga)["receipt"]


async def _gathers(saga: Any, data: Any) -> Any:
    await asyncio.sleep(1)


async def _lists(saga: Any, data: Any) -> Any:
    await saga.parallel([post(saga)])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_replaces_in_a_branch_later, ["went on behind fetch"]),
        (_forgets, ["not awaited", "(in line ", "functions.py)"]),
        (_sleeps, ["awaited something else", "of _sleeps, test_records.py)"]),
        (
            _subscripts,
            ["'NotAwaited' object is not subscriptable; did you forget await?", "of _subscripts, "],
        ),
        (_gathers, ["no running event loop; there is none here", "what else has to be done is a step"]),
        (_lists, ["in no list and without lambda, not [<post, not awaited>]", "of _lists, "]),
    ],
)
def test_an_asynchronous_function_awaits_nothing_else(
    play: Callable[..., Play], world: shop.World, body: Body, words: list[str]
) -> None:
    misconfigured(play(body, functions.awaited_errands), *words)
    assert world.calls == []


def other_action(saga: Any, data: Any) -> Any:
    fetch(saga)
    saga.step("pay", "PostService.Post", undo="PayService.Refund")


def other_undo(saga: Any, data: Any) -> Any:
    fetch(saga)
    saga.step("pay", "PayService.Pay")


def as_pivot(saga: Any, data: Any) -> Any:
    fetch(saga)
    pay(saga, pivot=True)


def without(saga: Any, data: Any) -> Any:
    fetch(saga)


def instead(saga: Any, data: Any) -> Any:
    fetch(saga)
    post(saga, "notify")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (other_action, ["step pay with action PayService.Pay", "with action PostService.Post now"]),
        (other_order, ["the record has step pay after fetch", "asks for it at the beginning now"]),
        (other_undo, ["the record has step pay with undo PayService.Refund", "without an undo now"]),
        (as_pivot, ["the record has step pay not as the pivot", "asks for it as the pivot now"]),
        (without, ["the record has step pay (PayService.Pay)", "ends without asking for it"]),
        (instead, ["the record has step pay (PayService.Pay)", "asks for notify (PostService.Post) instead"]),
    ],
)
def test_code_that_changed_is_told_from_its_record_and_goes_on_when_it_is_restored(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked], changed: Body, words: list[str]
) -> None:
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(functions.errand)
    assert begun.end == ("pending", None)
    orchestrator.step_completed(begun.saga.pk, "pay", "paid")
    misconfigured(begun.go(changed), *words)
    assert world.names == ["FetchService.Fetch", "PayService.Pay"]
    why = orchestrator.snapshot(begun.saga)["why"]
    assert why["text"].endswith(
        "It raised an error, or does not match its record: deploy code that fits, then retry."
    )
    assert [verb["verb"] for verb in why["verbs"]] == ["retry", "compensate", "resolve"]
    plan = orchestrator.preview(begun.saga.pk, "retry", asked(step="function"))
    assert plan.sentences[0].startswith("The function is run again, from its top")
    orchestrator.act(begun.saga.pk, "retry", asked(step="function"))
    assert begun.go(functions.errand).end == ("completed", None)
    assert begun.step("function").result["paid"] == "paid"
    assert "its function has come to its end" in orchestrator.snapshot(begun.saga)["why"]["text"]


# Code that changes


@pytest.fixture
def waiting(play: Callable[..., Play], world: shop.World) -> Play:
    """A function that waits for its second step."""
    world.behaviour["PayService.Pay"] = shop.later(3600)
    return play(functions.errand)


def test_a_deploy_check_runs_every_function_under_way_and_names_those_that_differ(waiting: Play) -> None:
    assert stranded.findings() == []
    with functions.doing(without):
        (found,) = stranded.findings()
    assert (found.kind, found.sagas, list(found.ids)) == ("function", 1, [waiting.saga.pk])
    assert "say `formerly` at its handler, or `saga remap` it" in found.remedy
    assert "`saga retry ID --step function" in found.remedy
    assert (
        "the record has step pay (PayService.Pay), and the code ends without asking for it any more"
        in str(found)
    )
    assert Step.objects.filter(saga=waiting.saga, attention=None).count() == 3
    orchestrator.step_completed(waiting.saga.pk, "pay")
    assert waiting.go(functions.errand).end == ("completed", None)
    with functions.doing(without):
        assert stranded.findings() == []


def test_a_deploy_check_finds_handlers_that_steps_of_functions_need(waiting: Play) -> None:
    with mock.patch.dict(registry._commands):
        del registry._commands["PayService.Refund"], registry._commands["PostService.Post"]
        (found,) = stranded.findings()
        assert (found.kind, found.step, found.role, found.sagas) == ("handler", "pay", "compensation", 1)
        assert list(found.ids) == [waiting.saga.pk]
        del registry._commands["function Errands"]
        assert {each.name for each in stranded.findings()} == {"PayService.Refund", "function Errands"}


def test_the_number_of_statements_does_not_grow_with_the_number_of_functions(
    play: Callable[..., Play], world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.later(3600)
    counted = []
    for _ in range(2):
        for _ in range(3):
            play(functions.errand)
        with CaptureQueriesContext(connection) as queries:
            stranded.findings()
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_a_command_of_a_functions_step_is_called_by_its_new_name(
    waiting: Play, asked: Callable[..., Asked], world: shop.World
) -> None:
    old, new = "PayService.Refund", "PayService.GiveBack"
    with mock.patch.dict(registry._commands), mock.patch.dict(registry._formerly):
        handler = registry._commands.pop(old)
        command(new, inbox=True, formerly=[old])(handler.function)
        (place,) = orchestrator.affected({old: new})
        assert (place.step, place.role, place.sagas) == ("pay", "compensation", 1)
        (batch,) = orchestrator.remap({old: new}, asked())
        assert batch.done == [waiting.saga.pk]
        assert orchestrator.affected({old: new}) == []
        check_rows(waiting.saga)
        assert waiting.step("pay").compensation == new

        def renamed(saga: Any, data: Any) -> Any:
            fetch(saga)
            saga.step("pay", "PayService.Pay", undo=new)
            raise Rejected("enough")

        orchestrator.step_completed(waiting.saga.pk, "pay")
        assert waiting.go(renamed).saga.state == "failed"
    assert world.names[-2:] == [new, "FetchService.Return"]


def test_code_that_says_the_name_of_today_matches_a_record_with_a_former_one(
    waiting: Play, world: shop.World
) -> None:
    with mock.patch.dict(registry._commands), mock.patch.dict(registry._formerly):
        handler = registry._commands.pop("PayService.Pay")
        command("PayService.Charge", inbox=True, formerly=["PayService.Pay"])(handler.function)

        def renamed(saga: Any, data: Any) -> Any:
            fetch(saga)
            return saga.step("pay", "PayService.Charge", undo="PayService.Refund")

        orchestrator.step_completed(waiting.saga.pk, "pay", "paid")
        assert waiting.go(renamed).end == ("completed", None)
