"""A saga as one line of a table: its state, and the one thing that goes on in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Prefetch

from sagas.core.words import TERMINAL, SagaState, StepStatus
from sagas.dashboard.words import attention_text
from sagas.models import Saga, SagaQuerySet, Step

#: What a line needs of a step; results and inputs may be long.
_STEP_FIELDS = ("saga_id", "name", "position", "status", "attention", "attempt", "budget", "open", "due_at")
_SAGA_FIELDS = (
    *("id", "saga_type", "correlation_id", "state", "attention", "waiting", "paused", "version"),
    *("created_at", "updated_at", "finished_at"),
)


@dataclass(frozen=True)
class Row:
    """A saga, and what goes on in it in a few words."""

    saga: Saga
    glance: str
    seconds: float | None
    """How long it took, once it is finished."""
    dots: tuple[str, ...]
    """The status of each step, in order."""


def for_rows(sagas: SagaQuerySet) -> SagaQuerySet:
    """Load sagas with what their lines need: two queries, however many."""
    return sagas.only(*_SAGA_FIELDS).prefetch_related(
        Prefetch("steps", Step.objects.only(*_STEP_FIELDS).order_by("position"))
    )


def rows(sagas: Iterable[Saga]) -> list[Row]:
    """Return the lines for sagas loaded by :func:`for_rows`."""
    return [row(saga) for saga in sagas]


def rows_of(ids: Iterable[UUID]) -> list[Row]:
    """Return the lines of these sagas, in no order."""
    return rows(for_rows(Saga.objects.filter(pk__in=list(ids))))


def row(saga: Saga) -> Row:
    """Return the line of one saga."""
    steps = list(saga.steps.all())
    took = (saga.finished_at - saga.created_at).total_seconds() if saga.finished_at else None
    return Row(saga, glance(saga, steps), took, tuple(dot(step) for step in steps))


def dot(step: Step) -> str:
    """Return what the line's dot for a step shows."""
    return "attention" if step.attention else step.status


def glance(saga: Saga, steps: list[Step]) -> str:
    """Say in a few words where the saga is."""
    stuck = next((s for s in steps if s.attention and s.attention == saga.attention), None)
    if stuck:
        return f"{stuck.name}: {attention_text(saga.attention)}"
    if saga.state in TERMINAL:
        return _ended(saga, steps)
    moving = [s for s in steps if s.open]
    if not moving:
        return "starting" if saga.state == SagaState.STARTED else ""
    more = f" +{len(moving) - 1}" if len(moving) > 1 else ""
    return _moving(moving[0]) + more


def _ended(saga: Saga, steps: list[Step]) -> str:
    if saga.state == SagaState.COMPLETED:
        skipped = [s.name for s in steps if s.status == StepStatus.SKIPPED]
        return f"without {', '.join(skipped)}" if skipped else ""
    failed = next((s.name for s in steps if s.status == StepStatus.FAILED), None)
    return f"rolled back at {failed}" if failed else "rolled back"


def _moving(step: Step) -> str:
    undo = "undoing " if step.open == "undo" else ""
    tries = f", try {step.attempt} of {step.budget}" if step.attempt > 1 else ""
    return f"{undo}{step.name}{tries}"
