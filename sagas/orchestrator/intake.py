"""What was published in a choreography, taken in by the transaction that decides about its saga."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import transaction

from sagas.core import messages as m
from sagas.models import Due, LateReply
from sagas.orchestrator import ledger

#: The subscriber that stands for the saga itself, which hears of every event first.
SAGA = "saga"


class Intake:
    """The events that wait for the sagas of a group: decided at once, removed with what the group writes."""

    def __init__(self, group: ledger.Group) -> None:
        self._group = group
        self._taken: dict[UUID, list[int]] = {}
        self._late: list[LateReply] = []

    def decide(self) -> Mapping[UUID, Exception]:
        """Decide about what waits, in the order of its publication; return the sagas that cannot be decided."""
        sagas, broken = self._group.sagas, {}
        ids = [held.id for held in sagas.values() if held.definition.flow is not None and not held.imported]
        if not ids:
            return {}
        waiting = Due.objects.filter(saga_id__in=ids, kind=Due.DELIVERY, name=SAGA)
        told = waiting.values_list("pk", "saga_id", "event", "payload", "step")
        for pk, saga_id, event, data, by in sorted(told, key=itemgetter(0)):
            if saga_id not in broken:
                try:
                    self._take(pk, saga_id, event or "", data or {}, by)
                except Exception as fault:  # one saga's fault is not its neighbours'
                    broken[saga_id] = fault
        return broken

    def _take(self, pk: int, saga_id: UUID, event: str, data: dict[str, Any], by: str | None) -> None:
        self._taken.setdefault(saga_id, []).append(pk)
        if not self._group.decide(self._group.sagas[saga_id], m.Published(event, data, by)):
            payload = {"event": event, "data": data}
            self._late.append(LateReply(saga_id=saga_id, kind="published", payload=payload))

    def remove(self) -> list[LateReply]:
        """Have the group remove what was decided about sagas that are still in it; return what told nothing new."""
        kept = self._group.sagas
        gone = [pk for saga_id, those in self._taken.items() if saga_id in kept for pk in those]
        self._group.batch.delete(Due, "id", gone)
        return [late for late in self._late if late.saga_id in kept]


def take(saga_id: UUID) -> None:
    """Take in what was published in a saga, and nothing else."""
    with transaction.atomic():
        group = ledger.Group()
        group.lock([saga_id])
        intake = Intake(group)
        for fault in intake.decide().values():
            raise fault
        late = intake.remove()
        group.write()
        LateReply.objects.bulk_create(late)
