"""Batches: each clock carries on those that run, one saga at a time, and looks what came of the sagas before.

Who does so holds the batch's row, and a saga's verb and its place in the batch are written together: whatever dies,
each saga has its turn once, however many clocks there are. What goes wrong with one batch is no other's affair, and
not the clock's.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from uuid import UUID

from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    transaction,
)

from sagas import orchestrator, rows
from sagas.clock import database_now
from sagas.core.plain import printable
from sagas.core.words import SagaState
from sagas.engine.verdicts import LONGEST_ERROR, judge
from sagas.models import Batch, BatchItem, Saga
from sagas.orchestrator import MOST_UNDER_WAY, Asked, Forbidden

log = logging.getLogger(__name__)

#: Seconds that all batches together may take of one round of the clock.
TURN = 0.5
#: A batch that was not looked at for longer than this does not make up for it.
CATCH_UP = timedelta(seconds=1)
#: How long what came of the last of them is looked for, once a batch is over.
LOOKED_FOR = timedelta(days=1)
#: Milliseconds that a saga is waited for that somebody has locked: its turn comes in the next round, too.
PATIENCE = 500


def carry_on() -> None:
    """Carry on every batch of which not all is known, those that run for a moment each."""
    going = Batch.objects.filter(ended_at__isnull=True).order_by("pk").values_list("pk", "state")
    running = sum(state == Batch.RUNNING for _, state in going)
    for pk, _ in going:
        with _alone(pk):
            _carry_on(pk, TURN / max(running, 1))


def _carry_on(pk: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    room = _look(pk)
    while room > 0 and _next(pk) and time.monotonic() < end:
        room -= 1


@contextmanager
def _alone(pk: int) -> Iterator[None]:
    """Have nothing that goes wrong keep the clock from the others; it is tried again, and the batch says why."""
    try:
        yield
    except Exception as fault:  # a database's, an author's, or a backend's of permissions
        passing = isinstance(fault, OperationalError | InterfaceError)
        log.warning("batch %s cannot be carried on now: %s", pk, fault, exc_info=not passing)
        close_old_connections()
        text = f"Its next saga cannot be acted on at the moment: {type(fault).__name__}: {fault}"
        with suppress(DatabaseError, InterfaceError):  # if that is what is away, it says so elsewhere
            running = Batch.objects.filter(pk=pk, state=Batch.RUNNING)
            running.update(note=printable(text, LONGEST_ERROR))


@transaction.atomic
def _look(pk: int) -> int:
    """See what came of those that were acted on, and what follows for the batch; return how many more may begin."""
    batch = _locked(pk)
    if batch is None:
        return 0
    was = batch.state, batch.wave
    under_way = list(batch.items.filter(state=BatchItem.ACTED).order_by("-position")[: 2 * MOST_UNDER_WAY])
    judge(batch.verb, under_way)
    _stop_if_too_many_failed(batch)
    still = [item.position for item in under_way if item.state == BatchItem.ACTED]
    awaited = sum(position >= batch.released for position in still)
    if batch.state == Batch.RUNNING and not awaited:
        _next_wave(batch)
    if batch.over and not (still and database_now() < batch.next_at + LOOKED_FOR):
        batch.ended_at = database_now()
    if batch.ended_at or was != (batch.state, batch.wave):  # not once a second for as long as nothing happens
        batch.save()
    return MOST_UNDER_WAY - awaited if batch.state == Batch.RUNNING else 0


def _locked(pk: int) -> Batch | None:
    """Lock a batch; None if another clock has it, or all is known of it."""
    return Batch.objects.select_for_update(skip_locked=True).filter(pk=pk, ended_at__isnull=True).first()


def _next_wave(batch: Batch) -> None:
    """Begin the next wave if all of the one under way had their turn; after the last, the batch is done."""
    end = orchestrator.boundary(batch)
    if batch.items.filter(position__lt=end, state=BatchItem.WAITING).exists():
        return
    if end < batch.total:
        batch.wave += 1
    else:
        batch.state, batch.note = Batch.DONE, None


def _stop_if_too_many_failed(batch: Batch) -> None:
    if batch.state != Batch.RUNNING or batch.stop_above is None:
        return
    counted = batch.items.filter(counted=True)
    failed = counted.filter(state=BatchItem.FAILED).count()
    known = failed + counted.filter(state=BatchItem.WELL).count()
    if failed * 100 > batch.stop_above * known:
        since = " since it was resumed" if batch.items.filter(counted=False).exists() else ""
        batch.state = Batch.PAUSED
        batch.note = f"{failed} of {known} went wrong again{since}, which is more than {batch.stop_above} %."
        log.warning("batch %s has paused itself: %s", batch.pk, batch.note)


@transaction.atomic
def _next(pk: int) -> bool:
    """Give the next saga its turn; return whether another may have its turn at once."""
    rows.wait_at_most(PATIENCE)
    batch = _locked(pk)
    if batch is None or batch.state != Batch.RUNNING:
        return False
    now = database_now()
    waiting = batch.items.filter(state=BatchItem.WAITING, position__lt=orchestrator.boundary(batch))
    item = waiting.order_by("position").first() if batch.next_at <= now else None
    if item is None:
        return False
    try:
        _act(batch, item, now)
    except Forbidden as no:
        batch.state, batch.note = Batch.PAUSED, f"{batch.operator_name} may not do it any more: {no}"
        log.warning("batch %s has paused itself: %s", batch.pk, batch.note)
    else:
        item.save()
        batch.note = None
        batch.next_at = max(batch.next_at, now - CATCH_UP) + timedelta(seconds=1 / batch.per_second)
    batch.save()
    return batch.state == Batch.RUNNING


def _act(batch: Batch, item: BatchItem, now: datetime) -> None:
    """Do it to one saga. Raises Forbidden if the operator may not do it any more."""
    asked = Asked(
        operator=batch.operator,
        via=batch.via,
        reason=batch.reason,
        version=item.version,
        action_id=f"{batch.key.hex}-{item.position}",
        batch=batch,
    )
    _check_allowed(batch, asked)
    item.acted_at = now
    saga = Saga.objects.filter(pk=item.saga_id).first()
    if saga is None:
        item.state, item.text = BatchItem.REFUSED, "It is not there any more: it was pruned."
        return
    try:
        with transaction.atomic():
            _act_on(saga, batch.verb, item, asked)
    except (OperationalError, InterfaceError):  # the database's, which passes
        raise
    except Exception as fault:  # an author's code may raise anything, and the others must have their turns
        log.exception("batch %s cannot act on saga %s", batch.pk, saga.pk)
        text = f"It could not be decided: {type(fault).__name__}: {fault}"
        item.state, item.text = BatchItem.REFUSED, printable(text)


def _check_allowed(batch: Batch, asked: Asked) -> None:
    if orchestrator.orphaned(batch):
        raise Forbidden("That user is not there any more.")
    orchestrator.check_operator(asked, orchestrator.BATCH_PERMISSION, "act on many sagas at once")
    orchestrator.check_operator(asked, orchestrator.permission(batch.verb), f"{batch.verb} sagas")


def _act_on(saga: Saga, verb: str, item: BatchItem, asked: Asked) -> None:
    seen = orchestrator.snapshot(saga)
    steps = orchestrator.asking_steps(seen, verb)
    if verb in orchestrator.STEP_VERBS and not steps:
        item.state, item.text = (
            BatchItem.REFUSED,
            _why_not(saga.pk, item, seen["version"], seen["why"]["text"]),
        )
        return
    outcome = orchestrator.act_on_each(saga.pk, verb, steps, asked)
    item.steps, item.text = list(outcome.done), printable(outcome.refusal)
    item.state = BatchItem.ACTED if outcome.answer else BatchItem.REFUSED
    item.created_id = outcome.answer.created if outcome.answer else None
    item.forward = seen["state"] != SagaState.COMPENSATING
    item.asking = {step["name"]: step["attention"] for step in seen["steps"] if step["attention"]}


def _why_not(saga_id: UUID, item: BatchItem, version: int, why: str) -> str:
    """Say why none of a saga's steps can be acted on."""
    if version == item.version:
        return f"No step can be acted on: {why}"
    moved = f"The saga has moved on: you saw version {item.version}, it is {version}."
    return f"{moved} {orchestrator.who_moved(saga_id, item.version)}".strip()
