"""Removing sagas that are long over: a few at a time, each in a short transaction that waits for nobody.

What is kept: whatever is unfinished, asks for a person, still has an event to deliver, is younger, or belongs to
one that is kept. The audit trail outlives its sagas.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from sagas import rows
from sagas.clock import database_now
from sagas.core.ids import uuid7
from sagas.models import (
    CHILD,
    UNDO,
    Alert,
    Batch,
    Callback,
    Child,
    Definition,
    Due,
    Event,
    LateReply,
    OperatorAction,
    Saga,
    SagaQuerySet,
    Step,
)
from sagas.orchestrator import trail
from sagas.orchestrator.asked import Asked
from sagas.orchestrator.exporting import documents

#: Milliseconds that a batch may wait for a lock on PostgreSQL, should it have to after all.
PATIENCE = 500
#: How long ago any process must have made sure of a definition that is removed: much longer than they are sure of it.
UNUSED = timedelta(days=1)

#: How many definitions one run removes at most: each makes the database look at every saga.
DEFINITIONS = 100

#: How many alerts are removed in a transaction.
ALERTS = 500

#: Keeps documents for good; they must be on the disk when it returns.
Keep = Callable[[Sequence[Mapping[str, Any]]], None]


class Old(NamedTuple):
    """A saga that may go."""

    id: UUID
    finished_at: datetime
    origin_id: UUID | None
    origin_kind: str
    saga_type: str
    correlation_id: str
    state: str


def old_sagas(older_than: timedelta, batch: int) -> Iterator[list[UUID]]:
    """Yield the ids of what :func:`prune` would remove, by the batch, the longest finished first."""
    before = database_now() - older_than
    for page in _pages(before, batch):
        yield [old.id for old in page]


def prune(older_than: timedelta, batch: int, asked: Asked, keep: Keep | None = None) -> Iterator[list[UUID]]:
    """Remove old sagas with all that hangs on them; yield the ids of each batch once it is committed.

    With ``keep`` each is handed over first, and only removed if it is then still as it was. What anybody
    has locked is left for the next time. Definitions that nobody needs any more go last.
    """
    before, run, count = database_now() - older_than, str(uuid7()), 0
    for page in _pages(before, batch):
        wanted = _with_origin(page)
        kept = documents([old.id for old in wanted]) if keep else []
        if keep and kept:
            keep(kept)
        with transaction.atomic():
            removed = _locked(wanted, before)
            if keep:
                removed = _unchanged(removed, kept)
            if removed:
                _remove(removed)
                count += len(removed)
                _record(run, asked, older_than, count)
        yield [old.id for old in removed]
    _remove_batches(before)
    _remove_alerts(before)
    _remove_definitions()


def _alone(before: datetime) -> Q:
    """Say which sagas may go as far as they themselves are concerned."""
    undelivered = Exists(Due.objects.filter(saga_id=OuterRef("pk")))
    return Q(~undelivered, finished_at__lt=before, attention__isnull=True)


def _prunable(before: datetime) -> SagaQuerySet:
    """Return the sagas that may go, and of which neither the origin nor a successor has to stay.

    A failed saga could be restarted a second time if only its restart were gone; so none goes before its origin.
    """
    origin = Saga.objects.filter(pk=OuterRef("origin_id"))
    successors = Saga.objects.filter(origin_id=OuterRef("pk"))
    rootless = Q(origin_id__isnull=True) | ~Exists(origin) | Exists(origin.filter(_alone(before)))
    return Saga.objects.filter(_alone(before), rootless, ~Exists(successors.exclude(_alone(before))))


def _pages(before: datetime, batch: int) -> Iterator[list[Old]]:
    """Yield prunable sagas by the batch; what was left behind is not looked at again."""
    found = _prunable(before).order_by("finished_at", "pk").values_list(*Old._fields)
    page = [Old(*row) for row in found[:batch]]
    while page:
        yield _with_family(page, before)
        last = page[-1]
        further = Q(finished_at__gt=last.finished_at) | Q(pk__gt=last.id)
        following = found.filter(further, finished_at__gte=last.finished_at)
        page = [Old(*row) for row in following[:batch]]


def _with_family(olds: Sequence[Old], before: datetime) -> list[Old]:
    """Leave out children of whose line upward one has to stay: when it rolls back, it may undo all that are below."""
    above = {old.id: old.origin_id for old in olds if old.origin_kind in {CHILD, UNDO}}
    staying: set[UUID] = set()
    while above:
        line = Saga.objects.filter(pk__in=set(above.values()))
        known = {pk: (up, kind) for pk, up, kind in line.values_list("pk", "origin_id", "origin_kind")}
        going = set(line.filter(_alone(before)).values_list("pk", flat=True))
        staying |= {pk for pk, up in above.items() if up in known and up not in going}
        further = {pk: known[up] for pk, up in above.items() if up in going}
        above = {pk: up for pk, (up, kind) in further.items() if kind in {CHILD, UNDO}}
    return [old for old in olds if old.id not in staying]


def _with_origin(olds: Sequence[Old]) -> list[Old]:
    """Leave out whose origin would stay. An origin had finished before its successor began, and comes first.

    A child may go before its parent: its whole line is over, or it would not be here.
    """
    origins = {old.origin_id for old in olds if old.origin_id and old.origin_kind not in {CHILD, UNDO}}
    staying = set(Saga.objects.filter(pk__in=origins).values_list("pk", flat=True))
    chosen = []
    for old in olds:
        if old.origin_id not in staying:
            chosen.append(old)
            staying.discard(old.id)
    return chosen


def _locked(wanted: Sequence[Old], before: datetime) -> list[Old]:
    """Lock what may still go and nobody else has locked."""
    rows.wait_at_most(PATIENCE)
    some = Saga.objects.filter(pk__in=[old.id for old in wanted])
    locked = list(some.select_for_update(skip_locked=True).order_by("pk").values_list("pk", flat=True))
    # Asked again, now that nobody can decide about them: a restart may have come while we took the locks.
    still = set(_prunable(before).filter(pk__in=locked).values_list("pk", flat=True))
    return _with_origin([old for old in wanted if old.id in still])


def _unchanged(removed: Sequence[Old], kept: Sequence[Mapping[str, Any]]) -> list[Old]:
    """Return those that are as they were kept."""
    known = {document["saga"]["id"]: document for document in kept}
    now = {document["saga"]["id"]: document for document in documents([old.id for old in removed])}
    return [old for old in removed if now[str(old.id)] == known[str(old.id)]]


def _remove(removed: Sequence[Old]) -> None:
    """Remove sagas; what operators did stays, without the copy of the saga that they were answered with."""
    ids = [old.id for old in removed]
    names = {
        old.id: {"type": old.saga_type, "correlation_id": old.correlation_id, "state": old.state}
        for old in removed
    }
    acts = OperatorAction.objects.filter(saga_id__in=ids).values_list("pk", "saga_id")
    batch = rows.Batch(Saga)
    batch.update(
        OperatorAction, ("id",), ("answer",), [(pk, {"pruned": names[saga]}) for pk, saga in acts if saga]
    )
    for model in (Callback, LateReply, Event, Step):
        batch.delete(model, "saga_id", ids)
    batch.delete(Child, "parent_id", ids)
    batch.delete(Saga, "id", ids)
    batch.write()


def _record(run: str, asked: Asked, older_than: timedelta, count: int) -> None:
    """Say in the audit trail who removed how many; one row for a run, written with each of its batches."""
    request, answer = {"older_than": older_than.total_seconds()}, {"removed": count}
    deed = trail.entry(asked, "prune", request, at=database_now(), action_id=run, answer=answer)
    OperatorAction.objects.bulk_create(
        [deed], update_conflicts=True, unique_fields=["action_id"], update_fields=["answer", "at"]
    )


def _remove_batches(before: datetime) -> None:
    """Remove batches that ended so long ago; what was done in them stays in the audit trail."""
    for batch in Batch.objects.filter(ended_at__lt=before):
        batch.delete()


def _remove_alerts(before: datetime) -> None:
    """Remove alerts that were over so long ago, and with them whom they were told."""
    while old := list(Alert.objects.filter(resolved_at__lt=before).values_list("pk", flat=True)[:ALERTS]):
        Alert.objects.filter(pk__in=old).delete()


def _remove_definitions() -> None:
    """Remove the definitions of sagas that are gone, unless somebody may be about to start others with them."""
    unused = Definition.objects.filter(used_at__lt=Now() - UNUSED)
    orphans = unused.exclude(Exists(Saga.objects.filter(definition_id=OuterRef("pk"))))
    for digest in list(orphans.values_list("pk", flat=True)[:DEFINITIONS]):
        with (
            transaction.atomic()
        ):  # locked: who makes sure of it now finds that it is gone, and stores it anew
            held = unused.select_for_update(skip_locked=True).filter(pk=digest).values_list("pk", flat=True)
            batch = rows.Batch(Definition)
            batch.delete(Definition, "digest", list(held))
            batch.write()
