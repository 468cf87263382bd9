"""Repairing: an effect that its own saga cannot undo any more is undone by another one (docs/concepts, rule 1)."""

from collections.abc import Iterator
from typing import Any

from sagas.core.commands import idempotency_key
from sagas.core.decide import Refused
from sagas.core.definition import SagaDefinition, SagaStep
from sagas.core.events import LateEffectFound
from sagas.core.progress import StepProgress
from sagas.core.words import TERMINAL, Attention, Direction
from sagas.models import REPAIR, Event
from sagas.orchestrator.loading import Held
from sagas.orchestrator.start import Opening


def wanted(held: Held) -> bool:
    """Whether to compensate a saga means this: it is over, and an effect of it came too late."""
    return held.progress.state in TERMINAL and any(_late(held))


def obstacle(held: Held) -> str | None:
    """Return why no saga can undo what came too late; None if one can."""
    step = next(_late(held))
    if held.definition.flow is not None:
        return "A late effect of a choreography is for its subscriber to undo; settle it with resolve."
    if held.definition.step(step.name).undo is None:
        return f"{step.name} names no compensation; settle its late effect with resolve."
    return None


def opening(held: Held) -> tuple[str, Opening]:
    """Return the step with a late effect, and a one-step saga that undoes it. Raises Refused if none can."""
    reason = obstacle(held)
    if reason is not None:
        raise Refused(reason)
    step = next(_late(held))
    pinned, generation = held.definition.step(step.name), step.late_generation or step.generation
    assert pinned.undo is not None  # it was no obstacle
    undo = SagaStep(
        name=f"undo_{step.name}"[:100],
        action=pinned.undo,
        retry=pinned.undo_retry,
        timeout=pinned.timeout,
        hold=True,
        undoes=idempotency_key(held.id, step.name, Direction.DO, generation),
        input={"original_result": _result(held, step, generation)},
    )
    pin = SagaDefinition(held.saga_type, (undo,))
    return step.name, Opening(
        pin, held.progress.data or {}, held.correlation_id, origin=held.id, origin_kind=REPAIR
    )


def _late(held: Held) -> Iterator[StepProgress]:
    return (step for step in held.progress.steps.values() if step.attention is Attention.LATE_EFFECT)


def _result(held: Held, step: StepProgress, generation: int) -> Any:
    """Return what the action came to. What one before the latest did stands in the log only."""
    if generation == step.generation:
        return step.result
    found = Event.objects.filter(saga_id=held.id, step=step.name, type=LateEffectFound.__name__)
    return found.filter(data__generation=generation).values_list("data", flat=True)[0].get("result")
