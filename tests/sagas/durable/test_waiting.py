"""Durable functions that wait: for a time, for people, for another saga."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from sagas import Rejected, orchestrator
from sagas.models import Due
from sagas.orchestrator import Asked
from tests.sagas import shop
from tests.sagas.durable.play import Play
from tests.sagas.functions import post

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_who_does_not_answer_in_a_child_is_undone_and_another_is_taken(
    play: Callable[..., Play], world: shop.World
) -> None:
    def body(saga: Any, data: Any) -> Any:
        try:
            saga.child("usual", "Errand", {"item": "pen"})
        except Rejected as no:
            return {"why": str(no), "instead": saga.step("other", "PostService.Post")["by"]}

    world.behaviour["PayService.Pay"] = shop.fail()
    done = play(body)
    assert done.end == ("completed", None)
    assert "the line is dead" in done.step("function").result["why"]
    assert world.names[-3:] == ["PayService.Refund", "FetchService.Return", "PostService.Post"]
