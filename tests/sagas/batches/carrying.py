"""Beginning batches and carrying them on, and how their sagas stand."""

from collections.abc import Callable
from typing import Any

from django.db.models import F

from sagas import orchestrator
from sagas.engine import carry_on
from sagas.models import Batch, Saga
from sagas.orchestrator import Course

Ask = Callable[..., orchestrator.Asked]
#: All at once, as quickly as may be.
AT_ONCE = Course(waves=(), per_second=20, stop_above=None)


def begin(asked: Ask, verb: str = "retry", course: Course = AT_ONCE, **more: Any) -> Batch:
    answer = orchestrator.start_batch(
        verb, Saga.objects.all(), asked(**more), course, filters={"state": "pending"}
    )
    return answer.batch


def carried_on(batch: Batch) -> Batch:
    """Carry on, with no pace to wait for."""
    Batch.objects.update(next_at=F("created_at"), per_second=1e9)
    carry_on()
    batch.refresh_from_db()
    return batch


def states(batch: Batch) -> list[str]:
    return list(batch.items.values_list("state", flat=True))


def counted(batch: Batch) -> dict[str, int]:
    return {state: n for state, n in orchestrator.counts([batch])[batch.pk].items() if n}
