"""Which sagas somebody means: the filters of a list and of a batch, the same at the desk, by the API and in a shell."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef

from sagas import searchable
from sagas.core.ids import id_range
from sagas.models import Due, Saga, SagaQuerySet, Step

#: Whatever the code, or whatever it waits for.
ANY = "any"
#: No code at all.
NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The sagas that have all of this; None asks for nothing. A face that reads these checks that they are possible."""

    state: str | None = None
    type: str | None = None
    attention: str | None = None
    """A code that a step of it asks with, or ``any``, or ``none``."""
    step: str | None = None
    """A step that it has; with a code, one that asks with it."""
    waiting: str | None = None
    """For what, or ``any``."""
    paused: bool | None = None
    queue: str | None = None
    """On which something of it waits, due now or later."""
    id: str | None = None
    """How it begins."""
    correlation_id: str | None = None
    correlation: str | None = None
    """How the correlation id begins."""
    since: datetime | None = None
    """Started then or later."""
    until: datetime | None = None
    """Started before."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Path in the data -> the value there. Raises :class:`searchable.NotSearchable` for one that has no index."""

    def named(self) -> dict[str, Any]:
        """Return what is asked for, by its name in a query, as JSON has it."""
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "data"}
        data = {f"{searchable.PREFIX}{path}": value for path, value in self.data.items()}
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in (plain | data).items()
            if value is not None
        }

    def sagas(self) -> SagaQuerySet:
        """Return them, in no order."""
        exact = {"state": self.state, "saga_type": self.type, "correlation_id": self.correlation_id}
        sagas = Saga.objects.filter(**{name: value for name, value in exact.items() if value is not None})
        if self.paused is not None:
            sagas = sagas.paused() if self.paused else sagas.filter(paused=False)
        if self.waiting is not None:
            sagas = sagas.waiting()
        if self.waiting not in {None, ANY}:
            sagas = sagas.filter(waiting__kind=self.waiting)
        if self.queue is not None:
            sagas = sagas.filter(pk__in=Due.sagas_on(self.queue))
        for path, value in self.data.items():
            sagas = searchable.with_value(sagas, path, value)
        return self._within(self._correlated(self._asking(sagas)))

    def _asking(self, sagas: SagaQuerySet) -> SagaQuerySet:
        steps = Step.objects.filter(saga=OuterRef("pk"))
        if self.attention == NONE:
            sagas = sagas.filter(attention__isnull=True)
        elif self.attention is not None:
            sagas = sagas.at_attention()  # a partial index has them
            steps = steps.filter(attention__isnull=False)
            steps = steps if self.attention == ANY else steps.filter(attention=self.attention)
        if self.step is not None:
            steps = steps.filter(name=self.step)
        by_step = self.step is not None or self.attention not in {None, ANY, NONE}
        return sagas.filter(Exists(steps)) if by_step else sagas

    def _correlated(self, sagas: SagaQuerySet) -> SagaQuerySet:
        begun = self.correlation
        if begun is None:
            return sagas
        if connection.vendor == "sqlite":  # its LIKE uses no index; a range does, and the bytes sort the same
            return sagas.filter(correlation_id__gte=begun, correlation_id__lt=begun + "\U0010ffff")
        return sagas.filter(correlation_id__startswith=begun)

    def _within(self, sagas: SagaQuerySet) -> SagaQuerySet:
        """Ids sort by the time they were made, so a time is a range of the primary key."""
        if self.id is not None:
            first_and_last = id_range(self.id)
            sagas = sagas.filter(id__range=first_and_last) if first_and_last else sagas.none()
        if self.since is not None:
            sagas = sagas.filter(id__gte=first_id_at(self.since))
        if self.until is not None:
            sagas = sagas.filter(id__lt=first_id_at(self.until))
        return sagas


def first_id_at(at: datetime) -> UUID:
    """Return the lowest id that a saga made at that time can have."""
    return UUID(int=max((at - _EPOCH) // timedelta(milliseconds=1), 0) << 80)


_EPOCH = datetime.fromtimestamp(0, UTC)
