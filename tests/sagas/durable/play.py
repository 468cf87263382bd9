"""A saga of a durable function, run by a pump until nothing is due."""

from collections.abc import Callable
from typing import Any

from sagas.engine import Pump
from sagas.models import Saga, Step
from sagas.orchestrator import loading
from tests.folding import folded
from tests.sagas import functions
from tests.sagas.functions import fetch, pay

Body = Callable[[Any, Any], Any]


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


def check_rows(saga: Saga) -> None:
    """Folding the events gives the rows (rule 8), and something is due unless there is a reason (rule 6)."""
    held = loading.look(saga.pk)
    assert held is not None
    assert folded(saga) == held.progress
    assert saga.finished_at or saga.paused or saga.waiting or saga.attention or held.due


def misconfigured(done: Play, *words: str) -> None:
    assert done.end == ("pending", "misconfigured")
    step = done.step("function")
    assert step.attention == "misconfigured"
    for word in words:
        assert word in (step.error or ""), step.error


def other_order(saga: Any, data: Any) -> Any:
    pay(saga)
    fetch(saga)
