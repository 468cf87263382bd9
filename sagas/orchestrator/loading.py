"""Sagas as their rows tell them: read together, for deciding under a lock or just to look."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import QuerySet

from sagas.core import events as e
from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, Direction, Outcome, SagaState, StepStatus
from sagas.models import Due, Saga, Step
from sagas.orchestrator import pins

log = logging.getLogger(__name__)

STEP_COLUMNS = tuple(f for f in StepProgress.__slots__ if f != "name")
PROGRESS_COLUMNS = (
    "state", "data", "paused", "error", "version", "sequence", "created_at", "updated_at", "finished_at",
)  # fmt: skip

HELD_COLUMNS = ("id", "saga_type", "correlation_id", "definition_id", *PROGRESS_COLUMNS)


class DueRow(NamedTuple):
    """What of a command's due row matters when deciding."""

    id: int
    number: int
    lease_token: UUID | None


@dataclass
class Held:
    """A saga under our lock: where it stood, and where it stands after what was decided."""

    id: UUID
    saga_type: str
    correlation_id: str
    definition: SagaDefinition
    before: Progress
    due: Mapping[int, DueRow]
    step_ids: Mapping[str, int]
    progress: Progress = field(init=False)
    events: list[e.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = self.before

    @property
    def new(self) -> bool:
        """Whether there are no rows of it yet."""
        return not self.step_ids

    @property
    def claimed(self) -> frozenset[int]:
        """Numbers of the commands that a worker holds."""
        return frozenset(n for n, row in self.due.items() if row.lease_token)


def read(ids: Iterable[UUID]) -> list[Held]:
    """Load sagas without locking them; not for deciding. One that cannot be read is left out, and logged."""
    sagas = list(Saga.objects.filter(pk__in=list(ids)).values(*HELD_COLUMNS))
    steps = steps_of([saga["id"] for saga in sagas])
    found = []
    for saga in sagas:
        try:
            found.append(held_from(saga, steps[saga["id"]], {}))
        except Exception:  # one saga's fault is not its neighbours'
            log.exception("saga %s cannot be read", saga["id"])
    return found


def look(saga_id: UUID) -> Held | None:
    """Load one saga, with what workers hold of it, without locking it; not for deciding."""
    for saga in Saga.objects.filter(pk=saga_id).values(*HELD_COLUMNS):
        due = Due.objects.filter(saga_id=saga_id, kind=Due.COMMAND)
        return held_from(saga, steps_of([saga_id])[saga_id], _due_rows(due).get(saga_id, {}))
    return None


def held_from(saga: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], due: Mapping[int, DueRow]) -> Held:
    """Make a saga of its rows' columns."""
    values = {name: saga[name] for name in PROGRESS_COLUMNS}
    values["state"] = SagaState(values["state"])
    progress = Progress({step["name"]: _step_progress(step) for step in steps}, **values)
    pinned = pins.definition(saga["definition_id"])
    ids = {step["name"]: step["id"] for step in steps}
    return Held(saga["id"], saga["saga_type"], saga["correlation_id"], pinned, progress, due, ids)


def steps_of(ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """Return the columns of these sagas' steps, in their order."""
    found: dict[UUID, list[dict[str, Any]]] = {saga_id: [] for saga_id in ids}
    query = Step.objects.filter(saga_id__in=ids).order_by("saga_id", "position")
    for step in query.values("id", "saga_id", "name", *STEP_COLUMNS):
        found[step.pop("saga_id")].append(step)
    return found


def locked_due(ids: Sequence[UUID]) -> dict[UUID, dict[int, DueRow]]:
    """Lock and return what is due, so that no command is claimed between the decision to withdraw it and that."""
    query = Due.objects.select_for_update().filter(saga_id__in=ids, kind=Due.COMMAND)
    return _due_rows(query.order_by("id"))


def _due_rows(query: QuerySet[Due]) -> dict[UUID, dict[int, DueRow]]:
    found: dict[UUID, dict[int, DueRow]] = {}
    for pk, saga_id, number, token in query.values_list("id", "saga_id", "number", "lease_token"):
        found.setdefault(saga_id, {})[number or 0] = DueRow(pk, number or 0, token)
    return found


_STEP_TYPES = {
    "status": StepStatus,
    "attention": Attention,
    "open": Direction,
    "outcome": Outcome,
    "action_outcome": Outcome,
}


def _step_progress(row: Mapping[str, Any]) -> StepProgress:
    values = {name: row[name] for name in StepProgress.__slots__}
    for name, kind in _STEP_TYPES.items():
        if values[name] is not None:
            values[name] = kind(values[name])
    return StepProgress(**values)
