"""Durable functions by way of the real engine: they grow, wait, hear of verdicts, and are undone."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from sagas import Rejected, command, durable_saga, orchestrator, registry, stranded
from sagas.core import messages as m
from sagas.dashboard.graph import latest
from sagas.dashboard.nodes import said
from sagas.dashboard.regions import saga_contexts
from sagas.engine import Pump, call, claims
from sagas.models import Due, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Asked, Invalid, loading
from sagas.replay import Record
from tests.folding import folded
from tests.sagas import functions, shop
from tests.sagas.functions import fetch, pay, post

pytestmark = pytest.mark.django_db(transaction=True)

Body = Callable[[Any, Any], Any]


@pytest.fixture(autouse=True)
def world() -> Iterator[shop.World]:
    with shop.world() as made:
        yield made


@pytest.fixture
def pump() -> Pump:
    return Pump(("fetch", "pay", "post", "default", "events", registry.WAITS_QUEUE), "test-worker")


class Play:
    """A saga of a function, run by a pump."""

    def __init__(self, pump: Pump, saga: Saga) -> None:
        self.pump, self.saga = pump, saga

    def go(self, body: Body) -> "Play":
        """Run until nothing is due; the function does what ``body`` does."""
        with functions.doing(body):
            self.pump.run(20)
        self.saga.refresh_from_db()
        check_rows(self.saga)
        return self

    @property
    def end(self) -> tuple[str, str | None]:
        return self.saga.state, self.saga.attention

    @property
    def steps(self) -> dict[str, str]:
        return dict(self.saga.steps.values_list("name", "status"))

    def step(self, name: str) -> Step:
        return Step.objects.get(saga=self.saga, name=name)


@pytest.fixture
def play(pump: Pump) -> Callable[..., Play]:
    """Start a function and run it until nothing is due."""

    def start(body: Body, kind: Any = functions.errands, **data: Any) -> Play:
        return Play(pump, kind.start({"item": "book", **data})).go(body)

    return start


def check_rows(saga: Saga) -> None:
    """Folding the events gives the rows (rule 8), and something is due unless there is a reason (rule 6)."""
    held = loading.look(saga.pk)
    assert held is not None
    assert folded(saga) == held.progress
    assert saga.finished_at or saga.paused or saga.waiting or saga.attention or held.due


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


# Waiting


def test_a_wait_is_a_timer(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        saga.wait("a_month", timedelta(days=30))
        post(saga)

    waiting = play(body)
    assert waiting.saga.waiting["kind"] == "timer"
    assert world.calls == []
    Due.objects.filter(saga=waiting.saga).update(due_at=Now())
    assert waiting.go(body).end == ("completed", None)
    assert world.names == ["PostService.Post"]


def test_an_approval_answers_the_function(
    play: Callable[..., Play], asked: Callable[..., Asked], world: shop.World
) -> None:
    def body(saga: Any, data: Any) -> Any:
        try:
            return saga.approval("manager", by="perm:sagas.approve_saga", show=f"{data['item']}?")["by"]
        except Rejected as no:
            return str(no)

    waiting, other = play(body), play(body)
    assert waiting.saga.waiting["kind"] == "approval"
    orchestrator.act(waiting.saga.pk, "approve", asked(step="manager"))
    orchestrator.act(other.saga.pk, "reject", asked(step="manager", reason="too dear"))
    assert waiting.go(body).step("function").result == ["olga"]
    assert other.go(body).step("function").result == "rejected by olga: too dear"


def test_a_child_saga_answers_the_function(play: Callable[..., Play], world: shop.World) -> None:
    def body(saga: Any, data: Any) -> Any:
        if data.get("of") == "parent":
            return saga.step("own", "PostService.Post")
        done = saga.child("errand", "Errand", {"item": "pen"})
        try:
            saga.child("other", "Errands", {"item": "pin", "of": "parent"})
        except Rejected as no:
            raise Rejected(f"no child: {no}") from no
        return done

    done = play(body)
    assert done.end == ("completed", None)
    assert done.step("function").result["state"] == "completed"
    world.behaviour["PostService.Post"] = lambda sent: (
        shop.reject("sold out")(sent) if sent.meta.step == "own" else 1
    )
    failed = play(body)
    assert (failed.saga.state, failed.saga.error) == ("failed", "no child: sold out")
    assert failed.steps["errand"] == "compensated"
    assert world.names[-1] == "FetchService.Return"


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


# What makes no sense


def misconfigured(done: Play, *words: str) -> None:
    assert done.end == ("pending", "misconfigured")
    step = done.step("function")
    assert step.attention == "misconfigured"
    for word in words:
        assert word in (step.error or ""), step.error


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


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (lambda saga, data: data["nothing"], ["KeyError: 'nothing'", "in line"]),
        (lambda saga, data: object(), ["what it returned cannot be recorded"]),
        (lambda saga, data: post(saga, "function"), ["cannot be called function"]),
        (lambda saga, data: post(saga, needs=()), ["TypeError", "takes no needs"]),
        (lambda saga, data: post(saga, timeout=-1), ["timeout must be more than 0"]),
        (lambda saga, data: post(saga, input={"at": saga.now}), ["plain JSON"]),
        (lambda saga, data: saga.wait("a", until="tomorrow"), ["moment with a time zone"]),
        (_swallows, ["went on behind fetch"]),
        (_swallows_and_returns, ["went on behind fetch"]),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_is_done(
    play: Callable[..., Play], world: shop.World, body: Body, words: list[str]
) -> None:
    misconfigured(play(body), *words)
    assert world.calls == []


@pytest.mark.parametrize(
    ("body", "words"), [(_forgets, ["not awaited"]), (_sleeps, ["awaited something else"])]
)
def test_an_asynchronous_function_awaits_nothing_else(
    play: Callable[..., Play], world: shop.World, body: Body, words: list[str]
) -> None:
    misconfigured(play(body, functions.awaited_errands), *words)
    assert world.calls == []


def other_action(saga: Any, data: Any) -> Any:
    fetch(saga)
    saga.step("pay", "PostService.Post", undo="PayService.Refund")


def other_order(saga: Any, data: Any) -> Any:
    pay(saga)
    fetch(saga)


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


# Operators


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


# Workers that die, and zombies


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
    function, record = call.function_of(zombie)
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


# Beside


def test_a_function_is_a_saga_type_like_any_other(play: Callable[..., Play]) -> None:
    functions.ended.clear()
    done = play(functions.errand)
    assert [view.id for view in functions.ended] == [str(done.saga.pk)]
    assert registry.saga_type("Errands").define_steps({})[0].action == "function Errands"
    again = functions.errands.start({"item": "pen"}, idempotency_key="k")
    assert functions.errands.start({"item": "pen"}, idempotency_key="k").pk == again.pk


def test_an_option_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match=r"takes no deadlin; options are data_model, deadline"):
        durable_saga("Wrong", deadlin=3)
    with pytest.raises(TypeError, match="saga type's name first"):
        durable_saga(functions.errand)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"calls lonely\(saga, data\), which it does not take"):

        @durable_saga("Wrong")
        def lonely() -> None: ...


def forget() -> None:
    OperatorAction.objects.all().delete()
    Saga.objects.all().delete()


def test_an_exported_function_is_read_back_and_redacted(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    def body(saga: Any, data: Any) -> Any:
        post(saga, input={"card": "4111"})
        saga.approval("boss", by="group:bosses", show="Pay 4111?")

    waiting = play(body)
    secret = orchestrator.export(waiting.saga.pk)
    assert "4111" not in json.dumps(secret)
    whole = orchestrator.export(waiting.saga.pk, reveal=True)
    for document in (secret, whole):
        forget()
        assert orchestrator.import_saga(document, asked()).created
        assert orchestrator.export(waiting.saga.pk, reveal=True) == document
        assert orchestrator.snapshot(Saga.objects.get())["steps"][1]["needs"] == ["function"]
    whole["events"][2]["data"]["steps"][0]["step"]["needs"] = ["nothing"]
    forget()
    with pytest.raises(Invalid, match="needs nothing"):
        orchestrator.import_saga(whole, asked())


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
