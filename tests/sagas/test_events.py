"""Hooks and subscribers hear of what happened: at least once, and only where one is registered."""

from typing import Any

import pytest
from django.db.models.functions import Now

from sagas import SagaOrchestrator, SagaStep, registry, subscribe
from sagas.engine import Pump
from sagas.models import Due, Saga
from tests.sagas import shop

pytestmark = pytest.mark.django_db(transaction=True)


class Telling(SagaOrchestrator):
    saga_type = "Telling"
    heard: list[Any] = []

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [
            SagaStep("fetch", "FetchService.Fetch", "FetchService.Return"),
            SagaStep("pay", "PayService.Pay", "PayService.Refund"),
        ]

    def on_saga_completed(self, saga: Any) -> None:
        self.heard.append(("completed", saga.saga_id, saga.state, saga.data, saga.results))

    async def _on_saga_failed(self, saga: Any) -> None:
        self.heard.append(("failed", saga.saga_id, saga.state, saga.error))


@pytest.fixture(autouse=True)
def _heard() -> None:
    Telling.heard.clear()


@pytest.fixture
def subscribed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Subscribe to everything for one test."""
    heard: list[Any] = []
    monkeypatch.setattr(registry, "_subscribers", {})
    names = (
        "SagaStepCompleted",
        "SagaStepFailed",
        "SagaCompensationCompleted",
        "TellingCompleted",
        "TellingFailed",
    )
    for name in names:
        subscribe(name, name="tests")(lambda event: heard.append((event.name, dict(event))))
    return heard


def test_the_hook_of_a_completed_saga_sees_it_as_it_ended(world: shop.World, pump: Pump) -> None:
    saga = Telling().start({"n": 1})
    pump.run(20)
    results = {"fetch": {"by": "FetchService.Fetch"}, "pay": {"by": "PayService.Pay"}}
    assert Telling.heard == [("completed", str(saga.pk), "completed", {"n": 1}, results)]
    assert not Due.objects.exists()


def test_an_asynchronous_hook_with_a_leading_underscore_works_too(world: shop.World, pump: Pump) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("broke")
    saga = Telling().start({})
    pump.run(20)
    assert Telling.heard == [("failed", str(saga.pk), "failed", "broke")]


def test_subscribers_hear_each_event_with_its_values(
    world: shop.World, pump: Pump, subscribed: list[Any]
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("broke")
    saga = Telling().start({"n": 1})
    pump.run(20)
    saga_id = str(saga.pk)
    assert sorted(subscribed, key=repr) == sorted(
        [
            (
                "SagaStepCompleted",
                {"saga_id": saga_id, "step_name": "fetch", "result": {"by": "FetchService.Fetch"}},
            ),
            ("SagaStepFailed", {"saga_id": saga_id, "step_name": "pay", "error": "broke"}),
            ("SagaCompensationCompleted", {"saga_id": saga_id, "step_name": "fetch"}),
            ("TellingFailed", {"saga_id": saga_id, "error": "broke", "n": 1}),
        ],
        key=repr,
    )


def test_nothing_is_recorded_where_nobody_listens(errand: Any, world: shop.World, monkeypatch: Any) -> None:
    monkeypatch.setattr(registry, "_subscribers", {})
    saga = errand()
    shop.Errand().handle_step_completed(saga.pk, "fetch", {})
    assert not Due.objects.filter(kind="delivery").exists()


def test_a_failing_hook_is_called_again_and_holds_nothing_up(
    world: shop.World, pump: Pump, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def hook(_: Any, saga: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("mail server away")

    monkeypatch.setattr(Telling, "on_saga_completed", hook)
    saga = Telling().start({})
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"
    due = Due.objects.get()
    line = hook.__code__.co_firstlineno + 3
    assert due.error == f"ConnectionError: mail server away (test_events.py:{line}, in hook)"
    assert f"saga {saga.pk}: hook TellingCompleted failed in attempt 1\nTraceback" in caplog.text
    for _ in range(3):
        Due.objects.update(due_at=Now())
        pump.run(20)
    assert len(tries) == 3
    assert not Due.objects.exists()
    assert Saga.objects.get().state == "completed"
