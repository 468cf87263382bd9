"""The engine against real rows: one saga, its steps and what becomes of them."""

import threading
from typing import Any

import pytest

from sagas import Rejected, Unavailable, orchestrator, registry
from sagas.engine import Pump
from sagas.models import Due, Step
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold, rest, run

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_errand_runs_through(errand: Any, pump: Pump, world: shop.World) -> None:
    saga = errand()
    run(pump)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert world.names == ["FetchService.Fetch", "PayService.Pay", "PostService.Post"]
    assert not Due.objects.exists()
    assert_rows_are_the_fold(saga)


def test_a_handler_gets_the_data_the_results_and_the_envelope(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    saga = errand(extra={"deep": [1]})
    world.behaviour["PostService.Post"] = shop.reject()
    rest(pump, saga)
    pay = next(sent for sent in world.calls if sent.name == "PayService.Pay")
    assert dict(pay)["extra"] == {"deep": [1]}
    assert pay["saga_id"] == str(saga.pk)
    assert pay["step_name"] == "pay"
    assert pay["results"] == {"fetch": {"by": "FetchService.Fetch"}}
    assert pay.meta.key == f"{saga.pk}:pay:do:1"
    refund = next(sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund["original_result"] == {"by": "PayService.Pay"}
    assert refund.meta.undoes == pay.meta.key


def test_a_saga_that_moves_on_while_it_is_read_is_told_as_it_was_at_one_moment(
    errand: Any, pump: Pump
) -> None:
    saga = errand()  # as it was read
    run(pump)
    told = orchestrator.snapshot(saga)
    saga.refresh_from_db()
    assert (told["version"], told["state"]) == (saga.version, "completed")
    assert {step["status"] for step in told["steps"]} == {"completed"}


def test_a_rejection_rolls_back_in_reverse_order(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject("no post today")
    saga = rest(pump, errand())
    assert (saga.state, saga.error) == ("failed", "no post today")
    assert world.names[-2:] == ["PayService.Refund", "FetchService.Return"]
    assert_rows_are_the_fold(saga)


def test_a_failing_first_step_ends_in_failed(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject()
    assert rest(pump, errand()).state == "failed"
    assert world.names == ["FetchService.Fetch"]


def test_an_error_is_retried_with_the_same_key(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PayService.Pay"] = shop.fail(times=2)
    assert rest(pump, errand()).state == "completed"
    tries = [sent.meta for sent in world.calls if sent.name == "PayService.Pay"]
    assert [meta.attempt for meta in tries] == [1, 2, 3]
    assert len({meta.key for meta in tries}) == 1


def test_an_unknown_outcome_is_undone_like_a_completed_step(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["PayService.Pay"] = shop.fail()
    saga = rest(pump, errand())
    assert saga.state == "failed"
    assert world.count["PayService.Pay"] == 3
    assert world.count["PayService.Refund"] == 1
    refund = next(sent for sent in world.calls if sent.name == "PayService.Refund")
    assert refund["original_result"] is None
    assert_rows_are_the_fold(saga)


def test_an_undo_that_keeps_failing_asks_for_attention(errand: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject()
    world.behaviour["PayService.Refund"] = shop.fail()
    saga = rest(pump, errand())
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")
    assert world.count["PayService.Refund"] == 3
    assert world.count["FetchService.Return"] == 0, (
        "nothing is undone while something that relies on it stands"
    )


def test_branches_run_side_by_side_and_meet(errand: Any, pump: Pump, world: shop.World) -> None:
    together = threading.Barrier(2, timeout=20)
    for name in ("FetchService.Fetch", "PayService.Pay"):
        world.behaviour[name] = lambda _: together.wait() and None
    assert rest(pump, errand(branches=True)).state == "completed"
    assert world.names[-1] == "PostService.Post"


def test_a_branch_that_fails_waits_for_the_one_that_runs(errand: Any, pump: Pump, world: shop.World) -> None:
    paying, rejected = threading.Event(), threading.Event()

    def pay(_: Any) -> Any:
        paying.set()
        assert rejected.wait(20)
        return {"paid": 1}

    def fetch(_: Any) -> Any:
        assert paying.wait(20)
        rejected.set()
        return shop.reject("gone")(_)

    world.behaviour |= {"PayService.Pay": pay, "FetchService.Fetch": fetch}
    saga = rest(pump, errand(branches=True))
    assert saga.state == "failed"
    assert world.count["PayService.Refund"] == 1


@pytest.mark.parametrize(
    "result", [object(), float("nan"), {"text": "a\x00b"}, {"half": "\ud800"}, [10**5000]]
)
def test_what_cannot_be_recorded_is_no_result(
    errand: Any, pump: Pump, world: shop.World, result: Any
) -> None:
    world.behaviour["FetchService.Fetch"] = lambda _: result
    saga = errand(hold=True)
    rest(pump, saga)
    step = Step.objects.get(saga=saga, name="fetch")
    assert saga.attention == "retries_spent"
    assert "cannot be recorded" in (step.error or "")


class Speechless(Exception):
    def __str__(self) -> str:
        return None  # type: ignore[return-value]


def test_an_error_that_cannot_say_what_it_is_is_one_all_the_same(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    def breaks(_: Any) -> None:
        raise Speechless

    world.behaviour["FetchService.Fetch"] = breaks
    saga = rest(pump, errand())
    assert (saga.state, saga.steps.get(name="fetch").status) == ("failed", "compensated")
    assert saga.error.startswith("Speechless: it cannot say what (test_engine.py:")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_mistake_of_a_handler_is_told_and_logged_with_its_line(
    db: None, pump: Pump, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    def helper(sent: Any) -> Any:
        return sent["customer_nmae"]

    async def awaited(sent: Any) -> Any:
        return helper(sent)

    monkeypatch.setattr(registry, "_commands", dict(registry.commands()))
    del registry._commands["FetchService.Fetch"]  # type: ignore[attr-defined]
    registry.command("FetchService.Fetch")(awaited if is_async else helper)
    saga = shop.Errand().start({"item": "book"})
    run(pump)
    line = helper.__code__.co_firstlineno + 1
    error = f"KeyError: 'customer_nmae' (test_engine.py:{line}, in helper)"
    assert saga.steps.get(name="fetch").error == error
    logged = next(record for record in caplog.records if record.name == "sagas.engine.call")
    assert logged.getMessage() == f"saga {saga.pk}, step fetch: FetchService.Fetch failed in attempt 1"
    assert (logged.levelname, "helper" in caplog.text) == ("WARNING", True)


@pytest.mark.parametrize("said", [Rejected("no"), Unavailable("busy"), TimeoutError("slow")])
def test_what_a_participant_says_is_told_as_it_says_it(
    errand: Any, pump: Pump, world: shop.World, caplog: pytest.LogCaptureFixture, said: Exception
) -> None:
    def says(_: Any) -> None:
        raise said

    world.behaviour["FetchService.Fetch"] = says
    saga = errand(hold=True)
    run(pump)
    assert saga.steps.get(name="fetch").error == str(said)
    assert not [record for record in caplog.records if record.name == "sagas.engine.call"]


def test_an_error_that_no_database_could_store_is_stored_without_that(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject("a\x00b \ud800")
    assert rest(pump, errand()).error == "ab ?"
