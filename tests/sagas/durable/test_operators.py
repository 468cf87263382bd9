"""What operators see of durable functions, and do about them."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from sagas import Rejected, orchestrator, registry
from sagas.dashboard.regions import saga_contexts
from sagas.models import Event, LateReply
from sagas.orchestrator import Asked
from tests.sagas import functions, shop
from tests.sagas.durable.play import Play, misconfigured
from tests.sagas.functions import fetch, pay, post

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_held_step_is_heard_of_when_an_operator_has_decided(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    def body(saga: Any, data: Any) -> Any:
        return [fetch(saga), pay(saga), post(saga)]

    world.behaviour["FetchService.Fetch"] = shop.reject("sold out")
    world.behaviour["PayService.Pay"] = shop.fail()
    held = play(body, functions.held_errands)
    assert held.end == ("pending", "held")
    orchestrator.act(held.saga.pk, "skip", asked(step="fetch"))
    assert held.go(body).end == ("pending", "retries_spent")
    orchestrator.act(held.saga.pk, "resolve", asked(step="pay", outcome="done", result={"by": "hand"}))
    assert held.go(body).end == ("completed", None)
    assert held.step("function").result == [None, {"by": "hand"}, {"by": "PostService.Post"}]


def test_an_operator_rolls_back_what_a_function_has_done(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(functions.errand)
    plan = orchestrator.preview(begun.saga.pk, "compensate", asked())
    assert [call["command"] for call in (*plan.calls, *plan.then)] == [
        "PayService.Refund",
        "FetchService.Return",
    ]
    assert plan.ends == "failed"
    orchestrator.act(begun.saga.pk, "compensate", asked())
    assert begun.go(functions.errand).saga.state == "failed"
    assert world.names[-1] == "FetchService.Return"


def by_months(saga: Any, data: Any) -> Any:
    """Do as often as the data says."""
    if data["months"] < 0:
        raise Rejected("less than nothing")
    return [pay(saga) for _ in range(data["months"])]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"months": 3}, None),
        ({"months": 0}, "does not do again what is recorded: the record has step pay (PayService.Pay)"),
        ({}, "does not do again what is recorded: KeyError: 'months' (in line "),
        ({"months": -1}, "its function does not do again what is recorded"),
    ],
)
def test_an_edit_is_tried_on_the_function_before_it_is_made(
    play: Callable[..., Play],
    world: shop.World,
    asked: Callable[..., Asked],
    data: dict[str, int],
    words: str | None,
) -> None:
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(by_months, months=2)
    with functions.doing(by_months):
        plan = orchestrator.preview(begun.saga.pk, "edit", asked(data=data))
    told = [sentence for sentence in plan.sentences if sentence.startswith("With this data")]
    assert [words in each for each in told if words] == [True] * bool(words)
    assert len(told) == bool(words)
    orchestrator.act(begun.saga.pk, "edit", asked(data=data))
    orchestrator.step_completed(begun.saga.pk, "pay")
    assert begun.go(by_months).end == ("pending", "misconfigured" if words else None)


def test_an_edit_that_mends_a_function_or_ends_it_says_so(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    stopped = play(by_months)
    misconfigured(stopped, "KeyError: 'months'")

    def said(**data: int) -> str:
        with functions.doing(by_months):
            return orchestrator.preview(stopped.saga.pk, "edit", asked(data=data)).sentences[0]

    assert said(months=1) == "With this data its function does again what is recorded; retry it then."
    assert said(months=-1) == "With this data its function rejects, at its next run: less than nothing."
    with mock.patch.dict(registry._commands):
        del registry._commands["function Errands"]
        assert "cannot be tried: nobody handles function Errands here" in said(months=1)


def test_a_preview_plays_on_to_the_functions_next_word(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    world.behaviour["PayService.Pay"] = shop.fail()
    held = play(lambda saga, data: [fetch(saga), pay(saga)], functions.held_errands)
    plan = orchestrator.preview(held.saga.pk, "retry", asked(step="pay"))
    assert [call["command"] for call in plan.calls] == ["PayService.Pay"]
    assert (plan.then, plan.ends) == ((), None)
    assert "What comes next is for its function to say." in plan.sentences


def test_a_function_that_is_paused_hears_of_its_steps_later(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(functions.errand)
    orchestrator.act(begun.saga.pk, "pause", asked())
    orchestrator.step_completed(begun.saga.pk, "pay", "paid")
    assert "post" not in begun.go(functions.errand).steps
    orchestrator.act(begun.saga.pk, "resume", asked())
    assert begun.go(functions.errand).end == ("completed", None)


def test_what_the_desk_and_the_api_show_of_a_function(play: Callable[..., Play], world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(functions.errand)
    shown = orchestrator.snapshot(begun.saga)
    assert [step["name"] for step in shown["steps"]] == ["function", "fetch", "pay"]
    assert [step["function"] for step in shown["steps"]] == [True, False, False]
    assert [step["needs"] for step in shown["steps"]] == [[], ["function"], ["fetch"]]
    assert shown["current"] == "pay"
    assert {v["step"] for v in shown["verbs"] if v["verb"] == "resolve" and v["applies"]} == {"pay"}
    assert shown["why"]["text"].startswith("PayService.Pay of pay is taken on")


def test_the_page_of_a_function_has_its_steps_as_they_come(
    play: Callable[..., Play], world: shop.World, operator: Any, client: Any
) -> None:
    client.force_login(operator)
    world.behaviour["PayService.Pay"] = shop.later()
    begun = play(functions.errand)
    regions = next(saga_contexts([begun.saga], frozenset()))
    drawn = {node.step["name"]: (node.column, node.said.note) for node in regions["graph"].nodes}
    assert drawn["function"] == (1, "waits for its steps")
    assert [drawn[name][0] for name in ("fetch", "pay")] == [2, 3]
    assert [line.name for line in regions["timeline"].lines] == ["function", "fetch", "pay"]
    page = client.get(f"/sagas/{begun.saga.pk}/").content.decode()
    assert "The function asks for fetch." in page
    assert "fetch is completed. The function is to hear of it." in page
    lines = page.partition('<ol class="log"')[2].partition("</ol>")[0].count("<li")
    assert (lines, Event.objects.filter(saga=begun.saga).count()) == (6, 11)
    assert "3 SagaGrown" in page  # the details have each event
    assert "More steps come as the function asks for them" in client.get("/types/Errands/").content.decode()
    orchestrator.step_completed(begun.saga.pk, "pay")
    begun.go(functions.errand)
    later = next(saga_contexts([begun.saga], frozenset()))
    assert [node.step["name"] for node in later["graph"].nodes] == [*drawn, "post"]


def test_an_outsider_cannot_speak_for_the_function(play: Callable[..., Play], world: shop.World) -> None:
    saga = functions.errands.start({"item": "book"})
    assert not orchestrator.step_completed(saga.pk, "function", "me")
    assert not orchestrator.step_failed(saga.pk, "function", "me")
    assert LateReply.objects.filter(saga_id=saga.pk).count() == 2
