"""Leases: taking due work, keeping it, and taking it back from who has died.

Taking is one short transaction; PostgreSQL skips what others are taking, SQLite has one writer anyway.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from sagas import orchestrator, registry, rows
from sagas.clock import database_now
from sagas.conf import settings
from sagas.core import messages as m
from sagas.core.plain import printable
from sagas.core.words import Direction
from sagas.engine.work import DomainEvent, Facts, Sent, Work, command_work
from sagas.models import Due, Process
from sagas.orchestrator import loading

#: Seconds that a subscriber or hook may take.
DELIVERY_TIMEOUT = 60.0
#: Seconds to wait before a saga that could not be read or decided is tried again.
POISONED = 60.0
#: How many lost leases one look takes back.
REAPED_AT_ONCE = 100


def claim(queues: Collection[str], limit: int, worker: str) -> list[Work]:
    """Take up to so many pieces of work that are due on these queues."""
    with transaction.atomic():
        now = database_now()
        free = Due.objects.filter(queue__in=list(queues), due_at__lte=now, lease_token=None, paused=False)
        taken = list(free.select_for_update(skip_locked=True).order_by("due_at", "id")[:limit])
        if not taken:
            return []
        known = facts({row.saga_id for row in taken if row.kind == Due.COMMAND})
        readable = [row for row in taken if row.kind == Due.DELIVERY or row.saga_id in known]
        _put_off_unreadable([row.pk for row in taken if row not in readable], now)
        work = [_work(row, known, now) for row in readable]
        rows.update(
            Due,
            ("id",),
            ("lease_token", "lease_until", "claimed_at", "timeout_at", "worker"),
            [
                (row.pk, each.token, lease_end(now), now, now + timedelta(seconds=each.timeout), worker)
                for row, each in zip(readable, work, strict=True)
            ],
        )
        return work


def _put_off_unreadable(ids: list[int], now: datetime) -> None:
    """Keep a saga whose rows make no sense from being claimed again at once, and holding up its queue."""
    if ids:
        error = "the saga's rows cannot be read; the worker's log says why"
        Due.objects.filter(pk__in=ids).update(due_at=now + timedelta(seconds=POISONED), error=error)


def facts(ids: Collection[UUID]) -> dict[UUID, Facts]:
    """Read what the commands of these sagas need."""
    return {held.id: facts_of(held) for held in loading.read(ids)}


def facts_of(held: loading.Held) -> Facts:
    """Return what the commands of a loaded saga need."""
    return Facts(held.id, held.saga_type, held.correlation_id, held.definition, held.progress)


def lease_end(now: datetime) -> datetime:
    """Return when a lease taken or renewed now ends."""
    return now + timedelta(seconds=settings().LEASE)


def _work(row: Due, known: dict[UUID, Facts], now: datetime) -> Work:
    if row.kind == Due.DELIVERY:
        event = DomainEvent(row.event or "", row.payload or {})
        return Work(uuid4(), row.saga_id, row.name, row.attempt, DELIVERY_TIMEOUT, event=event)
    about = known[row.saga_id]
    sent = Sent(
        row.step or "",
        Direction(row.direction or ""),
        row.name,
        row.number or 0,
        row.generation or 0,
        row.attempt,
    )
    deadline = now + timedelta(seconds=about.definition.step(sent.step).timeout)
    return command_work(about, sent, uuid4(), deadline)


def renew(tokens: Collection[UUID]) -> None:
    """Keep what is still being worked on; what was lost meanwhile stays lost."""
    Due.objects.filter(lease_token__in=list(tokens)).update(lease_until=lease_end(database_now()))


def delivered(tokens: Collection[UUID]) -> None:
    """Remove events that their subscribers have taken."""
    Due.objects.filter(lease_token__in=list(tokens), kind=Due.DELIVERY).delete()


def keep_apart(token: UUID, error: str) -> None:
    """Leave a command claimed, though its outcome could not be recorded, until it is looked at again.

    Giving it back would say that nothing had been tried; when its lease ends, its outcome is unknown.
    """
    until = database_now() + timedelta(seconds=POISONED)
    Due.objects.filter(lease_token=token).update(lease_until=until, error=printable(error))


def put_off(work: Work, wait: float, error: str) -> None:
    """Give a delivery back, to be tried again later."""
    released: dict[str, Any] = {
        "lease_token": None,
        "lease_until": None,
        "claimed_at": None,
        "timeout_at": None,
    }
    due_at = database_now() + timedelta(seconds=wait)
    held = Due.objects.filter(lease_token=work.token)
    held.update(due_at=due_at, attempt=work.attempt + 1, error=printable(error), worker=None, **released)


def reap() -> int:
    """Take back what workers held that have gone silent; return how much it was.

    A lost lease is an attempt of unknown outcome: the worker may have died before, in or after the call.
    """
    lost = Due.objects.filter(lease_token__isnull=False, lease_until__lt=database_now())
    listed = list(lost.order_by("lease_until")[:REAPED_AT_ONCE])
    commands = [row for row in listed if row.kind == Due.COMMAND]
    if commands:
        for answer, fault in orchestrator.deliver([_lost(row) for row in commands]).undecided:
            if answer.lease_token is not None:
                keep_apart(answer.lease_token, f"could not be decided: {fault}")
    for row in listed:
        if row.kind == Due.DELIVERY:
            event = DomainEvent(row.event or "", {})
            lost_one = Work(row.lease_token or uuid4(), row.saga_id, row.name, row.attempt, 0, event=event)
            put_off(lost_one, 0, "its worker was lost")
    return len(listed)


def hold_unserved() -> int:
    """Ask for attention about commands that nobody handles, here or anywhere; return how many.

    Those are due for a while, on queues that no handler of ours is on and no process that was
    lately alive has served. A participant whose workers have died keeps its queue for an hour.
    """
    now = database_now()
    free = Due.objects.filter(kind=Due.COMMAND, lease_token=None, paused=False)
    ripe = free.filter(due_at__lte=now - timedelta(seconds=settings().UNSERVED))
    waiting = set(ripe.values_list("queue", flat=True).distinct()) - set(registry.queues())
    if waiting:
        waiting -= {queue for queues in Process.objects.values_list("queues", flat=True) for queue in queues}
    if not waiting:
        return 0
    work = claim(waiting, REAPED_AT_ONCE, "clock")
    orchestrator.deliver([_unserved(each) for each in work if each.command is not None])
    return len(work)


def _unserved(work: Work) -> orchestrator.Answered:
    error = f"no handler is registered for {work.name}, and no worker serves its queue"
    return orchestrator.Answered(work.saga_id, m.Unserved(work.number, error), work.token)


def _lost(row: Due) -> orchestrator.Answered:
    handler = registry.handler(row.name)
    error = f"the worker {row.worker or ''} was lost in attempt {row.attempt}"
    unknown = m.Unknown(row.number or 0, error, inbox=handler.inbox if handler else False)
    return orchestrator.Answered(row.saga_id, unknown, row.lease_token)
