"""Repairing: an effect that its own saga cannot undo any more is undone by another one (docs/concepts, rule 1)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sagas.core.decide import Refused
from sagas.core.definition import SagaDefinition
from sagas.core.events import LateEffectFound
from sagas.core.progress import StepProgress
from sagas.core.undoing import undo_of
from sagas.core.words import TERMINAL, Attention
from sagas.models import REPAIR, Event
from sagas.orchestrator.loading import Held
from sagas.orchestrator.start import Opening


def wanted(held: Held) -> bool:
    """Whether to compensate a saga means this: it is over, and an effect of it came too late."""
    return held.progress.state in TERMINAL and any(_late(held))


def refusal(held: Held) -> str | None:
    """Return why a saga that undoes an effect is not rolled back; None if it is none."""
    if held.origin_kind != REPAIR or held.progress.state in TERMINAL:
        return None
    return (
        "It undoes an effect of another saga: rolled back, it would leave that, and nobody would be asked. "
        "Retry its step, resolve it, or skip it to let the effect stand."
    )


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
    generation = step.late_generation or step.generation
    undo = undo_of(
        held.definition,
        held.progress,
        held.id,
        step.name,
        generation=generation,
        result=_result(held, step.name, generation),
    )
    undo = replace(undo, name=f"undo_{step.name}"[:100])
    pin = SagaDefinition(held.saga_type, (undo,))
    return step.name, Opening(
        pin, held.progress.data or {}, held.correlation_id, origin=held.id, origin_kind=REPAIR
    )


def _late(held: Held) -> Iterator[StepProgress]:
    return (step for step in held.progress.steps.values() if step.attention is Attention.LATE_EFFECT)


def _result(held: Held, step: str, generation: int) -> Any:
    """Return what an action came to: that stands in the log only. Old events tell of the latest, and do not say so."""
    found = Event.objects.filter(saga_id=held.id, step=step, type=LateEffectFound.__name__)
    told = found.order_by("-sequence").values_list("data", flat=True)
    return next(
        (each.get("result") for each in told if each.get("generation", generation) == generation), None
    )
