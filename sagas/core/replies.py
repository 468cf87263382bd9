"""What each kind of reply decides, for an open action, for an open undo, and when it comes too late."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import SagaStep
from sagas.core.draft import Draft
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, Direction, Outcome, SagaState, StepStatus

#: What is known of a command that its participant has only taken on, where nobody waits for more.
PROMISED = "to be answered later"
#: What is known to be done may be done by hand, or under a key that its participant has forgotten.
NOTHING_FOUND = "it is known to be done, but its participant finds nothing to undo under its key"


def take(draft: Draft, reply: m.Reply) -> None:
    """Decide a reply: it answers the open command that it names, or is late."""
    step = draft.progress.awaiting(reply.number)
    if step is None:
        _late(draft, reply)
    elif step.open is Direction.UNDO:
        _answer_undo(draft, step, reply)
    elif not draft.is_function(step) and _may_answer(draft.definition.step(step.name), reply):
        _answer_action(draft, step, reply)


def _may_answer(pinned: SagaStep, reply: m.Reply) -> bool:
    """Whether code may answer a step: a timer can be cut short; an approval takes people."""
    if pinned.timer is not None:
        return isinstance(reply, m.Completed | m.Rejected)
    return pinned.approval is None


def _late(draft: Draft, reply: m.Reply) -> None:
    """Record an effect that became known too late; every other late reply decides nothing."""
    sent = draft.progress.action(reply.number)
    if sent is None or not isinstance(reply, m.Completed):
        return
    step, generation = sent
    pinned = draft.definition.step(step.name)
    if draft.is_function(step) or pinned.timer or pinned.approval:
        return  # nothing was done by it
    if pinned.undoes is not None:
        _undone_late(draft, step, generation, reply)
        return
    if generation == step.generation:
        news = _unmet(step, inbox=reply.inbox) and _matters(draft, step)
    else:  # it was closed as one without effect, and another was sent: there may be two
        news = not step.is_late(generation)
    if news:
        draft.add(e.LateEffectFound, step=step.name, result=reply.result, generation=generation)


def _undone_late(draft: Draft, step: StepProgress, generation: int, reply: m.Completed) -> None:
    """Take the late success of what undoes another saga's effect: it is what was wanted, and stands in nobody's way."""
    waits = step.status is StepStatus.FAILED and draft.progress.state in FORWARD
    if waits and generation == step.generation:
        draft.add(e.StepCompleted, step=step.name, result=reply.result)
        draft.advance()


def _unmet(step: StepProgress, *, inbox: bool) -> bool:
    """Whether nobody knows that the latest action had its effect, and no undo has met it.

    With an inbox an undo has, or will. There is none if an operator denied the effect, or said that it was undone
    by hand, or the action was withdrawn.
    """
    known = step.action_outcome is Outcome.COMPLETED or step.standing
    sent = step.undo_number is not None and step.action_outcome is not Outcome.REJECTED
    by_hand = step.status is StepStatus.COMPENSATED and step.outcome is not Outcome.COMPLETED
    return not known and not (inbox and sent and not by_hand)


def _matters(draft: Draft, step: StepProgress) -> bool:
    """Whether there is an undo for it, or the saga has gone on, or may, as if it were not there."""
    ahead = draft.progress.state in FORWARD or draft.progress.state is SagaState.COMPLETED
    return ahead or draft.definition.step(step.name).compensation is not None


def _answer_action(draft: Draft, step: StepProgress, reply: m.Reply) -> None:
    """Take the answer to an open action."""
    match reply:
        case m.Completed() if draft.definition.step(step.name).undoes and _found_nothing(reply):
            reject(draft, step, NOTHING_FOUND)
        case m.Completed(result=result):
            draft.add(e.StepCompleted, step=step.name, result=result)
            draft.advance()
        case m.Rejected(reason=reason, inbox=inbox) if step.unresolved and not inbox:
            # This attempt did nothing, but an earlier one may have: its no does not speak for that one.
            _action_unknown(draft, step, reason, inbox=inbox, retry_after=None)
        case m.Rejected(reason=reason):
            reject(draft, step, reason)
        case m.Unknown(error=error, inbox=inbox, retry_after=retry_after):
            _action_unknown(draft, step, error, inbox=inbox, retry_after=retry_after)
        case m.NoSuchCommand(error=error):
            _action_not_seen(draft, step, error)
        case m.Unserved(arrived=True) if not step.probe:
            _action_garbled(draft, step, reply)
        case m.Unserved(error=error) if step.probe and draft.progress.state not in FORWARD:
            _action_unknowable(draft, step, error, inbox=step.inbox)
        case m.Later():
            _action_promised(draft, step, reply)
        case m.Unserved(error=error, code=code) if draft.progress.state in FORWARD:
            draft.add(e.StepHeld, step=step.name, code=code, error=error)
        case m.Unserved(error=error):
            draft.withdraw(step, error)
            draft.advance()


def _action_promised(draft: Draft, step: StepProgress, reply: m.Later) -> None:
    """Wait until the promise's own limit, whether the attempt told of it or a probe; an undo need not wait for it."""
    inbox = step.inbox if step.probe else reply.inbox
    if draft.progress.state in FORWARD or not inbox:
        _await_reply(draft, step, reply)
    elif step.probe:
        _action_unknowable(draft, step, PROMISED, inbox=inbox)
    else:
        _action_unknown(draft, step, PROMISED, inbox=inbox, retry_after=None)


def _await_reply(draft: Draft, step: StepProgress, reply: m.Later) -> None:
    until = None if reply.within is None else draft.now.at + timedelta(seconds=reply.within)
    # What a probe says of an inbox is about its own.
    draft.add(e.ReplyAwaited, step=step.name, until=until, inbox=step.inbox if step.probe else reply.inbox)


def reject(draft: Draft, step: StepProgress, reason: str) -> None:
    """The action had no effect: turn back, or ask where a person decides; or a function hears of it, and decides."""
    draft.add(e.StepFailed, step=step.name, error=reason)
    if draft.progress.state is SagaState.COMPENSATING:
        draft.advance()
    elif draft.pivot_passed or draft.definition.step(step.name).hold:
        draft.add(e.StepHeld, step=step.name, code=Attention.HELD, error=reason)
    elif draft.definition.growing and not draft.is_function(step) and not draft.progress.expired:
        draft.advance()
    else:  # also where a saga's time was over while its pivot was called: that answer has decided
        draft.turn_back(reason, step.name)


def _action_unknown(
    draft: Draft, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None
) -> None:
    """Ask what became of it before anything else is done about it; a probe without an answer is asked again."""
    if _ask(draft, step, error, inbox=inbox, retry_after=retry_after):
        return
    if step.probe:
        _action_unknowable(draft, step, error, inbox=step.inbox)
    else:
        _try_again(draft, step, error, inbox=inbox, retry_after=retry_after)


def _ask(draft: Draft, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None) -> bool:
    """Have the participant asked in a while; False if it cannot be, or was too often."""
    retry = draft.definition.step(step.name).probe_retry
    due_at = draft.next_try(retry, max(step.probe, 1), retry_after)
    # What a probe says of an inbox is about its own; what the attempts said stands.
    told = step.inbox if step.probe else inbox
    return draft.ask(step, error, asked=step.probe, inbox=told, due_at=due_at)


def _action_not_seen(draft: Draft, step: StepProgress, error: str) -> None:
    """The participant knows nothing of it, so far: an attempt may still be on its way.

    Trying again under the same key is safe. So is undoing where an inbox keeps the tombstone that stops
    what comes after it; where there is none, the participant is asked again, and in the end a person.
    """
    again = draft.next_try(draft.definition.step(step.name).retry, step.attempt)
    if _may_be_tried(draft, step, again) or step.inbox:
        _try_again(draft, step, error, inbox=step.inbox, retry_after=None)
    else:
        _action_unknown(draft, step, error, inbox=step.inbox, retry_after=None)


def _action_garbled(draft: Draft, step: StepProgress, reply: m.Unserved) -> None:
    """It may have had its effect, and its participant says what nobody understands: a person mends that.

    A rollback goes on as with any that is unknown.
    """
    if draft.progress.state is SagaState.COMPENSATING:
        _action_unknown(draft, step, reply.error, inbox=reply.inbox, retry_after=None)
    else:
        draft.add(e.StepOutcomeUnknown, step=step.name, error=reply.error, inbox=reply.inbox)
        draft.add(e.StepHeld, step=step.name, code=reply.code, error=reply.error)


def _action_unknowable(draft: Draft, step: StepProgress, error: str, *, inbox: bool) -> None:
    """Nobody could be asked: a person has to find out, unless a rollback may undo it whatever it was."""
    draft.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=inbox)
    if draft.progress.state is SagaState.COMPENSATING:
        draft.advance()
    else:
        draft.add(e.StepHeld, step=step.name, code=Attention.OUTCOME_UNKNOWN, error=error)


def _try_again(
    draft: Draft, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None
) -> None:
    """Send the action again under the same key; when its attempts are spent, undo it like a completed one."""
    pinned = draft.definition.step(step.name)
    due_at = draft.next_try(pinned.retry, step.attempt, retry_after)
    if _may_be_tried(draft, step, due_at):
        draft.reschedule(step, due_at=due_at, error=error, inbox=inbox)
        return
    draft.add(e.StepOutcomeUnknown, step=step.name, error=error, inbox=inbox)
    if draft.progress.state is SagaState.COMPENSATING:
        draft.advance()
    elif not inbox:
        draft.add(e.StepHeld, step=step.name, code=Attention.OUTCOME_UNKNOWN, error=error)
    elif draft.pivot_passed or pinned.hold:
        draft.add(e.StepHeld, step=step.name, code=Attention.RETRIES_SPENT, error=error)
    else:
        draft.turn_back(error, step.name)


def _may_be_tried(draft: Draft, step: StepProgress, due_at: datetime) -> bool:
    """Whether the action may be sent once more, then."""
    left = draft.progress.state in FORWARD and step.attempt < step.budget
    return left and not draft.out_of_time(step, due_at)


def _answer_undo(draft: Draft, step: StepProgress, reply: m.Reply) -> None:
    """Take the answer to an open undo."""
    retry = draft.definition.step(step.name).undo_retry
    match reply:
        case m.Completed() if step.action_outcome is Outcome.COMPLETED and _found_nothing(reply):
            _undo_failed(draft, step, NOTHING_FOUND, Outcome.REJECTED)
        case m.Completed(result=result):
            draft.add(e.StepCompensated, step=step.name, result=result)
            draft.advance()
        case m.Rejected(reason=reason, inbox=inbox) if inbox or not step.unresolved:
            if step.attempt < step.budget:
                draft.dispatch_undo(step, error=reason, due_at=draft.next_try(retry, step.attempt))
            else:
                _undo_failed(draft, step, reason, Outcome.REJECTED)
        case m.Rejected(reason=error, inbox=inbox):
            _undo_unknown(draft, step, error, inbox=inbox, retry_after=None)
        case m.Unknown(error=error, inbox=inbox, retry_after=retry_after):
            _undo_unknown(draft, step, error, inbox=inbox, retry_after=retry_after)
        case m.NoSuchCommand(error=error):
            _undo_again(draft, step, error, inbox=step.inbox, retry_after=None)
        case m.Later():
            _await_reply(draft, step, reply)
        case m.Unserved(error=error, code=code, arrived=arrived):
            draft.add(
                e.UndoHeld,
                step=step.name,
                code=code,
                error=error,
                outcome=Outcome.UNKNOWN if arrived else None,
            )


def _found_nothing(reply: m.Completed) -> bool:
    """Whether an inbox knows of no effect under the key that was to be undone, and so has called nobody."""
    return reply.inbox and isinstance(reply.result, Mapping) and reply.result.get("undone") is False


def _undo_unknown(
    draft: Draft, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None
) -> None:
    if _ask(draft, step, error, inbox=inbox, retry_after=retry_after):
        return
    if step.probe:
        _undo_failed(draft, step, error, Outcome.UNKNOWN)
    else:
        _undo_again(draft, step, error, inbox=inbox, retry_after=retry_after)


def _undo_again(
    draft: Draft, step: StepProgress, error: str, *, inbox: bool, retry_after: float | None
) -> None:
    retry = draft.definition.step(step.name).undo_retry
    if step.attempt < step.budget:
        due_at = draft.next_try(retry, step.attempt, retry_after)
        draft.reschedule(step, due_at=due_at, error=error, inbox=inbox)
    else:
        _undo_failed(draft, step, error, Outcome.UNKNOWN)


def _undo_failed(draft: Draft, step: StepProgress, error: str, outcome: Outcome) -> None:
    code = Attention.COMPENSATION_FAILED
    draft.add(e.UndoHeld, step=step.name, code=code, error=error, outcome=outcome)
