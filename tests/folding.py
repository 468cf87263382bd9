"""What a saga's events say by themselves."""

from sagas.core.events import event_from
from sagas.core.machine import fold
from sagas.core.progress import Progress
from sagas.models import Saga
from sagas.orchestrator import pins


def folded(saga: Saga) -> Progress:
    """Fold the saga's event log from nothing."""
    log = [
        event_from(row.type, at=row.at, version=row.version, step=row.step, data=row.data)
        for row in saga.events.order_by("sequence")
    ]
    return fold(Progress.blank(pins.definition(saga.definition_id)), log)
