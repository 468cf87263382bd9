"""The list's filters, read from a query string, and which sagas they let through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef
from django.utils.dateparse import parse_datetime

from sagas import searchable
from sagas.core.ids import id_range
from sagas.core.words import Attention, SagaState, Waiting
from sagas.models import Due, Saga, SagaQuerySet, Step
from sagas.searchable import PREFIX

ANY = "any"


@dataclass(frozen=True)
class Filters:
    """What a person asked the list for. Impossible values are dropped and named in ``problems``."""

    state: str = ""
    type: str = ""
    attention: str = ""
    step: str = ""
    correlation: str = ""
    id: str = ""
    """How it begins."""
    since: str = ""
    until: str = ""
    paused: str = ""
    waiting: str = ""
    queue: str = ""
    """On which something of them waits."""
    data: Mapping[str, str] = field(default_factory=dict)
    """Path in the data -> the value that is sought there."""

    @classmethod
    def read(cls, query: Mapping[str, Any]) -> "Filters":
        """Read the filters from a query string."""
        plain = {name: str(query.get(name, "")).strip()[:200] for name in _PLAIN}
        sought = {name: str(query[name]).strip()[:200] for name in query if name.startswith(PREFIX)}
        return cls(
            **plain, data={name.removeprefix(PREFIX): value for name, value in sought.items() if value}
        )

    @property
    def problems(self) -> dict[str, str]:
        """Field -> what is wrong with its value."""
        checks = {
            "state": self.state in {"", *SagaState},
            "attention": self.attention in {"", ANY, *Attention},
            "id": not self.id or id_range(self.id) is not None,
            "waiting": self.waiting in {"", ANY, *Waiting},
            "since": not self.since or moment_of(self.since) is not None,
            "until": not self.until or moment_of(self.until) is not None,
        }
        wrong = {
            name: f"{getattr(self, name)!r} is not a value for {name}."
            for name, ok in checks.items()
            if not ok
        }
        known = searchable.paths()
        unknown = [path for path in self.data if path not in known]
        there = f"; there are {', '.join(known)}" if known else ""
        return wrong | {f"data.{path}": f"data.{path} is not searchable{there}." for path in unknown}

    @property
    def sought(self) -> list[tuple[str, str]]:
        """The paths that may be asked for, each with the value that is."""
        return [(path, self.data.get(path, "")) for path in searchable.paths()]

    @property
    def active(self) -> dict[str, str]:
        """The filters that are set, as they appear in a link."""
        plain = {name: getattr(self, name) for name in _PLAIN if getattr(self, name)}
        return plain | {f"{PREFIX}{path}": value for path, value in self.data.items()}

    @property
    def query(self) -> str:
        """The filters as a query string."""
        return urlencode(self.active)

    def without(self, *names: str) -> str:
        """The query string with some filters taken away."""
        return urlencode({k: v for k, v in self.active.items() if k not in names})

    @property
    def without_state(self) -> str:
        """The query string for the same list over all states."""
        return self.without("state")

    def apply(self) -> SagaQuerySet:
        """Return the sagas that match; nothing if a value is impossible."""
        sagas = Saga.objects.all()
        if self.problems:
            return sagas.none()
        if self.state:
            sagas = sagas.filter(state=self.state)
        if self.type:
            sagas = sagas.filter(saga_type=self.type)
        if first_and_last := id_range(self.id):
            sagas = sagas.filter(id__range=first_and_last)
        if self.paused:
            sagas = sagas.paused()
        if self.waiting:
            sagas = sagas.waiting()
        if self.waiting not in {"", ANY}:
            sagas = sagas.filter(waiting__kind=self.waiting)
        if self.queue:
            sagas = sagas.filter(pk__in=Due.sagas_on(self.queue))
        for path, value in self.data.items():
            sagas = searchable.with_value(sagas, path, value)
        return self._in_time(self._at_attention(self._correlated(sagas)))

    def _correlated(self, sagas: SagaQuerySet) -> SagaQuerySet:
        if not self.correlation:
            return sagas
        if connection.vendor == "sqlite":  # its LIKE uses no index; a range does, and the bytes sort the same
            return sagas.filter(
                correlation_id__gte=self.correlation, correlation_id__lt=self.correlation + "\U0010ffff"
            )
        return sagas.filter(correlation_id__startswith=self.correlation)

    def _at_attention(self, sagas: SagaQuerySet) -> SagaQuerySet:
        if self.attention:
            sagas = sagas.at_attention()
        steps = Step.objects.filter(saga=OuterRef("pk"))
        if self.attention == ANY:
            steps = steps.filter(attention__isnull=False)
        elif self.attention:
            steps = steps.filter(attention=self.attention)
        if self.step:
            steps = steps.filter(name=self.step)
        return sagas.filter(Exists(steps)) if self.step or self.attention not in {"", ANY} else sagas

    def _in_time(self, sagas: SagaQuerySet) -> SagaQuerySet:
        """Ids sort by the time they were made, so a time is a range of the primary key."""
        if self.since:
            sagas = sagas.filter(id__gte=first_id_at(moment_of(self.since)))
        if self.until:
            sagas = sagas.filter(id__lt=first_id_at(moment_of(self.until)))
        return sagas


_PLAIN = [each.name for each in fields(Filters) if each.name != "data"]


def first_id_at(at: datetime | None) -> UUID:
    """Return the lowest id that a saga made at that time can have."""
    milliseconds = int((at or datetime.fromtimestamp(0, UTC)).timestamp() * 1000)
    return UUID(int=max(milliseconds, 0) << 80)


def moment_of(text: str) -> datetime | None:
    """Read a time; without a zone it is UTC."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    if at is None or not 1970 <= at.year < 9000:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
