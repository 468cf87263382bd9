"""The typed settings: ``SAGAS = {...}`` in Django's settings, each with its default."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed


@dataclass(frozen=True)
class Settings:
    """All of Sagadesk's settings. Durations are seconds."""

    LEASE: float = 30.0
    """How long a worker may be silent before what it holds is given to another."""
    CONCURRENCY: int = 32
    """Handlers that one worker process runs at the same time."""
    BUDGET: float = 20.0
    """How long one RQ job goes on serving its queues before it makes room."""
    MAX_JOBS: int = 10_000
    """RQ jobs after which a worker process ends, to be started afresh."""
    CLOCK: float = 1.0
    """Between two looks of the clock."""
    ALIVE: float = 10.0
    """A process that has been silent for longer counts as gone."""
    UNSERVED: float = 20.0
    """How long a command may be due on a queue of which nobody knows, until an operator is asked."""
    QUEUES: Mapping[str, str] = field(default_factory=dict)
    """Service name -> queue, where it is not the service's name in lower case without "Service"."""
    DELIVERY_RETRY_CAP: float = 300.0
    """The longest wait between two deliveries of an event to a subscriber that fails."""
    SEARCHABLE: tuple[str, ...] = ()
    """Paths in the sagas' data, as ``customer.id``, that lists may be filtered by; ``migrate`` makes their indexes."""


_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


class ImpossibleSetting(ValueError):
    """A setting that is unknown or has an impossible value. Its text says which and why."""


def read(given: Mapping[str, Any]) -> Settings:
    """Check and return the settings. Raises :class:`ImpossibleSetting`."""
    known = {f.name: f for f in fields(Settings)}
    for name, value in given.items():
        if name not in known:
            raise ImpossibleSetting(f"SAGAS[{name!r}] is not a setting; there are {', '.join(known)}.")
        if name == "QUEUES":
            if not isinstance(value, Mapping):
                raise ImpossibleSetting(f"SAGAS['QUEUES'] must map service names to queues, not {value!r}.")
        elif name == "SEARCHABLE":
            _check_paths(value)
        elif not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
            raise ImpossibleSetting(f"SAGAS[{name!r}] must be a number above 0, not {value!r}.")
    # From the environment every number is a float; some count things.
    counts = {name: int(given[name]) for name in ("CONCURRENCY", "MAX_JOBS") if name in given}
    paths = {"SEARCHABLE": tuple(given["SEARCHABLE"])} if "SEARCHABLE" in given else {}
    return Settings(**{**given, **counts, **paths})


def _check_paths(value: Any) -> None:
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        raise ImpossibleSetting(f"SAGAS['SEARCHABLE'] must list paths in the data, not {value!r}.")
    for path in value:
        if not _PATH.fullmatch(path):
            raise ImpossibleSetting(
                f"SAGAS['SEARCHABLE'] names {path!r}; a path is keys of letters, digits, _ and -, joined by dots."
            )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings in force."""
    return read(getattr(django_settings, "SAGAS", {}))


def _forget(*, setting: str, **_: Any) -> None:
    if setting == "SAGAS":
        settings.cache_clear()


setting_changed.connect(_forget)
