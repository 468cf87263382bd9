"""Workers of two codes on one queue, as while a deployment is rolled out: none asks for attention in vain."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from sagas import SagaOrchestrator, SagaStep, command, registry
from sagas.engine import Pump, call
from sagas.engine.liveness import Life
from sagas.models import Due, Process, Saga
from sagas.orchestrator import outbox

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
    assert set(Process.objects.get().commands) == registry.names() | set(outbox.hooks())


class Ending(SagaOrchestrator):
    saga_type = "Ending"
    heard: list[Any] = []

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep("fetch", "FetchService.Fetch")]

    def on_saga_completed(self, saga: Any) -> None:
        self.heard.append(saga.saga_id)


@pytest.fixture
def ended(world: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A saga whose end was committed by a project that has not its class."""
    Ending.heard.clear()
    saga = Ending().start({})
    own = dict(registry.saga_types())
    monkeypatch.setattr(registry, "_saga_types", {name: own[name] for name in own if name != "Ending"})
    Pump(["fetch"], "elsewhere").run(30)
    return str(saga.pk)


def hear() -> Any:
    Due.objects.update(due_at=Now())
    Pump(["events"], "worker").run(30)
    return Due.objects.first()


def test_the_hook_of_a_saga_that_ended_elsewhere_is_called(
    ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = hear()
    assert (row.attempt, row.lease_token) == (2, None), "not here, and nobody is known to have it"
    registry._saga_types["Ending"] = Ending()  # type: ignore[index]
    assert hear() is None
    assert Ending.heard == [ended]


def test_a_class_that_is_gone_has_no_hook_after_a_while(ended: str) -> None:
    Due.objects.update(attempt=call.LOOKED_FOR)
    assert hear() is None
    assert Ending.heard == []


def test_a_hook_is_left_to_a_worker_alive_that_has_it(ended: str, other: Process) -> None:
    Process.objects.update(queues=["events"], commands=["hook EndingCompleted"])
    assert hear().attempt == 1


def test_a_hook_that_is_gone_from_everywhere_asks_for_nothing(
    ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Ending, "on_saga_completed")
    registry._saga_types["Ending"] = Ending()  # type: ignore[index]
    assert hear() is None
    assert Ending.heard == []


def test_a_subscriber_is_left_to_a_worker_alive_that_has_it(
    ended: str, other: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    Due.objects.update(name="newer")
    Process.objects.update(queues=["events"], commands=["newer on EndingCompleted"])
    assert hear().attempt == 1
