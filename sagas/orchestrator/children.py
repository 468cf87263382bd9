"""Child sagas: a command that another saga answers is ours to handle, and kept once, as any participant would.

The row of a command's key says what came of it: the saga that it started, or why there is none. So it starts one
saga, ever, and none once it is undone. The end of that saga is due work, told to whoever waits for it by the number
of its command; so whichever comes first, that, the handler's own answer or its repetition, counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from sagas import registry
from sagas.clock import database_now
from sagas.core import answers
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.definition import SagaStep
from sagas.core.progress import StepProgress
from sagas.core.undoing import obstacle, reverse
from sagas.core.waits import CHILD, UNDO_CHILD, NoData, child_data
from sagas.core.words import Direction, SagaState, StepStatus
from sagas.models import CHILD as KIND
from sagas.models import UNDO, Child, Saga, Step
from sagas.orchestrator import ledger, loading, trail
from sagas.orchestrator.asked import Asked, Invalid, Refused
from sagas.orchestrator.loading import Held
from sagas.orchestrator.replies import Answered, deliver
from sagas.orchestrator.snapshot import snapshot
from sagas.orchestrator.start import Opening, check_data, definition_for, record

#: Seconds until a child is looked at again that cannot be told to roll back at the very moment.
LOOK = 5.0
#: So many sagas, each the child of the one before, are an author's mistake: it would never end.
DEEPEST = 20


@dataclass(frozen=True)
class UnderWay:
    """The answer about a child that has not ended: its end will be told."""

    within: float | None = None
    """Seconds after which it is looked at again; None: there is no need to."""


class CannotUndo(Exception):
    """A child that cannot be undone by a command. Its text says why."""


@registry.command(CHILD, queue=registry.EVENTS_QUEUE, inbox=True)
def begin(sent: Any) -> Any:
    """Start the command's child, unless it was; and answer what has become of it."""
    parent = loading.look(UUID(sent.meta.saga_id))
    assert parent is not None  # it is not removed while it waits
    link = Child.objects.filter(pk=sent.meta.key).first() or _begin(parent, sent)
    if link.child_id is None:
        raise answers.Rejected(link.refused)
    child = _look(link.child_id)
    if child.progress.state is SagaState.COMPLETED:
        return _outcome(child)
    if child.progress.state is SagaState.FAILED:
        raise answers.Rejected(_error(child))
    left = _time_left(parent, sent.meta.step)
    if left is None or left > 0:
        return UnderWay(left)
    if obstacle(child.definition, child.progress) is not None:
        return UnderWay()  # it only goes forward: whatever it comes to is awaited
    with transaction.atomic():
        return _turn_back(child.id, parent.id, "its time was over")


def _begin(parent: Held, sent: Any) -> Child:
    """Start a child, or close its key; whoever comes second finds what the first has left."""
    opening, refused = None, ""
    left = _time_left(parent, sent.meta.step)
    if left is not None and left <= 0:
        refused = "its deadline passed before it began"
    else:
        try:
            opening = _opening(parent, parent.definition.step(sent.meta.step), sent)
        except answers.Rejected as no:
            refused = str(no)
    with transaction.atomic():
        link, new = _link(sent.meta.key, parent.id, parent.id, sent.meta.number, refused)
        if new and opening is not None:
            link.child_id = record([opening])[0].saga.pk
            link.save(update_fields=["child_id"])
    return link


def _link(key: str, parent: UUID, awaiter: UUID, number: int, refused: str) -> tuple[Child, bool]:
    """Return the locked row of a key, and whether it is new: then nothing else will begin under the key."""
    values = {"parent_id": parent, "awaiter_id": awaiter, "number": number, "refused": refused}
    return Child.objects.select_for_update().get_or_create(pk=key, defaults=values)


def _opening(parent: Held, pinned: SagaStep, sent: Any) -> Opening:
    """Return what the child is. Data that its type refuses is a no; the rest is for its author to mend."""
    assert pinned.child is not None  # its action says so
    author = registry.saga_type(pinned.child.saga_type)
    if author is None:
        known = ", ".join(sorted(registry.saga_types()))
        raise answers.Misconfigured(f"there is no saga type {pinned.child.saga_type!r}; defined are: {known}")
    if len(list(_line(parent.id))) >= DEEPEST:
        raise answers.Misconfigured(
            f"{DEEPEST} sagas are each the child of the one before; does {author.saga_type} end?"
        )
    try:
        data = check_data(author, child_data(pinned.child, sent))
        pin = definition_for(author, data)
    except NoData as wrong:
        raise answers.Misconfigured(f"its data, {pinned.child.data}, {wrong}") from wrong
    except Invalid as wrong:
        if wrong.field == "type":
            raise answers.Misconfigured(wrong.reason.rstrip(".")) from wrong
        raise answers.Rejected(f"{author.saga_type} refuses its data: {wrong}") from wrong
    by = Saga.objects.select_related("started_by").get(pk=parent.id).started_by
    kin: dict[str, Any] = {"origin": parent.id, "origin_kind": KIND, "started_by": by}
    return Opening(pin, data, parent.correlation_id, sent.meta.key, **kin)


def _line(saga_id: UUID | None) -> Iterator[UUID]:
    """Yield a saga, its parent, the parent of that, and so on."""
    while saga_id is not None:
        yield saga_id
        saga_id = (
            Saga.objects.filter(pk=saga_id, origin_kind=KIND).values_list("origin_id", flat=True).first()
        )


def _time_left(parent: Held, step: str) -> float | None:
    """Return the seconds until the step's deadline, if it has one."""
    deadline, since = parent.definition.step(step).deadline, parent.progress.steps[step].dispatched_at
    if deadline is None or since is None:
        return None
    return deadline - (database_now() - since).total_seconds()


def _look(saga_id: UUID) -> Held:
    found = loading.look(saga_id)
    if found is None:
        raise answers.Misconfigured(f"the child saga {saga_id} is not there any more")
    return found


def _outcome(child: Held) -> dict[str, Any]:
    results = {name: step.result for name, step in child.progress.steps.items()}
    return {"saga_id": str(child.id), "state": child.progress.state.value, "results": results}


def _error(child: Held) -> str:
    return child.progress.error or "it was rolled back"


def has_begun(parent: Held, step: StepProgress) -> UUID | None:
    """Return the child that a step's command has begun, if it has."""
    return Child.objects.filter(pk=_key(parent, step)).values_list("child_id", flat=True).first()


def close(parent: Held, step: StepProgress) -> UUID | None:
    """Let a step's command begin no child any more, whoever is about to; return the one that it has begun, if so."""
    assert step.action_number is not None  # it was dispatched
    denied = "an operator said that it had not begun"
    return _link(_key(parent, step), parent.id, parent.id, step.action_number, denied)[0].child_id


def _key(parent: Held, step: StepProgress) -> str:
    return idempotency_key(parent.id, step.name, Direction.DO, step.generation)


# What undoes a child


@registry.command(UNDO_CHILD, queue=registry.EVENTS_QUEUE, inbox=True)
def undo(sent: Any) -> Any:
    """Undo a command's child, however far it has come; and answer once that is done."""
    awaiter = UUID(sent.meta.saga_id)
    with transaction.atomic():
        parent = UUID(sent.meta.undoes.partition(":")[0])
        refused = "cancelled: it was undone before it began"
        link, _ = _link(sent.meta.undoes, parent, awaiter, sent.meta.number, refused)
        if link.child_id is None:
            return None
        link.awaiter_id, link.number, link.undoing = awaiter, sent.meta.number, True
        link.save(update_fields=["awaiter_id", "number", "undoing"])
        became = _undo(link, awaiter, sent.meta.key)
    if isinstance(became, Exception):
        raise became
    return became


def _undo(link: Child, awaiter: UUID, key: str) -> Any:
    """Do what a child's state calls for; return the answer, or the exception that it is."""
    assert link.child_id is not None
    child = _look(link.child_id)
    reason = _obstacle(child)
    if child.progress.state is SagaState.FAILED:
        return None
    if reason is not None:
        return CannotUndo(f"{child.saga_type}, saga {child.id}, cannot be undone: {reason}")
    if child.progress.state is SagaState.COMPLETED:
        return _undo_completed(link, child, key)
    return _turn_back(child.id, awaiter, _error(_look(awaiter)))


def _obstacle(saga: Held) -> str | None:
    """Return why a saga cannot be undone as a whole, its own children included."""
    reason = obstacle(saga.definition, saga.progress)
    if reason is not None or saga.progress.state is not SagaState.COMPLETED:
        return reason
    for link in Child.objects.filter(parent_id=saga.id, child_id__isnull=False):
        assert link.child_id is not None  # as asked for
        own = loading.look(link.child_id)
        if own is None:
            return f"its own child, saga {link.child_id}, is not there any more"
        reason = _obstacle(own) if own.progress.state is not SagaState.FAILED else None
        if reason is not None:
            return f"its own child, saga {link.child_id}, cannot be undone: {reason}"
    return None


def _turn_back(child_id: UUID, parent_id: UUID, why: str) -> UnderWay:
    """Tell a child to roll back, as an operator would; if that cannot be at this moment, have it looked at again."""
    group = ledger.Group()
    group.lock([child_id])
    child = group.sagas[child_id]
    before = child.progress.version
    try:
        group.decide(child, m.Compensate(f"rolled back with its parent: {why}"))
    except Refused:
        return UnderWay(None if child.progress.state is SagaState.COMPENSATING else LOOK)
    group.write()
    trail.record(
        Asked(operator=None, via="saga", reason=why, by=f"its parent, saga {parent_id}"),
        "compensate",
        {},
        at=group.now,
        action_id=f"{child_id}:{before}:parent",
        saga_id=child_id,
        version_before=before,
        version_after=child.progress.version,
        answer={"saga": snapshot(Saga.objects.get(pk=child_id)), "created": None},
    )
    return UnderWay()


def _undo_completed(link: Child, child: Held, key: str) -> Any:
    """Have another saga undo what a completed child has done: one for each command that asks for it."""
    undoing = Saga.objects.filter(pk=link.undo_id).first() if link.undo_id else None
    if undoing is None or (undoing.state == SagaState.FAILED and undoing.idempotency_key != key):
        before = Step.objects.filter(saga__origin_id=child.id, saga__origin_kind=UNDO)
        undone = before.filter(status=StepStatus.COMPLETED.value).values_list("name", flat=True)
        pin = reverse(child.definition, child.progress, child.id, set(undone))
        if pin is None:
            return None
        kin: dict[str, Any] = {"origin": child.id, "origin_kind": UNDO}
        undoing = record([Opening(pin, child.progress.data or {}, child.correlation_id, key, **kin)])[0].saga
        link.undo_id = undoing.pk
        link.save(update_fields=["undo_id"])
    match undoing.state:
        case SagaState.COMPLETED:
            return None
        case SagaState.FAILED:
            return answers.Rejected(_was_stopped(undoing.pk, undoing.error))
    return UnderWay()


def _was_stopped(undo_id: UUID, error: str | None) -> str:
    return f"saga {undo_id}, which undoes it, was rolled back: {error}"


# What its end tells


def ended(saga_id: UUID) -> None:
    """Tell whoever waits for it that a saga has ended: at least once, and by the number of its command."""
    saga = _look(saga_id)
    link = _link_of(saga_id)
    reply = _told(saga, link) if link is not None else None
    if link is None or reply is None:
        return
    for _, fault in deliver([Answered(link.awaiter_id, reply)]).undecided:
        raise fault


def _link_of(saga_id: UUID) -> Child | None:
    """Return the row of the child that a saga is, or that it undoes."""
    kind, key, origin = Saga.objects.values_list("origin_kind", "idempotency_key", "origin_id").get(
        pk=saga_id
    )
    if kind == UNDO:
        key = Saga.objects.values_list("idempotency_key", flat=True).get(pk=origin)
    return Child.objects.filter(pk=key).first()


def _told(saga: Held, link: Child) -> m.Reply | None:
    """Return what its end amounts to for the command that awaits it; None if it is of no account."""
    completed = saga.progress.state is SagaState.COMPLETED
    if saga.id == link.child_id and not link.undoing:
        if completed:
            return m.Completed(link.number, _outcome(saga))
        return m.Rejected(link.number, _error(saga))
    if saga.id == link.child_id:  # one that was completed in spite of it all is looked at again
        return None if completed else m.Completed(link.number)
    if saga.id != link.undo_id:
        return None
    return (
        m.Completed(link.number)
        if completed
        else m.Rejected(link.number, _was_stopped(saga.id, _error(saga)))
    )
