"""Workers of two codes on one queue, as while a deployment is rolled out: none asks for attention in vain."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from sagas import SagaOrchestrator, SagaStep, command, registry
from sagas.engine import Pump
from sagas.engine.liveness import Life
from sagas.models import Due, Process, Saga

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def saga(monkeypatch: pytest.MonkeyPatch) -> Iterator[Saga]:
    """A saga whose command the code of this process does not know."""
    for name in ("_saga_classes", "_saga_types", "_commands"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))

    class Newer(SagaOrchestrator):
        saga_type = "Newer"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            return [SagaStep("call", "NewService.Call")]

    return Newer().start({})


@pytest.fixture
def other() -> Process:
    """A worker alive that knows it."""
    values = {"host": "h", "pid": 1, "kind": Process.WORKER, "started_at": Now(), "seen_at": Now()}
    return Process.objects.create(name="w", queues=["new"], commands=["NewService.Call"], **values)


def pump() -> None:
    Pump(["new"], "old-worker").run(budget=30)


def at(saga: Saga) -> tuple[str, str | None]:
    saga.refresh_from_db()
    return saga.state, saga.attention


def test_a_command_is_left_to_a_worker_alive_whose_code_handles_it(saga: Saga, other: Process) -> None:
    pump()
    assert at(saga) == ("pending", None)
    due = Due.objects.get()
    assert (due.lease_token, due.worker, due.attempt) == (None, None, 1), "nothing was tried"
    command("NewService.Call")(lambda _: {})  # now we are that worker
    Due.objects.update(due_at=Now())
    pump()
    assert at(saga) == ("completed", None)


@pytest.mark.parametrize(
    "gone",
    [{"seen_at": Now() - timedelta(minutes=1)}, {"queues": ["elsewhere"]}, {"commands": ["NewService.Do"]}],
)
def test_where_no_such_worker_is_alive_a_person_is_asked(
    saga: Saga, other: Process, gone: dict[str, Any]
) -> None:
    Process.objects.filter(pk=other.pk).update(**gone)
    pump()
    assert at(saga) == ("pending", "no_handler")


def test_a_worker_says_which_commands_its_code_handles() -> None:
    life = Life(Process.WORKER, ["errands"])
    life._say()
    assert set(Process.objects.get().commands) == registry.names()
