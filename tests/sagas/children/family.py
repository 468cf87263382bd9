"""A family of sagas: how tests begin one, run it, and look at it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from sagas import orchestrator
from sagas.core.words import Direction
from sagas.engine import Pump
from sagas.engine.work import Sent, command_work
from sagas.models import Due, Saga, Step
from sagas.orchestrator import Asked, loading
from sagas.registry import WAITS_QUEUE
from tests.sagas import kin
from tests.sagas.running import assert_rows_are_the_fold

QUEUES = ("kin", "default", "events", WAITS_QUEUE)


def begin(*steps: str, **data: Any) -> Saga:
    return kin.Kin().start({"name": "parent", "steps": list(steps), **data})


def of(*steps: str, **data: Any) -> dict[str, Any]:
    """Return the data of a child."""
    return {"name": "child", "steps": list(steps), **data}


def run(pump: Pump, saga: Saga) -> Saga:
    pump.run(30)
    saga.refresh_from_db()
    for each in Saga.objects.all():
        assert_rows_are_the_fold(each)
    return saga


def again(saga: Saga) -> None:
    """Let what waits be due now."""
    assert Due.objects.filter(saga=saga).update(due_at=Now())


def child_of(saga: Saga) -> Saga:
    return Saga.objects.get(origin=saga, origin_kind="child")


def step(saga: Saga, name: str = "child") -> Step:
    return Step.objects.get(saga=saga, name=name)


def effects() -> list[str]:
    return sorted(kin.standing.values())


def why(saga: Saga) -> str:
    saga.refresh_from_db()
    return str(orchestrator.snapshot(saga)["why"]["text"])


def command_of(saga: Saga, name: str, way: Direction = Direction.DO) -> Any:
    """Return a step's command as its handler gets it."""
    held = loading.look(saga.pk)
    assert held is not None
    at, command = held.progress.steps[name], held.definition.step(name).command(way)
    generation = at.generation if way is Direction.DO else 1
    sent = Sent(name, way, command or "", at.number_of(way) or 0, generation, 1, 30.0, False)
    return command_work(held, sent, uuid4(), datetime.now(UTC)).command


def back(saga: Saga) -> None:
    """Roll a saga back, as an operator does."""
    operator = get_user_model().objects.filter(username="eva").first()
    operator = operator or get_user_model().objects.create_superuser("eva", password="x")
    orchestrator.act(saga.pk, "compensate", Asked(operator=operator, via="desk", reason="no more"))
