"""Durable functions by way of the real engine: they grow, hear of verdicts, and are undone."""

from collections.abc import Callable
from typing import Any

import pytest

from sagas import Rejected
from sagas.dashboard.graph import latest
from sagas.dashboard.nodes import said
from sagas.models import Due
from sagas.orchestrator import loading
from tests.sagas import functions, shop
from tests.sagas.durable.play import Play
from tests.sagas.functions import fetch, pay, post

pytestmark = pytest.mark.django_db(transaction=True)


def test_steps_come_as_the_function_asks_for_them(play: Callable[..., Play], world: shop.World) -> None:
    done = play(functions.errand)
    assert done.end == ("completed", None)
    assert done.steps == dict.fromkeys(("function", "fetch", "pay", "post"), "completed")
    assert world.names == ["FetchService.Fetch", "PayService.Pay", "PostService.Post"]
    assert world.calls[1]["fetched"] == {"by": "FetchService.Fetch"}
    assert world.calls[1]["results"] == {"fetch": {"by": "FetchService.Fetch"}}
    assert done.step("function").result == {"paid": {"by": "PayService.Pay"}, "item": "book"}
    assert not Due.objects.exists()


def test_a_rejection_undoes_what_was_done_in_reverse(play: Callable[..., Play], world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject("no such street")
    done = play(functions.errand)
    assert (done.saga.state, done.saga.error) == ("failed", "no such street")
    assert world.names[3:] == ["PayService.Refund", "FetchService.Return"]


# What a function hears


def test_a_rejection_can_be_caught_and_another_way_be_taken(
    play: Callable[..., Play], world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("broke")

    def body(saga: Any, data: Any) -> Any:
        fetch(saga)
        try:
            pay(saga)
        except Rejected as no:
            return post(saga, input={"why": str(no)})

    done = play(body)
    assert done.end == ("completed", None)
    assert (done.steps["pay"], done.step("post").status) == ("failed", "completed")
    assert world.calls[-1]["why"] == "broke"


def test_a_function_can_turn_back_by_itself(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        fetch(saga)
        raise Rejected("too dear")

    done = play(body)
    assert (done.saga.state, done.saga.error) == ("failed", "too dear")
    assert world.names == ["FetchService.Fetch", "FetchService.Return"]
    assert done.step("function").status == "failed"


def test_a_loop_numbers_its_steps(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        return len([pay(saga) for _ in range(30)])

    done = play(body)
    assert done.end == ("completed", None)
    assert list(done.steps)[1:4] == ["pay", "pay-2", "pay-3"]
    assert world.count["PayService.Pay"] == 30
    assert len({call.meta.key for call in world.calls}) == 30


def test_of_very_many_steps_of_a_function_the_latest_are_drawn() -> None:
    steps = [{"name": "function", "function": True, "needs": [], "status": "executing"}]
    steps += [
        {"name": f"s{n}", "function": False, "needs": [f"s{n - 1}" if n else "function"]} for n in range(60)
    ]
    drawn = latest(steps)
    assert [step["name"] for step in drawn] == ["function", *(f"s{n}" for n in range(21, 60))]
    assert (drawn[0]["earlier"], drawn[1]["needs"], drawn[2]["needs"]) == (21, ["function"], ["s21"])
    assert said({**drawn[0], "direction": None}).note == "waits for its steps, 21 earlier ones are not drawn"
    assert latest(steps[:40]) == steps[:40]


def test_an_undo_comes_before_that_on_which_it_stands(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        fetch(saga)
        saga.parallel(lambda: pay(saga), lambda: [fetch(saga, "one"), pay(saga, "two")])
        post(saga)

    world.behaviour["PostService.Post"] = shop.reject()
    done = play(body)
    assert done.saga.state == "failed"
    undone = [call.meta.step for call in world.calls if call.meta.direction == "undo"]
    assert undone[-1] == "fetch"
    assert undone.index("two") < undone.index("one")
    assert loading.look(done.saga.pk).definition.needs("post") == ("pay", "two")  # type: ignore[union-attr]


def test_branches_that_reject_wait_for_the_others(play: Callable[..., Play], world: shop.World) -> None:
    heard: list[str] = []

    def body(saga: Any, data: Any) -> Any:
        try:
            saga.parallel(lambda: pay(saga), lambda: [fetch(saga), fetch(saga)], lambda: post(saga))
        except Rejected as no:
            heard.append(str(no))
        return post(saga, "other")

    world.behaviour["PayService.Pay"] = shop.reject("broke")
    done = play(body)
    assert done.end == ("completed", None)
    assert set(heard) == {"broke"}
    assert done.steps["fetch-2"] == "completed"


def test_names_that_branches_share_stay_with_their_branch(
    play: Callable[..., Play], world: shop.World
) -> None:
    def body(saga: Any, data: Any) -> Any:
        def twice(who: str) -> list[Any]:
            return [post(saga, input={"who": who})["who"] for _ in range(2)]

        return saga.parallel(lambda: twice("a"), lambda: twice("b"))

    world.behaviour["PostService.Post"] = lambda sent: {"who": sent["who"]}
    done = play(body)
    assert done.step("function").result == [["a", "a"], ["b", "b"]]


def test_now_is_the_same_in_every_run(play: Callable[..., Play]) -> None:
    seen: dict[str, set[Any]] = {"start": set(), "fetched": set(), "refused": set()}

    def body(saga: Any, data: Any) -> Any:
        seen["start"].add(saga.now)
        fetch(saga)
        seen["fetched"].add(saga.now)
        try:
            pay(saga)
        except Rejected:
            seen["refused"].add(saga.now)
        post(saga)
        return [saga.id, saga.correlation_id]

    with shop.world() as world:
        world.behaviour["PayService.Pay"] = shop.reject()
        done = play(body)
    assert [len(times) for times in seen.values()] == [1, 1, 1]
    assert done.step("fetch").executed_at in seen["fetched"]
    assert done.step("function").result == [str(done.saga.pk), done.saga.correlation_id]


def test_results_and_data_are_the_functions_own(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        data["item"] = "pen"
        fetch(saga)["by"] = "me"
        return post(saga)

    play(body)
    assert world.calls[-1]["item"] == "book"
    assert world.calls[-1]["results"]["fetch"] == {"by": "FetchService.Fetch"}


# Asynchronous functions


def test_an_asynchronous_function_awaits_its_steps(play: Callable[..., Play], world: shop.World) -> None:
    async def body(saga: Any, data: Any) -> Any:
        async def two() -> Any:
            await fetch(saga)
            return await pay(saga)

        both = await saga.parallel(two(), post(saga))
        try:
            await post(saga, "refused")
        except Rejected:
            return both

    world.behaviour["PostService.Post"] = lambda sent: (
        shop.reject()(sent) if sent.meta.step == "refused" else "posted"
    )
    done = play(body, functions.awaited_errands)
    assert done.end == ("completed", None)
    assert done.step("function").result == [{"by": "PayService.Pay"}, "posted"]
