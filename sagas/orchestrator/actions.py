"""The operators' door: permission, reason, version, preview, decision and audit, once for every face."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from sagas import registry
from sagas.clock import database_now
from sagas.core import messages as m
from sagas.core.decide import Refused
from sagas.core.differences import differences
from sagas.core.preview import preview as preview_of
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Direction, Verdict
from sagas.models import RESTART, OperatorAction, Saga
from sagas.orchestrator import children, ledger, loading, repairing, restarting, trail
from sagas.orchestrator.approvals import check_answerer
from sagas.orchestrator.asked import (
    STEP_VERBS,
    VERBS,
    Answer,
    Asked,
    Conflict,
    Invalid,
    NotFound,
    Plan,
)
from sagas.orchestrator.operators import check_operator, check_reason, check_words, permission
from sagas.orchestrator.plan import plan_of, plan_of_new
from sagas.orchestrator.replies import as_uuid
from sagas.orchestrator.snapshot import snapshot
from sagas.orchestrator.start import Opening, check_data, definition_for, plain, record

#: Verb -> what it takes beside a step, a reason and the fences.
_TAKES = {"resolve": {"outcome", "result", "evidence"}, "edit": {"data"}}


def act(saga_id: UUID | str, verb: str, asked: Asked) -> Answer:
    """Carry out an operator's verb, and record it, in one transaction.

    Raises NotFound, Forbidden, Invalid, and Conflict where the verb does not apply or the saga
    has moved on since the operator looked. The same action id again returns the stored answer.
    """
    pk = as_uuid(saga_id)
    _check(pk, verb, asked)
    return trail.once(lambda: _act(pk, verb, asked), lambda: _stored(pk, verb, asked))


def preview(saga_id: UUID | str, verb: str, asked: Asked) -> Plan:
    """Say what :func:`act` would do, and change nothing. Raises as :func:`act` does."""
    pk = as_uuid(saga_id)
    _check(pk, verb, asked, reason=False)
    held = loading.look(pk)
    if held is None:
        raise NotFound(f"There is no saga {pk}.")
    try:
        _check_fences(held, asked)
        if verb == "restart":
            return plan_of_new(verb, held, _opening(held, asked))
        if verb == "compensate" and repairing.wanted(held):
            return plan_of_new(verb, held, repairing.opening(held)[1])
        _check_repair(held, verb)
        now = m.Now(database_now(), 1.0, held.claimed)
        message = _message(held, verb, asked)
        _check_child(held, message, children.has_begun)
        planned = preview_of(held.definition, held.progress, message, now, pk)
    except Refused as no:
        raise _conflict(held, str(no), asked) from no
    return plan_of(verb, asked.step, held, message, planned)


def _check(pk: UUID, verb: str, asked: Asked, *, reason: bool = True) -> None:
    if verb not in VERBS:
        raise Invalid("verb", f"{verb!r} is not a verb; there are {', '.join(VERBS)}")
    check_operator(asked, permission(verb), f"{VERBS[verb].lower()} sagas")
    if not Saga.objects.filter(pk=pk).exists():
        raise NotFound(f"There is no saga {pk}.")
    if reason:
        check_reason(asked)
    check_words(asked)
    if verb in STEP_VERBS and not asked.step:
        raise Invalid("step", f"is required: {verb} is about one step")
    for field in ("outcome", "result", "evidence", "data"):
        if getattr(asked, field) is not None and field not in _TAKES.get(verb, ()):
            raise Invalid(field, f"is not taken by {verb}; did you mean another verb?")
    if asked.version is not None and (isinstance(asked.version, bool) or not isinstance(asked.version, int)):
        raise Invalid("version", "must be a whole number")


@transaction.atomic
def _act(pk: UUID, verb: str, asked: Asked) -> Answer:
    group, held = _lock(pk)
    stored = _stored(pk, verb, asked)
    if stored:
        return stored
    before = held.progress.version
    try:
        created = _carry_out(group, held, verb, asked)
    except Refused as no:
        raise _conflict(held, str(no), asked) from no
    group.write()
    return _record(group, held, verb, asked, before, created)


def _lock(pk: UUID) -> tuple[ledger.Group, loading.Held]:
    group = ledger.Group()
    group.lock([pk])
    if pk not in group.sagas:
        raise NotFound(f"There is no saga {pk}.")
    return group, group.sagas[pk]


def _check_fences(held: loading.Held, asked: Asked) -> None:
    if held.imported:
        raise Refused(loading.IMPORTED)
    if asked.version is not None and asked.version != held.progress.version:
        raise Refused(
            f"The saga has moved on: you saw version {asked.version}, it is {held.progress.version}."
        )


def _message(held: loading.Held, verb: str, asked: Asked) -> m.Message:
    step = asked.step or ""
    if verb in STEP_VERBS and step not in held.progress.steps:
        raise Invalid("step", f"The saga has no step {step!r}; it has {', '.join(held.definition.names)}.")
    if verb in {"approve", "reject"}:
        check_answerer(held.id, held.definition.step(step), verb, asked)
    match verb:
        case "retry":
            return m.Retry(step)
        case "compensate":
            return m.Compensate(f"rolled back by {asked.name}: {asked.reason}" if asked.reason else "")
        case "skip":
            return m.Skip(step)
        case "resolve":
            return m.Resolve(step, _verdict(asked), plain(asked.result, "result"), asked.reason)
        case "edit":
            return m.Edit(_edited(held, asked))
        case "pause":
            return m.Pause()
        case "resume":
            return m.Resume()
        case "approve":
            return m.Approve(step, asked.name, asked.reason, _person(asked))
        case _:
            return m.Reject(step, asked.reason, asked.name)


def _person(asked: Asked) -> str:
    return str(asked.operator.pk) if asked.operator is not None else asked.name


def _verdict(asked: Asked) -> Verdict:
    if asked.outcome is None:
        raise Invalid("outcome", "is required: done, none or waived")
    try:
        return Verdict(asked.outcome)
    except ValueError:
        raise Invalid("outcome", f"must be done, none or waived, not {asked.outcome!r}") from None


def _edited(held: loading.Held, asked: Asked) -> dict[str, Any]:
    if asked.data is None:
        raise Invalid("data", "is required: the whole of the saga's data as it shall be")
    if not isinstance(asked.data, Mapping):
        raise Invalid("data", "must be an object")
    author = registry.saga_type(held.saga_type)
    return check_data(author, asked.data) if author else plain(asked.data)


def _carry_out(group: ledger.Group, held: loading.Held, verb: str, asked: Asked) -> UUID | None:
    """Decide the verb; return the saga that it started, if any. Raises Refused."""
    _check_fences(held, asked)
    if verb == "restart":
        return record([_opening(held, asked)])[0].saga.id
    if verb == "compensate" and repairing.wanted(held):
        step, opening = repairing.opening(held)
        group.decide(held, m.Resolve(step, Verdict.DONE))
        return record([opening])[0].saga.id
    _check_repair(held, verb)
    message = _message(held, verb, asked)
    _check_child(held, message, children.close)
    group.decide(held, message)
    return None


def _check_repair(held: loading.Held, verb: str) -> None:
    reason = repairing.refusal(held) if verb == "compensate" else None
    if reason is not None:
        raise Refused(reason)


def _check_child(
    held: loading.Held, message: m.Message, begun: Callable[[loading.Held, StepProgress], UUID | None]
) -> None:
    """Refuse to call a step's command without effect if it has begun a child saga."""
    if not isinstance(message, m.Resolve) or message.outcome is not Verdict.NONE:
        return
    step = held.progress.steps[message.step]
    child_of = held.definition.step(step.name).child
    if child_of is None or step.open is not Direction.DO or step.waiting is not None:
        return
    child = begun(held, step)
    if child is not None:
        ahead = held.progress.state in FORWARD
        remedy = "retry it, and that is awaited" if ahead else "resolve it as done, and that is undone"
        raise Refused(f"{step.name} has begun its child, saga {child}; {remedy}.")


def _opening(held: loading.Held, asked: Asked) -> Opening:
    successors = Saga.objects.filter(origin_id=held.id, origin_kind=RESTART)
    reason = restarting.obstacle(held, successors.values_list("pk", flat=True).first())
    if reason is not None:
        raise Refused(reason)
    author = registry.saga_type(held.saga_type)
    if author is None:
        raise Refused(f"The saga type {held.saga_type} is no longer defined.")
    data = check_data(author, held.progress.data)
    pin = definition_for(author, data)
    return Opening(
        pin, data, held.correlation_id, origin=held.id, origin_kind=RESTART, started_by=asked.operator
    )


def _stored(pk: UUID, verb: str, asked: Asked) -> Answer | None:
    try:
        known = trail.replayed(asked, verb, _particulars(asked), pk)
    except trail.Otherwise as other:
        _check_here(other.known)
        text = "This action was carried out before, by its id, and not as it is asked for now."
        raise Conflict(text, snapshot(Saga.objects.get(pk=pk)), _told(other.known)) from None
    if known is None:
        return None
    _check_here(known)
    created = known.answer.get("created")
    return Answer(known.answer["saga"], verb, repeated=True, created=UUID(created) if created else None)


def _check_here(known: OperatorAction) -> None:
    if "saga" not in known.answer:
        raise Invalid("action_id", f"was used elsewhere, before saga {known.saga_id} was imported")


def _record(
    group: ledger.Group, held: loading.Held, verb: str, asked: Asked, before: int, created: UUID | None
) -> Answer:
    after = snapshot(Saga.objects.get(pk=held.id))
    request = _particulars(asked)
    if verb == "edit":
        changed = [each.path for each in differences(held.before.data, held.progress.data)]
        request |= {"before": held.before.data, "changed": changed}
    trail.record(
        asked,
        verb,
        request,
        at=group.now,
        saga_id=held.id,
        version_before=before,
        version_after=held.progress.version,
        answer={"saga": after, "created": str(created) if created else None},
    )
    return Answer(after, verb, created=created)


def _particulars(asked: Asked) -> dict[str, Any]:
    """Return what is asked for beside the verb, the step and the reason, as it is recorded."""
    given = {field: getattr(asked, field) for field in ("outcome", "result", "evidence", "data")}
    return {field: plain(value, field) for field, value in given.items() if value is not None}


def _conflict(held: loading.Held, text: str, asked: Asked) -> Conflict:
    last = _mover(held, asked.version)
    moved_by, refusal = None, text
    if last is not None:
        moved_by = _told(last)
        text = f"{text} {_did_that(last)}"
    return Conflict(text, snapshot(Saga.objects.get(pk=held.id)), moved_by, refusal)


def _did_that(action: OperatorAction) -> str:
    return (
        f"{action.operator_name} did that: {VERBS.get(action.verb, action.verb).lower()}, {action.reason!r}."
    )


def who_moved(saga_id: UUID, seen: int) -> str:
    """Say which operator acted last on a saga since a version; empty if none did."""
    last = _last_since(saga_id, seen)
    return _did_that(last) if last else ""


def _told(action: OperatorAction) -> dict[str, Any]:
    by = {
        "operator": action.operator_name,
        "verb": action.verb,
        "step": action.step,
        "reason": action.reason,
    }
    return {**by, "at": action.at.isoformat()}


def _mover(held: loading.Held, seen: int | None) -> OperatorAction | None:
    """Return who acted last since the version that was seen, even if the saga went on by itself after that.

    Where no version was seen, whoever made it what it is now.
    """
    if seen is not None:
        return _last_since(held.id, seen)
    return _latest(held.id).filter(version_after=held.before.version).first()


def _last_since(saga_id: UUID, seen: int) -> OperatorAction | None:
    return _latest(saga_id).filter(version_before__gte=seen).first()


def _latest(saga_id: UUID) -> QuerySet[OperatorAction]:
    return OperatorAction.objects.filter(saga_id=saga_id).order_by("-at", "-id")
