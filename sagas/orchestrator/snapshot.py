"""A saga as plain data: one representation for the API, the command line, hooks and pages."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import F

from sagas.clock import database_now
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.decide import Refused, decide
from sagas.core.definition import CANNOT_UNDO, FUNCTION, SagaDefinition, SagaStep
from sagas.core.flow import END
from sagas.core.progress import late_in
from sagas.core.waits import UNDO_CHILD
from sagas.core.words import Direction, SagaState, StepStatus, Verdict, Waiting
from sagas.models import CHILD, RESTART, Due, Event, OperatorAction, Saga, Step
from sagas.orchestrator import loading, repairing, restarting, why
from sagas.orchestrator.approvals import unanswerable
from sagas.orchestrator.asked import VERBS
from sagas.orchestrator.family import Family, family_of
from sagas.orchestrator.present import UNASKED, Present
from sagas.orchestrator.queues import paused

_STEP_FIELDS = (
    "name", "position", "status", "attention", "attempt", "budget", "action", "compensation", "result", "error",
    "outcome", "standing", "generation", "undo_generation", "scheduled", "unresolved", "probe", "waiting", "approver",
    "asked",
)  # fmt: skip
#: How often sagas that move on while they are read are read again; one that moves faster is held still for it.
LOOKS = 3
_STEP_TIMES = ("due_at", "waiting_since", "dispatched_at", "executed_at", "compensated_at")


class _Beside(NamedTuple):
    """What is read for all sagas of a snapshot at once, beside their own rows."""

    family: Family
    nobody: Mapping[str, str]
    """Approver -> why nobody can answer for it."""
    present: Present
    pauses: Mapping[str, dict[str, Any]]
    """Queue -> who paused it."""


_Belongings = tuple[dict[UUID, list[Step]], dict[UUID, dict[int, Due]]]
"""The steps of sagas, and their due commands by number."""


def snapshot(saga: Saga) -> dict[str, Any]:
    """Return one saga as plain JSON data."""
    return snapshots([saga])[0]


def snapshots(sagas: Iterable[Saga]) -> list[dict[str, Any]]:
    """Return sagas as plain JSON data, each as it was at one moment: at the version that it says.

    The number of queries does not depend on how many they are.
    """
    listed = list(sagas)
    steps, due = _belongings(listed)
    for _ in range(LOOKS):
        moved = _moved(listed)
        if not moved:
            break
        listed = [moved.get(saga.pk, saga) for saga in listed]
        found = _belongings(list(moved.values()))
        steps, due = steps | found[0], due | found[1]
    else:
        for pk, saga in _moved(listed).items():
            still, belongings = _held_still(saga)
            listed = [still if each.pk == pk else each for each in listed]
            steps, due = steps | belongings[0], due | belongings[1]
    again = Saga.objects.filter(origin_id__in=[saga.pk for saga in listed], origin_kind=RESTART)
    restarted = {origin: str(pk) for origin, pk in again.values_list("origin_id", "id")}
    now = database_now()
    open_rows = [row for rows in due.values() for row in rows.values()]
    beside = _Beside(
        family=family_of(_child_keys(saga, steps[saga.pk]) for saga in listed),
        nobody=unanswerable(by for those in steps.values() for step in those if (by := _asked(step))),
        present=Present.at(now) if open_rows else UNASKED,
        pauses=paused(row.queue for row in open_rows if not row.worker),
    )
    return [_snapshot(s, steps[s.pk], due[s.pk], restarted.get(s.pk), beside, now) for s in listed]


def _asked(step: Step) -> str | None:
    """Return who is asked by a step that waits for an answer."""
    return step.approver if step.waiting == Waiting.APPROVAL else None


def _belongings(sagas: Sequence[Saga]) -> _Belongings:
    """Read the steps of sagas, and their due commands by number."""
    ids = [saga.pk for saga in sagas]
    steps: dict[UUID, list[Step]] = {pk: [] for pk in ids}
    for step in Step.objects.filter(saga_id__in=ids).order_by("saga_id", "position"):
        steps[step.saga_id].append(step)
    due: dict[UUID, dict[int, Due]] = {pk: {} for pk in ids}
    for row in Due.objects.filter(saga_id__in=ids, kind=Due.COMMAND):
        due[row.saga_id][row.number or 0] = row
    return steps, due


def _moved(sagas: Sequence[Saga]) -> dict[UUID, Saga]:
    """Return those, read again, that have moved on while what belongs to them was read."""
    versions = dict(Saga.objects.filter(pk__in=[s.pk for s in sagas]).values_list("pk", "version"))
    behind = [saga.pk for saga in sagas if versions.get(saga.pk, saga.version) != saga.version]
    return Saga.objects.in_bulk(behind) if behind else {}


def _held_still(saga: Saga) -> tuple[Saga, _Belongings]:
    """Read a saga under its lock. One at a time: who locks several could be waited for while waiting."""
    with transaction.atomic():
        still = (
            Saga.objects.select_for_update(no_key=True).filter(pk=saga.pk).first() or saga
        )  # or it was pruned
        return still, _belongings([still])


def _child_keys(saga: Saga, steps: Sequence[Step]) -> Iterable[str]:
    """Yield the keys of the commands that start a child, or of those that it undoes."""
    pinned = loading.definition_of(saga.definition_id, (step.grown for step in steps))
    keys = (_child_key(saga, step, pinned.step(step.name)) for step in steps)
    return [key for key in keys if key is not None]


def _child_key(saga: Saga, step: Step, policy: SagaStep) -> str | None:
    if policy.child is not None:
        return _key(saga, step, Direction.DO, step.generation)
    return policy.undoes if policy.action == UNDO_CHILD else None


def _snapshot(
    saga: Saga,
    steps: Sequence[Step],
    due: Mapping[int, Due],
    restarted: str | None,
    beside: _Beside,
    now: datetime,
) -> dict[str, Any]:
    pinned = loading.definition_of(saga.definition_id, (step.grown for step in steps))
    described = [_step(saga, step, pinned, due, beside) for step in steps]
    document = {
        "id": str(saga.pk),
        "type": saga.saga_type,
        "state": saga.state,
        "attention": saga.attention,
        "waiting": saga.waiting,
        "paused": saga.paused,
        "begins_at": _iso(saga.begins_at),
        "deadline_at": _iso(saga.deadline_at),
        "overdue": saga.finished_at is None and saga.deadline_at is not None and saga.deadline_at < now,
        "started_by": saga.started_by_id and str(saga.started_by_id),
        "version": saga.version,
        "sequence": saga.sequence,
        "current": _current(steps, growing=pinned.growing),
        "correlation_id": saga.correlation_id,
        "idempotency_key": saga.idempotency_key,
        "data": saga.data,
        "error": saga.error,
        "origin": str(saga.origin_id) if saga.origin_id else None,
        "origin_kind": saga.origin_kind,
        "parent": str(saga.origin_id) if saga.origin_kind == CHILD else None,
        "restarted_as": restarted,
        "created_at": _iso(saga.created_at),
        "updated_at": _iso(saga.updated_at),
        "finished_at": _iso(saga.finished_at),
        "steps": described,
    }
    document["verbs"] = _verbs(saga, steps, due, restarted, now)
    document["why"] = why.explain(document, now, beside.present)
    return document


def _step(
    saga: Saga,
    step: Step,
    pinned: SagaDefinition,
    due: Mapping[int, Due],
    beside: _Beside,
) -> dict[str, Any]:
    policy = pinned.step(step.name)
    number = step.action_number if step.open == Direction.DO else step.undo_number
    row = due.get(number) if number is not None else None
    described = {name: getattr(step, name) for name in _STEP_FIELDS}
    described |= {name: _iso(getattr(step, name)) for name in _STEP_TIMES}
    claimed = row is not None and row.lease_token is not None
    described |= {
        "direction": step.open,
        "claimed": claimed,
        "claimed_at": _iso(row.claimed_at) if row and claimed else None,
        "timeout_at": _iso(row.timeout_at if row and claimed else _limit(step)),
        "worker": row.worker if row and claimed else None,
        "silent_since": _iso(beside.present.silent.get(row.worker or "")) if row and claimed else None,
        "lease_until": _iso(row.lease_until) if row and claimed else None,
        "unrecorded": row.error if row and claimed else None,
        "queue": row.queue if row else None,
        "queue_paused": beside.pauses.get(row.queue) if row and not claimed else None,
        "put_off": _iso(row.due_at) if row and not claimed and _is_put_off(row, step) else None,
        "put_off_error": row.error if row and not claimed and _is_put_off(row, step) else None,
        "timeout": policy.timeout,
        "needs": list(pinned.needs(step.name)),
        "pivot": policy.pivot,
        "retriable": policy.retriable,
        "hold": policy.hold,
        "timer": policy.timer is not None,
        "approval": policy.approval is not None,
        "unanswerable": beside.nobody.get(_asked(step) or ""),
        "function": pinned.growing and step.name == FUNCTION,
        "deadline_at": _iso(_deadline(step, policy)),
        **_reaction(step, pinned),
        "child_type": policy.child.saga_type if policy.child else None,
        **beside.family.of(_child_key(saga, step, policy)),
        "cannot_undo": policy.compensation == CANNOT_UNDO,
        "probe_command": policy.probe_of(Direction(step.open)) if step.open else None,
        "probe_budget": policy.probe_retry.max_attempts,
        "key": _key(saga, step, Direction.DO, step.generation),
        "late_key": _key(saga, step, Direction.DO, late_in(step.former) or 0),
        "undo_key": _key(saga, step, Direction.UNDO, step.undo_generation),
    }
    return described


def _limit(step: Step) -> datetime | None:
    """Return until when an answer from outside is waited for."""
    return step.due_at if step.waiting in {Waiting.REPLY, Waiting.APPROVAL} else None


def _is_put_off(row: Due, step: Step) -> bool:
    """Whether it comes later than it is due: its queue was resumed slowly, or it could not be begun."""
    return step.due_at is not None and row.due_at > step.due_at and not step.waiting


def _reaction(step: Step, pinned: SagaDefinition) -> dict[str, Any]:
    """Return what is particular to a step of a choreography; nulls for any other."""
    flow = pinned.flow
    part = flow.part(step.name) if flow else None
    ends = flow.endings if flow and part is None else ()
    return {
        "on": part.on if part else None,
        "by": part.by if part else None,
        "expects": list(part.publishes if part else ends),
        "compensates": part.compensates if part else None,
        "event": step.event,
    }


def _deadline(step: Step, policy: SagaStep) -> datetime | None:
    """Return when a step's own deadline is, once it is dispatched."""
    if policy.deadline is None or step.dispatched_at is None:
        return None
    return step.dispatched_at + timedelta(seconds=policy.deadline)


def _key(saga: Saga, step: Step, direction: Direction, generation: int) -> str | None:
    return idempotency_key(saga.pk, step.name, direction, generation) if generation else None


def _current(steps: Sequence[Step], *, growing: bool) -> str | None:
    """Return the step that is at work; a function is, where it waits for no other."""
    busy = {StepStatus.EXECUTING.value, StepStatus.COMPENSATING.value}
    at_work = [s.name for s in steps if s.status in busy or s.attention]
    last = at_work[:1] if growing and at_work[:1] == [FUNCTION] else []
    return next(iter([*at_work[len(last) :], *last]), None)


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _verbs(
    saga: Saga, steps: Sequence[Step], due: Mapping[int, Due], restarted: str | None, now: datetime
) -> list[dict[str, Any]]:
    """Return every verb, per step where it is about one, and whether it applies; asked of the same decision."""
    own = ("id", "saga_type", "correlation_id", "origin_kind")
    values = {name: getattr(saga, name) for name in (*loading.PROGRESS_COLUMNS, *own)}
    rows = [[getattr(step, column) for column in loading.STEP_ROW] for step in steps]
    claims = {n: loading.DueRow(row.pk, n, row.lease_token) for n, row in due.items()}
    held = loading.held_from({**values, "definition_id": saga.definition_id}, rows, claims)
    moment = m.Now(now, 1.0, held.claimed)
    return [_applies(held, moment, restarted, *asked) for asked in _questions(held)]


def _questions(held: loading.Held) -> Iterable[tuple[str, str | None, m.Message | None]]:
    yield "compensate", None, m.Compensate()
    yield "pause", None, m.Pause()
    yield "resume", None, m.Resume()
    yield "edit", None, m.Edit(held.progress.data or {})
    yield "restart", None, None
    for step in held.progress.steps.values():
        yield "retry", step.name, m.Retry(step.name)
        yield "skip", step.name, m.Skip(step.name)
        undoing = step.status is StepStatus.COMPENSATING or step.attention is not None
        if held.definition.step(step.name).approval is not None:
            yield "approve", step.name, m.Approve(step.name)
            yield "reject", step.name, m.Reject(step.name)
        done = (
            undoing or held.definition.step(step.name).child is not None
        )  # a child is not said to be nothing
        verdict = Verdict.DONE if done else Verdict.NONE
        yield "resolve", step.name, m.Resolve(step.name, verdict, _an_end(held, step.name))


def _an_end(held: loading.Held, step: str) -> dict[str, str] | None:
    """Return what ends a choreography, as whoever settles its end by hand has to name it; None for other steps."""
    flow = held.definition.flow
    if flow is None or step != END or held.progress.steps[step].event:
        return None
    ends = flow.failed if held.progress.state is SagaState.COMPENSATING else flow.endings
    return {"event": ends[0]} if ends else None


def _applies(
    held: loading.Held,
    now: m.Now,
    restarted: str | None,
    verb: str,
    step: str | None,
    message: m.Message | None,
) -> dict[str, Any]:
    reason = None
    if held.imported:
        reason = loading.IMPORTED
    elif verb == "restart":
        reason = restarting.obstacle(held, restarted)
    elif verb == "compensate" and repairing.wanted(held):
        reason = repairing.obstacle(held)
    elif verb == "compensate" and repairing.refusal(held):
        reason = repairing.refusal(held)
    elif message is not None:
        try:
            decide(held.definition, held.progress, message, now)
        except Refused as no:
            reason = str(no)
    return {"verb": verb, "step": step, "label": VERBS[verb], "applies": reason is None, "reason": reason}


_EVENT_FIELDS = ("sequence", "version", "type", "step", "data", "at")


def events(saga_id: UUID, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
    """Return a saga's event log as plain data, with the operator's name where one decided it."""
    found = Event.objects.filter(saga_id=saga_id, sequence__gt=after).order_by("sequence")
    log = [_event(row) for row in found.values_list(*_EVENT_FIELDS)[:limit]]
    first, last = (log[0]["version"], log[-1]["version"]) if log else (0, 0)
    actions = OperatorAction.objects.filter(
        saga_id=saga_id, version_after__gte=first, version_after__lte=last
    ).defer("answer", "request")
    by_version = {a.version_after: a for a in actions if a.version_after > a.version_before}
    return [event | _decided(by_version.get(event["version"])) for event in log]


def latest_events(sagas: Iterable[Saga], most: int) -> dict[UUID, list[dict[str, Any]]]:
    """Return the ends of sagas' event logs, oldest first, without who decided them: one query for all sagas."""
    found: dict[UUID, list[dict[str, Any]]] = {saga.pk: [] for saga in sagas}
    ends = Event.objects.filter(saga_id__in=found, sequence__gt=F("saga__sequence") - most)
    for saga_id, *row in ends.order_by("saga_id", "sequence").values_list("saga_id", *_EVENT_FIELDS):
        found[saga_id].append(_event(row))
    return found


def _event(row: Sequence[Any]) -> dict[str, Any]:
    return dict(zip(_EVENT_FIELDS, row, strict=True)) | {"at": row[-1].isoformat()}


def _decided(action: OperatorAction | None) -> dict[str, str | None]:
    return {
        "operator": action.operator_name if action else None,
        "reason": action.reason if action else None,
    }
