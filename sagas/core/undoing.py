"""What undoes a saga as a whole once it is completed: another saga, whose steps undo its effects in reverse order."""

from collections.abc import Container, Iterator
from typing import Any
from uuid import UUID

from sagas.core.commands import idempotency_key
from sagas.core.definition import CANNOT_UNDO, SagaDefinition, SagaStep
from sagas.core.progress import Progress
from sagas.core.words import TERMINAL, Direction, SagaState, StepStatus


def obstacle(definition: SagaDefinition, progress: Progress) -> str | None:
    """Return why a saga, under way or completed, cannot be undone as a whole; None if nothing is in the way."""
    if definition.flow is not None:
        if progress.state is SagaState.COMPLETED:
            return "it is a choreography that is completed, and only its subscribers know how to undo that"
        return None if definition.flow.compensation else "it declares no event that begins its compensation"
    pivot = definition.pivot
    if pivot is not None and progress.steps[pivot.name].status is StepStatus.COMPLETED:
        return f"its point of no return, {pivot.name}, is passed"
    if progress.state in TERMINAL:
        final = (
            name for name in _owed(definition, progress) if _compensation(definition, name) == CANNOT_UNDO
        )
        return next((f"its step {name} cannot be undone" for name in final), None)
    return None  # what cannot be undone of one that is under way, it asks about itself


def reverse(
    definition: SagaDefinition, progress: Progress, saga_id: UUID, undone: Container[str] = ()
) -> SagaDefinition | None:
    """Return the definition of the saga that undoes a completed one; None if it has left nothing to undo.

    ``undone`` are the steps that another such saga has undone before it was stopped.
    """
    owed = dict.fromkeys(name for name in _owed(definition, progress) if name not in undone)
    steps = [
        undo_of(definition, progress, saga_id, name, needs=tuple(_above(definition, name, owed)))
        for name in reversed(owed)
    ]
    return SagaDefinition(definition.saga_type, tuple(steps)) if steps else None


def _owed(definition: SagaDefinition, progress: Progress) -> Iterator[str]:
    """Yield the steps that have something to undo, each behind all that it needs."""
    for name in definition.order:
        done = progress.steps[name].status is StepStatus.COMPLETED and not progress.steps[name].standing
        if done and _compensation(definition, name) is not None:
            yield name


def _compensation(definition: SagaDefinition, name: str) -> str | None:
    return definition.step(name).compensation


def undo_of(
    definition: SagaDefinition,
    progress: Progress,
    saga_id: UUID,
    name: str,
    *,
    needs: tuple[str, ...] = (),
    generation: int | None = None,
    result: Any = None,
) -> SagaStep:
    """Return the step that undoes a step: it is called as that, and gets what its undo would have got.

    With ``generation``, it undoes that action of the step, which came to ``result``; else the latest.
    """
    pinned, step = definition.step(name), progress.steps[name]
    results = {other: progress.steps[other].result for other in definition.before(name)}
    original = step.result if generation is None else result
    return SagaStep(
        name=name,
        action=pinned.compensation or "",
        needs=needs,
        hold=True,
        timeout=pinned.timeout,
        retry=pinned.undo_retry,
        probe=pinned.undo_probe,
        probe_retry=pinned.probe_retry,
        undoes=idempotency_key(saga_id, name, Direction.DO, generation or step.generation),
        input={"original_result": original, "results": results, **(pinned.input or {})},
    )


def _above(definition: SagaDefinition, name: str, owed: Container[str]) -> Iterator[str]:
    """Yield what has to be undone before: of what stands on the step, the nearest that has something to undo."""
    seen: set[str] = set()  # the ways up may be very many, the steps on them are not
    todo = [*definition.dependents(name)]
    while todo:
        other = todo.pop(0)
        if other in seen:
            continue
        seen.add(other)
        if other in owed:
            yield other
        else:
            todo[:0] = definition.dependents(other)
