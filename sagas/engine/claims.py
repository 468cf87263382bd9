"""Leases: taking due work, keeping it, and taking it back from who has died.

Taking is one statement on PostgreSQL, which skips what others are taking; SQLite has one writer anyway.
"""

import json
import logging
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.db import connections, router, transaction
from django.db.models import QuerySet

from sagas import orchestrator, registry, rows
from sagas.clock import database_now
from sagas.conf import settings
from sagas.core import messages as m
from sagas.core.commands import due_command, own_wake
from sagas.core.plain import printable
from sagas.core.words import Direction
from sagas.engine.room import AWAY, is_locked, is_unwritable
from sagas.engine.work import DomainEvent, Sent, Work, command_work
from sagas.models import Due, OperatorAction, PausedQueue, Process, Saga
from sagas.orchestrator import loading
from sagas.orchestrator.loading import DueRow, Held
from sagas.signals import left_over

log = logging.getLogger(__name__)

#: Seconds to wait before a saga that could not be read or decided is tried again.
POISONED = 60.0
#: Seconds for which a command that others handle is left to them.
PASSED_ON = 1.0
#: How many lost leases one look takes back.
REAPED_AT_ONCE = 100


class Taken(NamedTuple):
    """A due row that is ours from now on."""

    id: int
    kind: str
    queue: str
    saga_id: UUID
    name: str
    attempt: int
    step: str | None
    direction: str | None
    number: int | None
    generation: int | None
    event: str | None
    payload: Any
    timeout: float
    lease_token: UUID
    timeout_at: datetime


#: What a row says before it is taken.
_TOLD = Taken._fields[:-2]


def claim(queues: Collection[str], limit: int, worker: str) -> list[Work]:
    """Take up to so many pieces of work that are due on these queues, the longest due first.

    Who gets as much as that calls the next one to what may be left: a burst is everybody's within a moment.
    """
    if connections[router.db_for_write(Due)].vendor == "postgresql":
        taken, known = _take(sorted(queues), limit, worker)
    else:
        with transaction.atomic(savepoint=False):
            taken, known = _take_one_by_one(sorted(queues), limit, worker)
    if len(taken) == limit:
        queue = taken[-1].queue
        transaction.on_commit(lambda: left_over.send_robust(sender=Due, queues={queue}))
    readable = [row for row in taken if row.kind == Due.DELIVERY or row.saga_id in known]
    _put_off_unreadable([row.id for row in taken if row not in readable])
    for row in readable:
        if row.kind == Due.COMMAND and row.number is not None:
            due = DueRow(row.id, row.number, row.lease_token)
            known[row.saga_id].due = {**known[row.saga_id].due, row.number: due}
    return [_work(row, known) for row in readable]


def _take(queues: Sequence[str], limit: int, worker: str) -> tuple[list[Taken], dict[UUID, Held]]:
    """Take due rows, and their sagas with them."""
    with rows.prepared(connections[router.db_for_write(Due)]) as cursor:
        cursor.execute(_TAKE, [queues, limit, limit, settings().LEASE, worker])
        found = cursor.fetchall()
    taken = [Taken(*row) for *row, _ in found]
    texts = {row.saga_id: text for row, (*_, text) in zip(taken, found, strict=True) if text}
    known = loading.from_texts(texts)
    # The sagas are as they were when the statement began: before it waited for a row that was being rewritten.
    behind = {row.saga_id for row in taken if row.saga_id in known and not _is_of(row, known[row.saga_id])}
    known |= {held.id: held for held in loading.read(behind)}
    return [row._replace(payload=json.loads(row.payload)) if row.payload else row for row in taken], known


def _is_of(row: Taken, held: Held) -> bool:
    if not row.step:
        own = own_wake(held.definition, held.progress)
        return own is not None and own.number == row.number
    step = held.progress.steps.get(row.step)
    command = due_command(held.definition, step) if step is not None else None
    return command is not None and (command.number, command.name, command.attempt) == (
        row.number,
        row.name,
        row.attempt,
    )


#: Queue by queue, so that none is read further than needed, however much waits there. What is updated comes in no
#: order, so it is put back into that of being due. A row is looked up as in :mod:`sagas.rows`.
_TAKE = f"""
WITH free AS (
    SELECT d.id, d.due_at FROM unnest(%s::text[]) AS q(name) CROSS JOIN LATERAL (
        SELECT id, due_at FROM {Due._meta.db_table}
        WHERE queue = q.name AND due_at <= statement_timestamp() AND lease_token IS NULL AND NOT paused
        ORDER BY due_at LIMIT %s FOR UPDATE SKIP LOCKED
    ) AS d ORDER BY d.due_at, d.id LIMIT %s
), taken AS (
    UPDATE {Due._meta.db_table} AS due SET
        lease_token = gen_random_uuid(),
        lease_until = statement_timestamp() + %s * interval '1 second',
        claimed_at = statement_timestamp(),
        timeout_at = statement_timestamp() + due.timeout * interval '1 second',
        worker = %s,
        error = NULL
    FROM free WHERE due.id = ANY (ARRAY[free.id])
    RETURNING {", ".join(f"due.{name}" for name in Taken._fields)}, due.due_at
)
SELECT {", ".join(Taken._fields)}, (
    SELECT {loading.AS_TEXT} FROM {Saga._meta.db_table} AS s
    WHERE s.id = taken.saga_id AND taken.kind = '{Due.COMMAND}'
) FROM taken ORDER BY due_at, id
"""  # noqa: S608 - names are our models' own


#: What is free and due on a queue, for SQLite; in the words of the index ``due_free``.
_FREE_NOW = '"queue" = %s AND "due_at" <= %s AND "lease_token" IS NULL AND NOT "paused"'


def _take_one_by_one(queues: Sequence[str], limit: int, worker: str) -> tuple[list[Taken], dict[UUID, Held]]:
    """Take as the statement above does, in a transaction that has locked everything."""
    now = database_now()
    until = rows.latest(Due, "due_at", now)
    asked = [(queue, until) for queue in queues]
    found = rows.firsts(Due, ("due_at", *_TOLD), _FREE_NOW, "due_at", limit, asked)
    found = sorted(found, key=lambda row: row[:2])[:limit]
    taken = [Taken._make((*row, uuid4(), now)) for _, *row in found]
    taken = [row._replace(timeout_at=now + timedelta(seconds=row.timeout)) for row in taken]
    batch = rows.Batch(Due)
    columns = ("lease_token", "lease_until", "claimed_at", "timeout_at", "worker", "error")
    values = [(row.id, row.lease_token, lease_end(now), now, row.timeout_at, worker, None) for row in taken]
    batch.update(Due, ("id",), columns, values)
    batch.write()
    return taken, {
        held.id: held for held in loading.read({r.saga_id for r in taken if r.kind == Due.COMMAND})
    }


def _put_off_unreadable(ids: Sequence[int]) -> None:
    """Keep a saga whose rows make no sense from being claimed again at once, and holding up its queue."""
    if ids:
        error = "the saga's rows cannot be read; the worker's log says why"
        later = database_now() + timedelta(seconds=POISONED)
        Due.objects.filter(pk__in=ids).update(**_FREE, due_at=later, error=error)


#: What of a row says that nobody holds it.
_FREE: dict[str, Any] = dict.fromkeys(("lease_token", "lease_until", "claimed_at", "timeout_at", "worker"))


def lease_end(now: datetime) -> datetime:
    """Return when a lease taken or renewed now ends."""
    return now + timedelta(seconds=settings().LEASE)


def _work(row: Taken, known: loading.Known) -> Work:
    if row.kind == Due.DELIVERY:
        event = DomainEvent(row.event or "", row.payload or {})
        return Work(row.lease_token, row.saga_id, row.name, row.attempt, row.timeout, event=event)
    sent = Sent(
        row.step or "",
        Direction(row.direction or ""),
        row.name,
        row.number or 0,
        row.generation or 0,
        row.attempt,
        row.timeout,
        row.queue == registry.WAITS_QUEUE,
    )
    return command_work(known[row.saga_id], sent, row.lease_token, row.timeout_at)


def _held(works: Collection[Work]) -> QuerySet[Due]:
    """Return the rows of what is still ours of this work, found by their sagas."""
    sagas, tokens = [work.saga_id for work in works], [work.token for work in works]
    return Due.objects.filter(saga_id__in=sagas, lease_token__in=tokens)


def renew(works: Collection[Work]) -> frozenset[UUID]:
    """Keep what is still being worked on, and return the tokens of that; what was lost meanwhile stays lost.

    A row that somebody has locked is left for the next time: waiting for several could be waited for.
    """
    with transaction.atomic():
        found = _held(works).select_for_update(skip_locked=True).values_list("pk", "lease_token")
        kept = dict(found)
        Due.objects.filter(pk__in=list(kept)).update(lease_until=lease_end(database_now()))
    return frozenset(filter(None, kept.values()))


def delivered(works: Collection[Work]) -> None:
    """Remove events that their subscribers have taken."""
    _held(works).filter(kind=Due.DELIVERY).delete()


def pass_on(works: Collection[Work]) -> frozenset[UUID]:
    """Leave commands that nobody handles here to workers alive whose code does; return the tokens of those.

    While a deployment is rolled out, workers of two codes serve one queue.
    """
    if not works:
        return frozenset()
    alive = database_now() - timedelta(seconds=settings().ALIVE)
    workers = Process.objects.filter(kind=Process.WORKER, seen_at__gte=alive)
    served = [(set(queues), set(names)) for queues, names in workers.values_list("queues", "commands")]
    waits_on = dict(_held(works).values_list("lease_token", "queue"))
    passed = [
        work
        for work in works
        if any(waits_on.get(work.token) in queues and work.called in names for queues, names in served)
    ]
    _let_go(passed, due_at=database_now() + timedelta(seconds=PASSED_ON))
    return frozenset(work.token for work in passed)


def give_back(works: Collection[Work]) -> None:
    """Leave to whoever has room what was taken and not begun: no attempt of it was made."""
    _let_go(works)


def _let_go(works: Collection[Work], **more: Any) -> None:
    with transaction.atomic():  # locked in the order in which a saga's are: see loading.lock
        ours = list(_held(works).order_by("pk").select_for_update().values_list("pk", flat=True))
        Due.objects.filter(pk__in=ours).update(**_FREE, **more)


def keep_apart(saga_id: UUID, token: UUID, error: str) -> None:
    """Leave a command claimed, though its outcome could not be recorded, until it is looked at again.

    Giving it back would say that nothing had been tried; when its lease ends, its outcome is unknown.
    """
    until = database_now() + timedelta(seconds=POISONED)
    held = Due.objects.filter(saga_id=saga_id, lease_token=token)
    held.update(lease_until=until, error=printable(error))


def put_off(work: Work, wait: float, error: str) -> None:
    """Give a delivery back, to be tried again later."""
    due_at = database_now() + timedelta(seconds=wait)
    _held([work]).update(**_FREE, due_at=due_at, attempt=work.attempt + 1, error=printable(error))


def reap() -> int:
    """Take back what workers held that have gone silent; return how much it was.

    A lost lease is an attempt of unknown outcome: the worker may have died before, in or after the call.
    """
    lost = Due.objects.filter(lease_token__isnull=False, lease_until__lt=database_now())
    listed = list(lost.order_by("lease_until")[:REAPED_AT_ONCE])
    commands = [row for row in listed if row.kind == Due.COMMAND]
    _record([_lost(row) for row in commands])
    for row in listed:
        if row.kind == Due.DELIVERY:
            event = DomainEvent(row.event or "", {})
            lost_one = Work(row.lease_token or uuid4(), row.saga_id, row.name, row.attempt, 0, event=event)
            put_off(lost_one, 0, "its worker was lost")
    return len(listed)


def hold_unserved() -> int:
    """Ask for attention about commands that nobody handles, here or anywhere; return how many.

    Those are due for a while, on queues that no handler of ours is on and no process that was
    lately alive has served. A participant whose workers have died keeps its queue for an hour; where a
    queue was paused, the while begins when it is resumed.
    """
    ripe = database_now() - timedelta(seconds=settings().UNSERVED)
    waiting = {name for name, oldest in Due.oldest_by_queue().items() if oldest <= ripe}
    waiting -= set(registry.queues())
    if waiting:
        waiting -= PausedQueue.names() | _resumed_since(ripe)  # that it waited is somebody's will
        waiting -= {queue for queues in Process.objects.values_list("queues", flat=True) for queue in queues}
        commands = Due.objects.free().filter(kind=Due.COMMAND, queue__in=waiting, due_at__lte=ripe)
        waiting = set(commands.values_list("queue", flat=True).distinct())
    if not waiting:
        return 0
    work = claim(waiting, REAPED_AT_ONCE, "clock")
    _record([_unserved(each) for each in work if each.event is None and not each.wakes])
    return len(work)


def _resumed_since(moment: datetime) -> frozenset[str]:
    resumed = OperatorAction.objects.filter(verb="resume_queue", at__gt=moment)
    return frozenset(request["queue"] for request in resumed.values_list("request", flat=True))


def _record(answers: Sequence[orchestrator.Answered]) -> None:
    """Record what became of commands, and keep those apart of which it cannot be: they must not hold up the others."""
    locked = loading.locked({answer.saga_id for answer in answers}) if answers else frozenset()
    for answer in answers:
        if answer.saga_id in locked:
            _leave(answer)
    answers = [answer for answer in answers if answer.saga_id not in locked]
    if not answers:
        return
    try:
        undecided = orchestrator.deliver(answers).undecided
    except Exception as fault:
        if isinstance(fault, AWAY) and not (is_unwritable(fault) or is_locked(fault)):
            raise
        if len(answers) > 1:
            for answer in answers:
                _record([answer])
            return
        if is_locked(fault):
            _leave(answers[0])
            return
        log.error("what became of a command of saga %s cannot be written", answers[0].saga_id, exc_info=fault)
        undecided = [(answers[0], fault)]
    for answer, why in undecided:
        if answer.lease_token is not None:
            keep_apart(answer.saga_id, answer.lease_token, f"could not be recorded: {why}")


def _leave(answer: orchestrator.Answered) -> None:
    """Leave a saga that somebody keeps locked for the next look."""
    log.warning("saga %s is locked by somebody; it is looked at again", answer.saga_id)
    if isinstance(answer.reply, m.Unserved):
        # Nobody was called, so that no lease may be lost of it.
        later = database_now() + timedelta(seconds=PASSED_ON)
        held = Due.objects.filter(saga_id=answer.saga_id, lease_token=answer.lease_token)
        held.update(**_FREE, due_at=later)


def _unserved(work: Work) -> orchestrator.Answered:
    error = f"no handler is registered for {work.name}, and no worker serves its queue"
    return orchestrator.Answered(work.saga_id, m.Unserved(work.number, error), work.token, work.claimed_at)


def _lost(row: Due) -> orchestrator.Answered:
    if row.queue == registry.WAITS_QUEUE:  # nobody was called; the time is still up
        return orchestrator.Answered(row.saga_id, m.TimeUp(row.number or 0), row.lease_token, row.claimed_at)
    handler = registry.handler(row.name)
    error = f"the worker {row.worker or ''} was lost in attempt {row.attempt}"
    unknown = m.Unknown(row.number or 0, error, inbox=handler.inbox if handler else False)
    return orchestrator.Answered(row.saga_id, unknown, row.lease_token)
