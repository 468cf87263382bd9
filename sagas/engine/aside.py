"""Outcomes of sagas that somebody keeps locked: they are put aside, so that their neighbours need not wait."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sagas.engine.work import Work
from sagas.orchestrator import loading

T = TypeVar("T")

#: Seconds until it is looked whether a lock is gone, doubling from the first to the second.
SOONEST, LATEST = 0.5, 5.0
#: So many may wait. Past that it is no saga that is locked, but all of them.
MOST = 1000


@dataclass
class _Waiting(Generic[T]):
    work: Work
    outcome: T
    wait: float
    look_at: float
    """On this process' monotonic clock."""


class Aside(Generic[T]):
    """What has been answered and cannot be written yet, by the tokens of its leases. One thread changes it."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, _Waiting[T]] = {}
        self._waits: dict[UUID, float] = {}
        """How long each of those waited that have been taken out, and may come back."""

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, token: UUID) -> bool:
        return token in self._waiting

    @property
    def works(self) -> Iterator[Work]:
        """What is answered here; each has a lease to be kept."""
        return (each.work for each in self._waiting.values())

    def put(self, work: Work, outcome: T) -> None:
        """Put an outcome aside, for longer each time."""
        wait = min(self._waits.pop(work.token, SOONEST / 2) * 2, LATEST)
        self._waiting[work.token] = _Waiting(work, outcome, wait, time.monotonic() + wait)

    def drop(self, token: UUID) -> None:
        """Forget an outcome: a better one has come."""
        self._waiting.pop(token, None)

    def take(self) -> list[T]:
        """Take out those whose turn it is, and whose sagas nobody keeps locked."""
        now = time.monotonic()
        due = [each for each in self._waiting.values() if each.look_at <= now]
        if not due:
            return []
        for each in due:  # also if it cannot be seen
            each.wait = min(each.wait * 2, LATEST)
            each.look_at = now + each.wait
        locked = loading.locked({each.work.saga_id for each in due})
        free = [each for each in due if each.work.saga_id not in locked]
        for each in free:
            del self._waiting[each.work.token]
        self._waits = {each.work.token: each.wait / 2 for each in free}
        return [each.outcome for each in free]

    def give_up(self) -> list[Work]:
        """Forget all of it, and return whose outcomes they were."""
        works = list(self.works)
        self._waiting.clear()
        return works
