"""Batches: each clock carries on those that run, one saga at a time, and looks what came of the sagas before.

Who does so holds the batch's row, and a saga's verb and its place in the batch are written together: whatever dies,
each saga has its turn once, however many clocks there are.
"""

import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, transaction

from sagas import orchestrator
from sagas.clock import database_now
from sagas.core.words import TERMINAL, Attention, SagaState, StepStatus
from sagas.models import Batch, BatchItem, Saga, Step
from sagas.orchestrator import Asked, Forbidden

log = logging.getLogger(__name__)

#: Seconds that all batches together may take of one round of the clock.
TURN = 0.5
#: Sagas of a batch of which it is not known what came of them, at most: more do not begin before.
MOST_UNDER_WAY = 1000
#: A batch that was not looked at for longer than this does not make up for it.
CATCH_UP = timedelta(seconds=1)
#: What a step is once its retry has gone well.
SETTLED = frozenset({StepStatus.COMPLETED, StepStatus.COMPENSATED, StepStatus.SKIPPED})
#: Characters of an error that are kept with what became of a saga: the saga itself has all of it.
LONGEST_ERROR = 300

_READ = ("saga_id", "name", "status", "waiting", "attention", "error")

_Verdict = tuple[str, str]
"""A state, and why."""


def carry_on() -> None:
    """Carry on every batch of which not all is known, for a moment each."""
    running = list(Batch.objects.filter(ended_at__isnull=True).order_by("pk").values_list("pk", flat=True))
    for pk in running:
        end = time.monotonic() + TURN / len(running)
        room = _look(pk)
        while room > 0 and time.monotonic() < end and _next(pk):
            room -= 1


@transaction.atomic
def _look(pk: int) -> int:
    """See what came of those that were acted on, and what follows for the batch; return how many more may begin."""
    batch = _locked(pk)
    if batch is None:
        return 0
    was = batch.state, batch.wave
    under_way = list(batch.items.filter(state=BatchItem.ACTED).order_by("position")[:MOST_UNDER_WAY])
    _judge(batch, under_way)
    _stop_if_too_many_failed(batch)
    if batch.state == Batch.RUNNING:
        _next_wave(batch)
    still = sum(item.state == BatchItem.ACTED for item in under_way)
    if batch.over and not still:
        batch.ended_at = database_now()
    if batch.ended_at or was != (batch.state, batch.wave):  # not once a second for as long as nothing happens
        batch.save()
    return MOST_UNDER_WAY - still if batch.state == Batch.RUNNING else 0


def _locked(pk: int) -> Batch | None:
    """Lock a batch; None if another clock has it, or all is known of it."""
    return Batch.objects.select_for_update(skip_locked=True).filter(pk=pk, ended_at__isnull=True).first()


def _next_wave(batch: Batch) -> None:
    """Begin the next wave if it is known of the one under way what came of it; after the last, the batch is done."""
    begun = batch.items.filter(position__lt=orchestrator.boundary(batch))
    if begun.filter(state__in=[BatchItem.WAITING, BatchItem.ACTED]).exists():
        return
    if orchestrator.boundary(batch) < batch.total:
        batch.wave += 1
    else:
        batch.state = Batch.DONE


def _stop_if_too_many_failed(batch: Batch) -> None:
    if batch.state != Batch.RUNNING or batch.stop_above is None:
        return
    counted = batch.items.filter(position__gte=batch.counted_from)
    failed = counted.filter(state=BatchItem.FAILED).count()
    known = failed + counted.filter(state=BatchItem.WELL).count()
    if failed * 100 > batch.stop_above * known:
        batch.state = Batch.PAUSED
        since = " since it was resumed" if batch.counted_from else ""
        batch.note = f"{failed} of {known} went wrong again{since}, which is more than {batch.stop_above} %."
        log.warning("batch %s has paused itself: %s", batch.pk, batch.note)


@transaction.atomic
def _next(pk: int) -> bool:
    """Give the next saga its turn; return whether another may have its turn at once."""
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
        action_id=f"batch-{batch.pk}-{item.position}",
        batch=batch,
    )
    if batch.operator is None and not batch.at_shell:
        raise Forbidden("That user is not there any more.")
    orchestrator.check_operator(asked, orchestrator.permission(batch.verb), f"{batch.verb} sagas")
    item.acted_at = now
    saga = Saga.objects.filter(pk=item.saga_id).first()
    if saga is None:
        item.state, item.text = BatchItem.REFUSED, "It is not there any more: it was pruned."
        return
    try:
        with transaction.atomic():
            _act_on(saga, batch.verb, item, asked)
    except (DatabaseError, InterfaceError):
        raise
    except Exception as fault:  # an author's code may raise anything, and the others must have their turns
        log.exception("batch %s cannot act on saga %s", batch.pk, saga.pk)
        item.state, item.text = BatchItem.REFUSED, f"It could not be decided: {type(fault).__name__}: {fault}"


def _act_on(saga: Saga, verb: str, item: BatchItem, asked: Asked) -> None:
    seen = orchestrator.snapshot(saga)
    if seen["version"] != item.version:
        item.state = BatchItem.REFUSED
        item.text = f"The saga has moved on: it was at version {item.version}, and is at {seen['version']}."
        return
    steps = orchestrator.steps_for(seen, verb)
    if verb in orchestrator.STEP_VERBS and not steps:
        item.state, item.text = BatchItem.REFUSED, f"No step can be acted on: {seen['why']['text']}"
        return
    outcome = orchestrator.act_on_each(saga.pk, verb, steps, asked)
    item.steps, item.text = list(outcome.done), outcome.refusal
    item.state = BatchItem.ACTED if outcome.answer else BatchItem.REFUSED
    item.created_id = outcome.answer.created if outcome.answer else None
    item.forward = seen["state"] != SagaState.COMPENSATING


def _judge(batch: Batch, items: Sequence[BatchItem]) -> None:
    """Put down what came of those of which it is known."""
    subjects = Saga.objects.in_bulk([item.created_id or item.saga_id for item in items])
    steps = _steps(subjects) if items else {}
    judged = []
    for item in items:
        subject = item.created_id or item.saga_id
        verdict = _verdict(batch.verb, item, subjects.get(subject), steps.get(subject, []))
        if verdict is not None:
            item.state, item.text = verdict[0], item.text or verdict[1]
            judged.append(item)
    BatchItem.objects.bulk_update(judged, ["state", "text"], batch_size=200)


def _steps(sagas: Iterable[UUID]) -> dict[UUID, list[Any]]:
    found: dict[UUID, list[Any]] = {}
    for step in Step.objects.filter(saga_id__in=list(sagas)).only(
        "saga_id", "name", "status", "attention", "error"
    ):
        found.setdefault(step.saga_id, []).append(step)
    return found


def _verdict(verb: str, item: BatchItem, saga: Saga | None, steps: Sequence[Any]) -> _Verdict | None:
    """Return what came of it; None if that is not known yet."""
    if saga is None:
        return BatchItem.WELL, ""  # only what is over is pruned
    if saga.attention:
        return BatchItem.FAILED, _asks(saga.attention, steps)
    turned = (
        saga.state in {SagaState.COMPENSATING, SagaState.FAILED} and verb != "compensate" and item.forward
    )
    if turned:
        return BatchItem.FAILED, f"It rolled back: {saga.error or 'nobody said why'}"[:LONGEST_ERROR]
    if item.steps:  # what else it waits for was none of ours
        settled = all(s.status in SETTLED or s.waiting for s in steps if s.name in item.steps)
    else:
        settled = saga.waiting is not None
    return (BatchItem.WELL, "") if settled or saga.state in TERMINAL else None


def _asks(attention: str, steps: Sequence[Any]) -> str:
    """Say why a saga asks for a person again."""
    asking = next((step for step in steps if step.attention == attention), None)
    named = f"{asking.name}: " if asking else ""
    error = f": {asking.error}" if asking and asking.error else ""
    return f"{named}{Attention(attention).value.replace('_', ' ')}{error}"[:LONGEST_ERROR]
