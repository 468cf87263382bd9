"""The event bus: what is published is due work from that transaction on, until its saga has taken it in.

A row of it belongs to the publisher's transaction, and is removed in the one that decides about it. So an event
is published if, and only if, its publisher committed, and the saga hears of it once.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from sagas import registry
from sagas.clock import database_now
from sagas.models import IMPORT, Due, Saga
from sagas.orchestrator import choreographed
from sagas.orchestrator.asked import Invalid, NotFound
from sagas.orchestrator.intake import SAGA
from sagas.orchestrator.replies import as_uuid
from sagas.orchestrator.start import Opening, check_data, plain, record, start
from sagas.replay import check_outside
from sagas.signals import committed

#: The saga, and the step, whose event is being delivered here, if one is.
delivering: ContextVar[tuple[UUID, str] | None] = ContextVar("delivering", default=None)
#: Seconds after which an event is taken in by itself, if the reply of the delivery that published it never comes.
ORPHANED = 5.0
#: Seconds that taking events in may take.
TIMEOUT = 60.0
_OURS = frozenset({"SagaStepCompleted", "SagaStepFailed", "SagaCompensationCompleted"})


def publish(
    event: str, data: Mapping[str, Any] | None = None, *, saga_id: UUID | str | None = None
) -> tuple[UUID, ...]:
    """Publish a domain event in the caller's transaction; :func:`sagas.publish` says where it belongs."""
    check_outside("publish()")
    if not isinstance(event, str) or not event or len(event) > 100 or event in _OURS:
        raise Invalid("event", f"must be a text of 1 to 100 characters, and no event of ours, not {event!r}")
    payload = _checked(data)
    here = delivering.get()
    there = as_uuid(saga_id) if saga_id is not None else here and here[0]
    if there is None:
        return _begin(event, payload)
    _leave(there, event, payload, by=here[1] if here and here[0] == there else None)
    return (there,)


def _checked(data: Mapping[str, Any] | None) -> dict[str, Any]:
    if data is not None and not isinstance(data, Mapping):
        raise Invalid("data", f"must be an object, not {type(data).__name__}")
    return dict(plain(dict(data or {})))


def _leave(saga_id: UUID, event: str, payload: dict[str, Any], by: str | None) -> None:
    """Leave an event for its saga; the reply of the delivery takes it along, if it is from one."""
    known = Saga.objects.filter(pk=saga_id)
    found = known.values_list("origin_kind", "saga_type", "definition__document__flow").first()
    if found is None:
        raise NotFound(f"There is no saga {saga_id}.")
    kind, saga_type, flow = found
    if flow is None:
        raise Invalid("saga_id", f"{saga_type} is no choreography: nobody would hear what is published in it")
    if kind == IMPORT:
        raise Invalid("saga_id", "names a saga that was imported: it is only a record here")
    wait = ORPHANED if by else 0.0
    Due.objects.create(
        kind=Due.DELIVERY,
        saga_id=saga_id,
        queue=registry.EVENTS_QUEUE,
        due_at=database_now() + timedelta(seconds=wait),
        name=SAGA,
        step=by,
        event=event,
        payload=payload,
        timeout=TIMEOUT,
    )
    if not wait:
        transaction.on_commit(_ring)


def _ring() -> None:
    committed.send_robust(sender=Due, changes=[], queues={registry.EVENTS_QUEUE})


def _begin(event: str, payload: dict[str, Any]) -> tuple[UUID, ...]:
    types = [a for a in registry.saga_types().values() if getattr(a, "first_event", None) == event]
    if types:
        with transaction.atomic():
            return tuple(start(author.saga_type, check_data(author, payload)).saga.pk for author in types)
    own = choreographed.of_event(event)
    return (record([Opening(own, payload)])[0].saga.pk,) if own else ()
