"""The list's filters, read from a query string, and which sagas they let through."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.utils.dateparse import parse_datetime

from sagas import searchable
from sagas.core.ids import id_range
from sagas.core.words import Attention, SagaState, Waiting
from sagas.matching import ANY, NONE, Wanted
from sagas.models import Saga, SagaQuerySet
from sagas.searchable import PREFIX


@dataclass(frozen=True)
class Filters:
    """What a person asked the list for. Impossible values are dropped and named in ``problems``."""

    state: str = ""
    type: str = ""
    attention: str = ""
    step: str = ""
    correlation: str = ""
    """How it begins."""
    correlation_id: str = ""
    """The whole of it."""
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
        moment = "a moment, such as 2026-12-24T18:00"
        right = {
            "state": (self.state in {*SagaState}, _one_of(SagaState)),
            "attention": (self.attention in {ANY, NONE, *Attention}, _one_of([ANY, NONE, *Attention])),
            "id": (id_range(self.id) is not None, "four hexadecimal digits or more, as an id begins"),
            "waiting": (self.waiting in {ANY, *Waiting}, _one_of([ANY, *Waiting])),
            "since": (moment_of(self.since) is not None, moment),
            "until": (moment_of(self.until) is not None, moment),
            "paused": (self.paused.lower() in _SAYS, "1 or 0"),
        }
        wrong = {
            name: f"{name} must be {what}, not {value!r}."
            for name, (ok, what) in right.items()
            if (value := getattr(self, name)) and not ok
        }
        known = searchable.paths()
        unknown = [path for path in self.data if path not in known]
        there = f"; there are {', '.join(known)}" if known else ""
        wrong |= {f"data.{path}": f"data.{path} is not searchable{there}." for path in unknown}
        return wrong | {
            name: f"{name} must not hold a NUL character."
            for name in self.active
            if "\x00" in self.active[name]
        }

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
        if self.problems:
            return Saga.objects.none()
        texts = {name: getattr(self, name) or None for name in _PLAIN if name not in _READ}
        read = {name: reads(text) for name, reads in _READ.items() if (text := getattr(self, name))}
        return Wanted(**texts, **read, data=self.data).sagas()


_PLAIN = [each.name for each in fields(Filters) if each.name != "data"]


def _one_of(words: Iterable[str]) -> str:
    return f"one of {', '.join(words)}"


def moment_of(text: str) -> datetime | None:
    """Read a time; without a zone it is UTC."""
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    if at is None or not 1970 <= at.year < 9000:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _says(text: str) -> bool:
    return _SAYS[text.lower()]


#: What a link says -> what is meant.
_SAYS = {"1": True, "true": True, "0": False, "false": False}
#: Filters that are not texts -> how they are read.
_READ = {"since": moment_of, "until": moment_of, "paused": _says}
