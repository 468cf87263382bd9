"""A verb on many sagas: put down which, in an order; then a clock carries it out, in waves and at a pace.

Retrying all at once after an outage is the next outage. So the first waves are small, each waits until it is known
what came of the one before, and the batch pauses by itself when too much of it goes wrong again (as users of
ServicePulse ask in its issue 2764). What is done to each saga is a verb like any other, through the operators' door:
the version that was seen, an action id, a permission, a reason, an entry in the audit trail.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from sagas.clock import database_now
from sagas.models import Batch, BatchItem, SagaQuerySet
from sagas.orchestrator import batch_plan, trail
from sagas.orchestrator.asked import BATCH_VERBS, VERBS, Asked, Invalid, NotFound, Refused
from sagas.orchestrator.batch_plan import BATCH_PERMISSION, LARGEST, Course
from sagas.orchestrator.operators import check_operator, check_reason, check_words, permission

#: Sagas of a batch of which it is not known what came of them, at most: no more begin before.
MOST_UNDER_WAY = 1000

#: State of an item -> how many of a batch's stand so.
Counts = Mapping[str, int]

#: Verb -> what it would do to a batch.
_SAYS: Mapping[str, str] = {
    "pause": "No further saga has its turn. What was begun goes on.",
    "resume": "It goes on where it stopped. What went wrong before does not count any more.",
    "release": "It does not wait any longer for those that had their turn; what comes of them still counts.",
    "cancel": "No further saga has its turn, and it cannot be resumed. What was done stays done.",
}


@dataclass(frozen=True)
class BatchAnswer:
    """What became of what was asked."""

    batch: Batch
    verb: str
    repeated: bool = False
    """The action id was known: it was done then."""


def batch_numbered(number: int) -> Batch:
    """Return a batch. Raises NotFound."""
    found = Batch.objects.filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no batch {number}; it may have been pruned.")
    return found


def start_batch(
    verb: str,
    sagas: SagaQuerySet,
    asked: Asked,
    course: Course,
    *,
    filters: Mapping[str, str],
    seen_at: datetime | None = None,
    at_most: int | None = None,
) -> BatchAnswer:
    """Begin a batch on the sagas that match, the oldest first; ``filters`` says which those are, for people.

    ``seen_at`` and ``at_most`` are the moment and the total of the preview: whatever has moved since is left out, and
    more than that are refused, so that nothing is taken that it did not count. Raises Forbidden, Invalid, and Refused
    where nothing matches, or too much. The same action id again returns the batch that it began.
    """
    batch_plan.check(verb, asked, course)
    check_reason(asked)
    request = {"of": verb, "filters": dict(filters), **_particulars(course)}
    stored = _stored("start", asked, request)
    if stored:
        return stored
    found = batch_plan.applicable(verb, sagas, seen_at or batch_plan.settled_by())
    chosen = list(found.order_by("pk").values_list("pk", "version")[: LARGEST + 1])
    if not chosen:
        raise Refused(batch_plan.nothing(verb))
    if len(chosen) > LARGEST:
        raise Refused(batch_plan.too_many(found.count()))
    if at_most is not None and len(chosen) > at_most:
        raise Refused(f"{len(chosen)} sagas match by now, more than the {at_most} that you saw: look again.")
    return trail.once(
        lambda: _begin(verb, chosen, asked, course, request), lambda: _stored("start", asked, request)
    )


@transaction.atomic
def _begin(
    verb: str, chosen: list[tuple[UUID, int]], asked: Asked, course: Course, request: Mapping[str, Any]
) -> BatchAnswer:
    now = database_now()
    batch = Batch.objects.create(
        verb=verb,
        filters=request["filters"],
        reason=asked.reason,
        operator=asked.operator,
        operator_name=asked.name,
        at_shell=asked.operator is None,
        via=asked.via,
        total=len(chosen),
        **_particulars(course),
        next_at=now,
        created_at=now,
    )
    items = (
        BatchItem(batch=batch, position=position, saga_id=pk, version=version)
        for position, (pk, version) in enumerate(chosen)
    )
    BatchItem.objects.bulk_create(items, batch_size=1000)
    found = {"batch": batch.pk, "sagas": len(chosen)}
    trail.record(asked, "start_batch", {**request, **found}, at=now, batch=batch)
    return BatchAnswer(batch, "start")


def act_on_batch(number: int, verb: str, asked: Asked) -> BatchAnswer:
    """Pause a batch, resume it, end its wait for the wave that is under way, or cancel what is left of it.

    Raises NotFound, Forbidden, Invalid, and Refused where it does not apply. The same action id again does nothing.
    """
    _check(verb, asked)
    check_reason(asked)
    batch_numbered(number)
    request = {"batch": number}
    return trail.once(lambda: _act(verb, asked, request), lambda: _stored(verb, asked, request))


@transaction.atomic
def _act(verb: str, asked: Asked, request: Mapping[str, Any]) -> BatchAnswer:
    batch = Batch.objects.select_for_update().get(pk=request["batch"])
    stored = _stored(verb, asked, request)
    if stored:
        return stored
    _check_applies(batch, verb, asked)
    now = database_now()
    _change(batch, verb, now)
    trail.record(asked, f"{verb}_batch", request, at=now, batch=batch)
    return BatchAnswer(batch, verb)


def preview_batch_verb(number: int, verb: str, asked: Asked) -> str:
    """Say what :func:`act_on_batch` would do, and change nothing. Raises as it does."""
    _check(verb, asked)
    _check_applies(batch_numbered(number), verb, asked)
    return _SAYS[verb]


def batch_verbs(batch: Batch, counted: Counts) -> dict[str, str]:
    """Return what can be done to a batch as it is, each with what it would do."""
    return {verb: says for verb, says in _SAYS.items() if not _obstacle(batch, verb, counted)}


def counts(batches: Iterable[Batch]) -> Mapping[int, Counts]:
    """Return how many of each batch's sagas stand how; none is 0. One query."""
    found: dict[int, dict[str, int]] = {
        batch.pk: {state: 0 for state, _ in BatchItem.STATES} for batch in batches
    }
    items = BatchItem.objects.filter(batch__in=found).order_by()
    for number, state, many in items.values_list("batch", "state").annotate(n=Count("pk")):
        found[number][state] = many
    return found


def batch_documents(batches: Iterable[Batch]) -> list[dict[str, Any]]:
    """Return batches as plain JSON data, with how many of their sagas stand how. One query, however many they are."""
    listed = list(batches)
    counted = counts(listed)
    return [_document(batch, counted[batch.pk]) for batch in listed]


def _document(batch: Batch, counted: Counts) -> dict[str, Any]:
    return {
        "id": batch.pk,
        "verb": batch.verb,
        "state": batch.state,
        "note": batch.note,
        "filters": batch.filters,
        "reason": batch.reason,
        "operator": batch.operator_name,
        "via": batch.via,
        "total": batch.total,
        "counts": counted,
        "waves": batch.waves,
        "wave": batch.wave,
        "per_second": batch.per_second,
        "stop_above": batch.stop_above,
        "created_at": batch.created_at.isoformat(),
        "ended_at": batch.ended_at.isoformat() if batch.ended_at else None,
        "verbs": list(batch_verbs(batch, counted)),
    }


def item_document(item: BatchItem) -> dict[str, Any]:
    """Return one saga of a batch as plain JSON data."""
    return {
        "position": item.position,
        "saga": str(item.saga_id),
        "version": item.version,
        "state": item.state,
        "steps": item.steps,
        "created": str(item.created_id) if item.created_id else None,
        "text": item.text,
        "acted_at": item.acted_at.isoformat() if item.acted_at else None,
    }


def boundary(batch: Batch) -> int:
    """Return the position before which the sagas of the waves that have begun lie."""
    ends = list(accumulate(batch.waves))
    return min(ends[batch.wave], batch.total) if batch.wave < len(ends) else batch.total


def _check(verb: str, asked: Asked) -> None:
    if verb not in BATCH_VERBS:
        raise Invalid("verb", f"{verb!r} is not for batches; there are {', '.join(BATCH_VERBS)}")
    check_operator(asked, BATCH_PERMISSION, "act on many sagas at once")
    check_words(asked)


def _obstacle(batch: Batch, verb: str, counted: Counts) -> str:
    """Say why a verb does not apply to a batch as it is; empty if it does."""
    if batch.over:
        return f"The batch is {batch.state}."
    if verb == "pause" and batch.state == Batch.PAUSED:
        return "The batch is paused already."
    if verb == "resume" and batch.state != Batch.PAUSED:
        return "The batch is not paused."
    if verb == "resume" and orphaned(batch):
        return "Whoever began the batch is not there any more: cancel it, and begin another."
    all_had_turns = batch.total - counted[BatchItem.WAITING] >= boundary(batch)
    if verb == "release" and not all_had_turns and counted[BatchItem.ACTED] < MOST_UNDER_WAY:
        return "Not all sagas of this wave have had their turn yet."
    if verb == "release" and not counted[BatchItem.ACTED]:
        return "The batch waits for nothing: it is known what came of each."
    return ""


def orphaned(batch: Batch) -> bool:
    """Whether a batch was begun by a user who is not there any more."""
    return batch.operator_id is None and not batch.at_shell


def _check_applies(batch: Batch, verb: str, asked: Asked) -> None:
    """Raise Refused unless a verb applies; or Forbidden, if by it more sagas would be acted on than its user may."""
    if obstacle := _obstacle(batch, verb, counts([batch])[batch.pk]):
        raise Refused(obstacle)
    if verb in {"resume", "release"}:
        check_operator(asked, permission(batch.verb), f"{VERBS[batch.verb].lower()} sagas")


def _change(batch: Batch, verb: str, now: datetime) -> None:
    if verb == "pause":
        batch.state, batch.note = Batch.PAUSED, None
    elif verb == "resume":
        batch.items.filter(state__in=[BatchItem.WELL, BatchItem.FAILED]).update(counted=False)
        batch.state, batch.note, batch.next_at = Batch.RUNNING, None, now
    elif verb == "cancel":
        batch.state, batch.note = Batch.CANCELLED, None
    else:
        batch.released = batch.items.exclude(state=BatchItem.WAITING).count()
        if batch.released >= batch.total:
            batch.state, batch.note = Batch.DONE, None
        elif batch.released >= boundary(batch):
            batch.wave += 1
    batch.save()


def _particulars(course: Course) -> dict[str, Any]:
    return {
        "waves": list(course.waves),
        "per_second": course.per_second,
        "stop_above": course.stop_above,
    }


def _stored(verb: str, asked: Asked, request: Mapping[str, Any]) -> BatchAnswer | None:
    known = trail.replayed(asked, f"{verb}_batch", request)
    if known is None:
        return None
    if known.batch is None:
        raise Invalid("action_id", "was already used, and the batch has been pruned since")
    return BatchAnswer(known.batch, verb, repeated=True)
