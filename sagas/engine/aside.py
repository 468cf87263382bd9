"""Outcomes of sagas that somebody keeps locked: they are put aside, so that their neighbours need not wait."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sagas.orchestrator import loading

T = TypeVar("T")

#: Seconds until it is looked whether a lock is gone, doubling from the first to the second.
SOONEST, LATEST = 0.5, 5.0


@dataclass
class _Waiting(Generic[T]):
    saga_id: UUID
    outcome: T
    since: float
    """On this process' monotonic clock, as all of them."""
    wait: float = SOONEST
    look_at: float = 0.0

    def put_off(self, now: float) -> None:
        self.look_at, self.wait = now + self.wait, min(self.wait * 2, LATEST)


class Aside(Generic[T]):
    """What has been answered and cannot be written yet, by the tokens of its leases. Not thread-safe."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, _Waiting[T]] = {}

    def put(self, token: UUID, saga_id: UUID, outcome: T) -> None:
        """Put an outcome aside, or back if it was there before and its turn has not helped."""
        now = time.monotonic()
        each = self._waiting.setdefault(token, _Waiting(saga_id, outcome, now))
        each.put_off(now)

    def ready(self) -> list[T]:
        """Return those whose turn it is and whose sagas nobody keeps locked. They wait until they are written."""
        now = time.monotonic()
        due = [each for each in self._waiting.values() if each.look_at <= now]
        if not due:
            return []
        locked = loading.locked({each.saga_id for each in due})
        for each in due:
            each.put_off(now)
        return [each.outcome for each in due if each.saga_id not in locked]

    def written(self, tokens: Iterable[UUID]) -> None:
        """Forget outcomes that are not ours to write any more."""
        for token in tokens:
            self._waiting.pop(token, None)

    def given_up(self, patience: float) -> list[UUID]:
        """Forget those that have waited for so many seconds, and return their tokens."""
        long_ago = time.monotonic() - patience
        tokens = [token for token, each in self._waiting.items() if each.since <= long_ago]
        self.written(tokens)
        return tokens
