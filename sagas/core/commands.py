"""What progress says is due: the commands that wait for a participant, and their keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Direction


def idempotency_key(saga_id: UUID | str, step: str, direction: Direction, generation: int) -> str:
    """Return the key that all attempts of one command share, automatic or manual.

    It never contains the attempt: a retry with a new key would be a second effect.
    """
    return f"{saga_id}:{step}:{direction.value}:{generation}"


@dataclass(frozen=True, slots=True)
class DueCommand:
    """A command that has to be sent, and when."""

    step: str
    direction: Direction
    name: str
    """The participant's command, such as ``PaymentService.RefundPayment``."""
    number: int
    generation: int
    attempt: int
    due_at: datetime


def due_command(definition: SagaDefinition, step: StepProgress) -> DueCommand | None:
    """Return the step's command that waits to be sent or is being sent, if there is one."""
    if not step.scheduled or step.open is None or step.number is None or step.due_at is None:
        return None
    pinned = definition.step(step.name)
    forward = step.open is Direction.DO
    name = pinned.action if forward else pinned.compensation
    generation = step.generation if forward else step.undo_generation
    assert name is not None  # an undo is only dispatched where one is named
    return DueCommand(step.name, step.open, name, step.number, generation, step.attempt, step.due_at)


def changed(
    definition: SagaDefinition, before: Progress, after: Progress
) -> Iterator[tuple[int | None, DueCommand | None]]:
    """Yield (number no longer due, command now due) for each step where that changed; either may be None."""
    for name, step in after.steps.items():
        old = before.steps[name]
        if old is step:
            continue
        was, now = due_command(definition, old), due_command(definition, step)
        if was != now:
            yield (was.number if was else None), now
