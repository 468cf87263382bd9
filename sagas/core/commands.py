"""What progress says is due: the commands that wait for a participant, and their keys."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sagas.core.definition import SagaDefinition
from sagas.core.progress import BEGINNING, DEADLINE, Progress, StepProgress
from sagas.core.words import FORWARD, Direction, StepStatus


def idempotency_key(saga_id: UUID | str, step: str, direction: Direction, generation: int) -> str:
    """Return the key that all attempts of one command share, automatic or manual.

    It never contains the attempt: a retry with a new key would be a second effect.
    """
    return f"{saga_id}:{step}:{direction.value}:{generation}"


class DueCommand(NamedTuple):
    """A command that has to be sent, and when."""

    step: str
    direction: Direction
    name: str
    """The participant's command, such as ``PaymentService.RefundPayment``; or the probe that asks about it."""
    number: int
    generation: int
    attempt: int
    due_at: datetime
    waits: bool = False
    """It is due when its time is up, and nobody is called then."""
    timeout: float = 300.0
    """Seconds that the attempt may take, from its claim."""
    fixed: bool = False
    """It is due at that moment, and not after so long: a clock that is set moves it nowhere."""


def due_command(definition: SagaDefinition, step: StepProgress) -> DueCommand | None:
    """Return the step's command that waits to be sent or is being sent, if there is one."""
    if not step.scheduled or step.open is None or step.number is None or step.due_at is None:
        return None
    pinned = definition.step(step.name)
    name = pinned.probe_of(step.open) if step.asking else pinned.command(step.open)
    generation = step.generation if step.open is Direction.DO else step.undo_generation
    assert name is not None  # an undo, or a probe, is only dispatched where one is named
    attempt = step.probe if step.asking else step.attempt
    waits, timeout = step.waiting is not None, pinned.timeout
    limited = pinned.deadline is not None and pinned.child is None  # a child's deadline is no attempt's
    if step.open is Direction.DO and limited and not step.asking and step.dispatched_at is not None:
        assert pinned.deadline is not None
        left = pinned.deadline - (step.due_at - step.dispatched_at).total_seconds()
        # Behind the deadline only a person has it tried again, who did not ask for an attempt that is cut short.
        # Before it, though it is claimed late, it has a moment: work that nobody claims never times out.
        timeout = max(1.0, min(timeout, left)) if left > 0 else timeout
    fixed = pinned.timer is not None and pinned.timer.seconds is None
    return DueCommand(
        step.name, step.open, name, step.number, generation, attempt, step.due_at, waits, timeout, fixed
    )


def own_wake(definition: SagaDefinition, progress: Progress) -> DueCommand | None:
    """Return what is due for the saga itself: its beginning, or else its deadline as long as that can turn it back."""
    if progress.state not in FORWARD or progress.expired:
        return None
    begins, ends = progress.begins_at, progress.deadline_at
    if begins is not None:
        return DueCommand("", Direction.DO, "sagas.Start", BEGINNING, 0, 1, begins, waits=True, fixed=True)
    pivot = progress.steps.get(definition.pivot.name) if definition.pivot else None
    if ends is None or (pivot is not None and pivot.status is StepStatus.COMPLETED):
        return None
    return DueCommand("", Direction.DO, "sagas.Deadline", DEADLINE, 0, 1, ends, waits=True)


def changed(
    definition: SagaDefinition, before: Progress, after: Progress
) -> Iterator[tuple[int | None, DueCommand | None]]:
    """Yield (number no longer due, command now due) for each step where that changed; either may be None."""
    if after.deadline_at or after.begins_at or before.begins_at:
        own_was, own_now = own_wake(definition, before), own_wake(definition, after)
        if own_was != own_now:
            yield (own_was.number if own_was else None), own_now
    for name, step in after.steps.items():
        old = before.steps.get(name)
        if old is step:
            continue
        now = due_command(definition, step)
        if now is None and old is not None:
            if old.scheduled:  # how it was to be sent no longer matters
                yield old.number, None
            continue
        was = old and due_command(definition, old)
        if was != now:
            yield (was.number if was else None), now
