"""Deliveries that keep failing: a hook or a subscriber raises each time, and its events wait.

Nothing of a saga waits for them, so no saga asks for a person: somebody has to be told of the function itself.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sagas import registry
from sagas.clock import database_now
from sagas.core.flow import delivery
from sagas.models import Due
from sagas.models.due import DueQuerySet
from sagas.orchestrator import outbox

#: Attempts that have to fail: the first few may be a hiccup.
FAILED = 3
#: Rows that are read; a count stops there and says "+".
MOST = 1_000
#: Of one function, so many are named.
NAMED = 3


class Tried(NamedTuple):
    """A delivery that has failed, as it is read."""

    name: str
    event: str
    saga_id: UUID
    attempt: int
    """The one that is to come."""
    due_at: datetime
    error: str | None


@dataclass(frozen=True)
class Undelivered:
    """What one function has not taken."""

    called: str
    count: int
    more: bool
    """There are more than were read."""
    attempts: int
    since: datetime
    """When the first of them failed for the first time, or a little earlier."""
    error: str
    """What the latest attempt ended with."""
    examples: Sequence[Tried] = ()
    """Some of them: those that are tried again soonest."""

    @property
    def text(self) -> str:
        """How many."""
        return f"{self.count:,}{'+' if self.more else ''}".replace(",", " ")

    def __str__(self) -> str:
        keep = "deliveries to {} keep" if self.count > 1 else "delivery to {} keeps"
        which = f"{self.text} {keep.format(self.called)} failing"
        return (
            f"{which}, in up to {self.attempts} attempts since {self.since:%Y-%m-%d %H:%M} UTC: {self.error}"
        )


def undelivered() -> list[Undelivered]:
    """Return the functions that keep failing, the one with most deliveries first: one query, whatever there is.

    What failed is due again after a while, or held by a worker: only such rows are read, by their indexes, and none
    of a backlog that nobody has tried yet.
    """
    tried: DueQuerySet = Due.objects.filter(kind=Due.DELIVERY, attempt__gt=FAILED).order_by()
    now = database_now()
    ahead = tried.free().filter(queue__in=delivering(), due_at__gt=now).values_list(*Tried._fields)
    held = tried.filter(lease_token__isnull=False).values_list(*Tried._fields)
    read = [Tried(*row) for row in ahead.union(held, all=True)[: MOST + 1]]
    found: dict[str, list[Tried]] = defaultdict(list)
    for each in read[:MOST]:
        found[_called(each.name, each.event)].append(each)
    those = (_undelivered(called, tried, now, more=len(read) > MOST) for called, tried in found.items())
    return sorted(those, key=lambda each: (-each.count, each.called))


def delivering() -> list[str]:
    """Return the queues on which events are delivered."""
    heard = {subscriber.queue for event in registry.events() for subscriber in registry.subscribers(event)}
    return sorted(heard | {registry.EVENTS_QUEUE})


def _called(name: str, event: str) -> str:
    if name != outbox.HOOK:
        return delivery(event, name)
    saga_type, hook = outbox.hook_of(event)
    return f"{saga_type}.{hook}"


def _undelivered(called: str, tried: Sequence[Tried], now: datetime, *, more: bool) -> Undelivered:
    last = max(tried, key=lambda each: each.due_at - timedelta(seconds=outbox.wait_after(each.attempt - 1)))
    return Undelivered(
        called,
        len(tried),
        more,
        attempts=max(each.attempt for each in tried) - 1,
        # The cap may have been another then: that is no reason to speak of times to come.
        since=min(now, *(each.due_at - timedelta(seconds=outbox.waited(each.attempt)) for each in tried)),
        error=last.error or "",
        examples=sorted(tried, key=lambda each: each.due_at)[:NAMED],
    )
