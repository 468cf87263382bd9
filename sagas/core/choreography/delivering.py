"""What becomes of a delivery: it is taken, promised, refused and parked, tried again, or awaited in vain."""

from datetime import timedelta
from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.choreography import publishing
from sagas.core.draft import Draft
from sagas.core.flow import Flow, Part
from sagas.core.progress import StepProgress
from sagas.core.words import Attention, Outcome, SagaState, StepStatus


def answers(step: StepProgress, reply: m.Reply) -> bool:
    """Whether a reply to the open delivery says anything that is not known: of what was promised, how it went."""
    if not step.expecting:
        return not isinstance(reply, m.TimeUp)
    return isinstance(reply, m.TimeUp) or (step.promised and isinstance(reply, m.Completed | m.Rejected))


def late(draft: Draft, flow: Flow, reply: m.Reply) -> None:
    """Record an effect that came after its delivery was given up, if there is an undo for it and none to come."""
    sent = draft.progress.action(reply.number)
    if not isinstance(reply, m.Completed) or sent is None or not flow.compensating(sent[0].name):
        return
    step, generation = sent
    if generation == step.generation:
        news = step.action_outcome is not Outcome.COMPLETED and _unmet(draft, flow, step, inbox=reply.inbox)
    else:  # it was refused, and delivered anew: an undo is of that one
        news = not step.is_late(generation)
    if news:
        draft.add(e.LateEffectFound, step=step.name, result=reply.result, generation=generation)


def _unmet(draft: Draft, flow: Flow, step: StepProgress, *, inbox: bool) -> bool:
    """Whether no undo is to come, or has met it: with an inbox one has, unless the effect was denied."""
    undos = [draft.step(name) for name in flow.compensating(step.name)]
    to_come = any(undo.status is StepStatus.PENDING and undo.event is not None for undo in undos)
    return not to_come and not (inbox and step.action_outcome is not Outcome.REJECTED)


def refuse(draft: Draft, flow: Flow, step: StepProgress, reason: str) -> None:
    """Take it that a delivery had no effect: a person decides whether it is tried again, or left out."""
    draft.add(e.StepFailed, step=step.name, error=reason)
    if not is_undone(draft, flow, step.name):  # else another try would come behind its undo
        park(draft, step, Attention.HELD, reason)


def park(draft: Draft, step: StepProgress, code: Attention, error: str) -> None:
    """Have a person decide about a delivery."""
    back = draft.progress.state is SagaState.COMPENSATING
    draft.add(e.StepHeld, step=step.name, code=Attention.COMPENSATION_FAILED if back else code, error=error)


def answer(draft: Draft, flow: Flow, step: StepProgress, reply: Any) -> None:
    """Take in what a subscriber's attempt came to."""
    part = flow.part(step.name)
    if isinstance(reply, m.Rejected) and step.unresolved and not reply.inbox:
        # This attempt did nothing, but an earlier one may have: its no does not speak for that one.
        reply = m.Unknown(reply.number, reply.reason, inbox=False)
    match reply:
        case m.Completed(result=result):
            if _keeps_its_limit(part, step, result):
                draft.add(e.EventAwaited, step=step.name, due_at=step.due_at, result=result)
            else:
                _delivered(draft, flow, part, step, reply)
            if part is not None and part.compensates is not None and reply.inbox:
                _settle_undone(draft, draft.step(part.compensates), reply.number)
        case m.Later():  # it has taken the event on; what it leads to is expected, if anything is
            _delivered(draft, flow, part, step, reply)
        case m.Rejected(reason=reason):
            refuse(draft, flow, step, reason)
        case m.Unknown(error=error) if step.attempt < step.budget:
            retry = draft.definition.step(step.name).retry
            due_at = draft.next_try(retry, step.attempt, reply.retry_after)
            draft.reschedule(step, due_at=due_at, error=error, inbox=reply.inbox)
        case m.Unknown(error=error, inbox=inbox):
            draft.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=inbox)
            park(draft, step, Attention.RETRIES_SPENT, error)
        case m.Unserved(error=error, code=code, arrived=arrived):
            if arrived:
                draft.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=reply.inbox)
            draft.add(e.StepHeld, step=step.name, code=code, error=error)
        case m.TimeUp():
            publishing.miss(draft, step, _overdue(flow, part, step))


def _overdue(flow: Flow, part: Part | None, step: StepProgress) -> str:
    if part is None and step.event is not None:
        return f"{step.event['name']} was published, and not everything was delivered in time"
    return f"no {publishing.either(part.publishes if part else flow.endings)} was published in time"


def _delivered(
    draft: Draft, flow: Flow, part: Part | None, step: StepProgress, reply: m.Completed | m.Later
) -> None:
    result = reply.result if isinstance(reply, m.Completed) else None
    expected = part.publishes if part is not None else ()
    if part is None or not expected or any(publishing.known(draft, flow, event) for event in expected):
        draft.add(e.StepCompleted, step=step.name, result=result)
    elif _found_nothing(part, result):
        draft.add(e.StepCompleted, step=step.name, result=result)
        # Nobody was called who could have said so: it leads on with what it was told.
        publishing.publish(draft, flow, expected[0], (step.event or {}).get("data"), step.name)
    else:
        within = reply.within if isinstance(reply, m.Later) else part.within
        assert within is not None  # no child saga answers a subscriber's delivery
        draft.add(
            e.EventAwaited,
            step=step.name,
            due_at=draft.now.at + timedelta(seconds=within),
            result=result,
            promised=isinstance(reply, m.Later),
            inbox=reply.inbox,
        )


def _keeps_its_limit(part: Part | None, step: StepProgress, result: Any) -> bool:
    """Whether a subscriber has kept its promise, and what that leads to is still expected until then."""
    return step.promised and step.due_at is not None and not _found_nothing(part, result)


def _found_nothing(part: Part | None, result: Any) -> bool:
    """Whether an undo says that there was no effect to undo, as an inbox does in its place."""
    undoes = part is not None and part.compensates is not None
    return undoes and isinstance(result, dict) and result.get("undone") is False


def is_undone(draft: Draft, flow: Flow, name: str) -> bool:
    """Whether a step's undo was delivered, and taken."""
    undos = [draft.step(each) for each in flow.compensating(name)]
    return any(undo.status is StepStatus.COMPLETED or undo.expecting for undo in undos)


def _settle_undone(draft: Draft, step: StepProgress, undo: int) -> None:
    """Ask and await no more of a step whose undo has met whatever it did, or keeps it from happening.

    That is certain if both keep an inbox, and the undo was dispatched after it. An attempt that a worker may be at
    is awaited all the same, and what an operator called without effect, though it has come, is his to settle.
    """
    moot = step.status is StepStatus.EXECUTING and step.inbox and (step.expecting or step.attention)
    refused = step.status is StepStatus.FAILED and step.attention and not step.late_effect
    before = (step.action_number or 0) < undo
    if draft.progress.state is SagaState.COMPENSATING and before and (moot or refused):
        draft.add(e.StepCompensated, step=step.name)
