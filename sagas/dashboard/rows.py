"""A saga as one line of a table: its state, and the one thing that goes on in it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sagas.core.words import TERMINAL, SagaState, StepStatus
from sagas.dashboard.words import WAITS
from sagas.models import Saga, SagaQuerySet, Step
from sagas.orchestrator import attention_text


class StepLine(NamedTuple):
    """What a line needs of a step; results and inputs may be long."""

    saga_id: UUID
    name: str
    status: str
    attention: str | None
    attempt: int
    budget: int
    open: str | None
    probe: int
    waiting: str | None


_SAGA_FIELDS = (
    *("id", "saga_type", "correlation_id", "state", "attention", "waiting", "paused", "version"),
    *("created_at", "updated_at", "finished_at", "origin_kind"),
)


@dataclass(frozen=True)
class Row:
    """A saga, and what goes on in it in a few words."""

    saga: Saga
    glance: str
    """A time in it stands in braces."""
    seconds: float | None
    """How long it took, once it is finished."""
    dots: tuple[str, ...]
    """The status of each step, in order; of a completed saga, of those that there was a need for."""


def for_rows(sagas: SagaQuerySet) -> SagaQuerySet:
    """Load of sagas what their lines need; data may be long."""
    return sagas.only(*_SAGA_FIELDS)


def rows(sagas: Iterable[Saga]) -> list[Row]:
    """Return the lines for sagas loaded by :func:`for_rows`: one more query, however many they are."""
    listed = list(sagas)
    steps: dict[UUID, list[StepLine]] = {saga.pk: [] for saga in listed}
    found = Step.objects.filter(saga_id__in=steps).order_by("saga_id", "position")
    for step in map(StepLine._make, found.values_list(*StepLine._fields)):
        steps[step.saga_id].append(step)
    return [row(saga, steps[saga.pk]) for saga in listed]


def newer_rows(known: Mapping[UUID, int]) -> list[Row]:
    """Return the lines of those of these sagas whose version is higher than known, in no order."""
    found = for_rows(Saga.objects.filter(pk__in=list(known)))
    return rows(saga for saga in found if saga.version > known[saga.pk])


def row(saga: Saga, steps: Sequence[StepLine]) -> Row:
    """Return the line of one saga."""
    took = (saga.finished_at - saga.created_at).total_seconds() if saga.finished_at else None
    # What an event that never came would have led to is no step that a completed choreography lacks.
    needed = [s for s in steps if saga.state != SagaState.COMPLETED or s.status != StepStatus.PENDING]
    return Row(saga, glance(saga, steps), took, tuple(dot(step) for step in needed))


def dot(step: StepLine) -> str:
    """Return what the line's dot for a step shows."""
    return "attention" if step.attention else step.status


def glance(saga: Saga, steps: Sequence[StepLine]) -> str:
    """Say in a few words where the saga is."""
    stuck = next((s for s in steps if s.attention and s.attention == saga.attention), None)
    if stuck:
        return f"{stuck.name}: {attention_text(saga.attention)}"
    if saga.state in TERMINAL:
        return _ended(saga, steps)
    moving = [s for s in steps if s.open]
    if saga.waiting and all(s.waiting for s in moving):
        return _waits(saga.waiting)
    if not moving:
        return "starting" if saga.state == SagaState.STARTED else ""
    more = f" +{len(moving) - 1}" if len(moving) > 1 else ""
    return _moving(moving[0]) + more


def _waits(waiting: Mapping[str, Any]) -> str:
    end = f" until {{{waiting['until']}}}" if waiting["until"] else ""
    if waiting["step"] is None:
        return f"begins{end.replace('until', 'at')}"
    return f"{waiting['step']}: waits for {WAITS[waiting['kind']]}{end}"


def _ended(saga: Saga, steps: Sequence[StepLine]) -> str:
    if saga.state == SagaState.COMPLETED:
        skipped = [s.name for s in steps if s.status == StepStatus.SKIPPED]
        return f"without {', '.join(skipped)}" if skipped else ""
    failed = next((s.name for s in steps if s.status == StepStatus.FAILED), None)
    return f"rolled back at {failed}" if failed else "rolled back"


def _moving(step: StepLine) -> str:
    undo = "undoing " if step.open == "undo" else ""
    if step.probe:
        return f"{undo}{step.name}, asking what became of it"
    tries = f", try {step.attempt} of {step.budget}" if step.attempt > 1 else ""
    return f"{undo}{step.name}{tries}"
