"""A saga as its author's hooks see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sagas.core.words import SagaState
from sagas.models import Saga
from sagas.orchestrator.snapshot import snapshot


@dataclass(frozen=True)
class StepView:
    """One step of a saga, as it stood."""

    name: str
    action: str
    compensation: str | None
    status: str
    result: Any
    error: str | None
    executed_at: datetime | None
    compensated_at: datetime | None


@dataclass(frozen=True)
class SagaView:
    """One saga, as it stood; changing it changes nothing."""

    saga_id: str
    saga_type: str
    state: SagaState
    data: dict[str, Any]
    steps: list[StepView]
    error: str | None
    correlation_id: str
    created_at: datetime
    updated_at: datetime

    @property
    def id(self) -> str:
        """The saga's id."""
        return self.saga_id

    @property
    def results(self) -> dict[str, Any]:
        """Step name -> what its action returned."""
        return {step.name: step.result for step in self.steps}

    @classmethod
    def of(cls, saga_id: UUID) -> "SagaView":
        """Read a saga."""
        saga = Saga.objects.get(pk=saga_id)
        steps = [_step(step) for step in snapshot(saga)["steps"]]
        return cls(
            str(saga.pk),
            saga.saga_type,
            SagaState(saga.state),
            saga.data,
            steps,
            saga.error,
            saga.correlation_id,
            saga.created_at,
            saga.updated_at,
        )


def _step(step: dict[str, Any]) -> StepView:
    names = ("name", "action", "compensation", "status", "result", "error")
    values: dict[str, Any] = {name: step[name] for name in names}
    for name in ("executed_at", "compensated_at"):
        values[name] = datetime.fromisoformat(step[name]) if step[name] else None
    return StepView(**values)
