"""Running a function and throwing away what it says: would it do again what it has done, or begin at all?"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sagas import registry
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.context import Meta
from sagas.core.definition import FUNCTION, SagaDefinition
from sagas.core.ids import uuid7
from sagas.core.progress import Progress
from sagas.core.words import Direction
from sagas.orchestrator.loading import Held
from sagas.replay import Record


def rehearse(held: Held, data: Mapping[str, Any] | None = None) -> m.Ran | m.Unserved:
    """Run a function against its record, with other data if some is given; return what it says.

    That it does not do again what is recorded is an :class:`m.Unserved`, whose error is the difference.
    Raises LookupError if this process has no code of it.
    """
    now = held.progress.updated_at
    assert now is not None  # it was started
    progress = held.progress if data is None else held.progress._replace(data=data)
    return _run(held.definition, progress, held.id, held.correlation_id, now)


def begin(definition: SagaDefinition, data: Mapping[str, Any]) -> m.Ran | m.Unserved:
    """Run a function with data, and nothing recorded, up to the first result that it waits for; return what it says.

    Raises LookupError if this process has no code of it.
    """
    saga_id, now = uuid7(), datetime.now(UTC)
    progress = Progress.blank(definition)._replace(data=data, created_at=now)
    return _run(definition, progress, saga_id, str(saga_id), now)


def _run(
    definition: SagaDefinition, progress: Progress, saga_id: UUID, correlation_id: str, now: datetime
) -> m.Ran | m.Unserved:
    name = definition.step(FUNCTION).action
    handler = registry.handler(name)
    if handler is None:
        raise LookupError(f"nobody handles {name} here")
    function = progress.steps[FUNCTION]
    meta = Meta(
        number=function.number or 0,
        key=idempotency_key(saga_id, FUNCTION, Direction.DO, function.generation),
        undoes=None,
        attempt=function.attempt,
        deadline=now,
        correlation_id=correlation_id,
        saga_id=str(saga_id),
        step=FUNCTION,
        direction=Direction.DO.value,
    )
    said: m.Ran | m.Unserved = handler.function(Record(name, meta, definition, progress))
    return said
