"""Running a saga's function against its record and throwing away what it says: would it do again what it has done?"""

from collections.abc import Mapping
from typing import Any

from sagas import registry
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.context import Meta
from sagas.core.definition import FUNCTION
from sagas.core.words import Direction
from sagas.orchestrator.loading import Held
from sagas.replay import Record


def rehearse(held: Held, data: Mapping[str, Any] | None = None) -> m.Ran | m.Unserved:
    """Run a function against its record, with other data if some is given; return what it says.

    That it does not do again what is recorded is an :class:`m.Unserved`, whose error is the difference.
    Raises LookupError if this process has no code of it.
    """
    name = held.definition.step(FUNCTION).action
    handler = registry.handler(name)
    if handler is None:
        raise LookupError(f"nobody handles {name} here")
    said: m.Ran | m.Unserved = handler.function(_record(held, data))
    return said


def _record(held: Held, data: Mapping[str, Any] | None) -> Record:
    """Return a function's record as it is now."""
    function, now = held.progress.steps[FUNCTION], held.progress.updated_at
    assert now is not None  # it was started
    meta = Meta(
        number=function.number or 0,
        key=idempotency_key(held.id, FUNCTION, Direction.DO, function.generation),
        undoes=None,
        attempt=function.attempt,
        deadline=now,
        correlation_id=held.correlation_id,
        saga_id=str(held.id),
        step=FUNCTION,
        direction=Direction.DO.value,
    )
    progress = held.progress if data is None else held.progress._replace(data=data)
    return Record(held.definition.step(FUNCTION).action, meta, held.definition, progress)
