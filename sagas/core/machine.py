"""The law of a saga's life: what may follow what, and what an event does to the progress.

All that can happen stands in the two tables. A pair that is not listed cannot happen;
a state that has no row is final. ``decide`` proposes events, ``evolve`` applies them and
refuses what the tables do not allow.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sagas.core import changes
from sagas.core import events as e
from sagas.core.progress import Progress, moved
from sagas.core.words import SagaState as S
from sagas.core.words import StepStatus as T

#: What happens to deliveries of a choreography, whichever way it goes.
DELIVERY_EVENTS = (e.DeliveryDispatched, e.DeliveryRescheduled, e.EventAwaited, e.DeliveryDropped)

#: (saga's state, event) -> the saga's next state. Step events not listed leave it as it is,
#: except in a terminal state, where only LATE_EFFECTS may still be recorded.
TRANSITIONS: Mapping[tuple[S, type[e.Event]], S] = {
    (S.STARTED, e.SagaStarted): S.STARTED,
    (S.STARTED, e.SagaBegan): S.STARTED,
    (S.STARTED, e.StepDispatched): S.PENDING,
    (S.STARTED, e.StepSkipped): S.PENDING,
    (S.STARTED, e.SagaCompensating): S.COMPENSATING,
    (S.STARTED, e.SagaPaused): S.STARTED,
    (S.STARTED, e.SagaResumed): S.STARTED,
    (S.STARTED, e.DataEdited): S.STARTED,
    (S.STARTED, e.DefinitionChanged): S.STARTED,
    (S.PENDING, e.StepDispatched): S.PENDING,
    (S.PENDING, e.SagaBegan): S.PENDING,
    (S.PENDING, e.SagaExpired): S.PENDING,
    (S.PENDING, e.ReplyAwaited): S.PENDING,
    (S.PENDING, e.ApprovalGiven): S.PENDING,
    (S.PENDING, e.StepRescheduled): S.PENDING,
    (S.PENDING, e.StepOutcomeUnknown): S.PENDING,
    (S.PENDING, e.ProbeDispatched): S.PENDING,
    (S.PENDING, e.StepCompleted): S.PENDING,
    (S.PENDING, e.StepFailed): S.PENDING,
    (S.PENDING, e.StepHeld): S.PENDING,
    (S.PENDING, e.StepSkipped): S.PENDING,
    (S.PENDING, e.SagaPaused): S.PENDING,
    (S.PENDING, e.SagaResumed): S.PENDING,
    (S.PENDING, e.DataEdited): S.PENDING,
    (S.PENDING, e.DefinitionChanged): S.PENDING,
    (S.PENDING, e.LateEffectFound): S.PENDING,
    (S.PENDING, e.LateEffectSettled): S.PENDING,
    (S.PENDING, e.SagaCompensating): S.COMPENSATING,
    (S.PENDING, e.SagaCompleted): S.COMPLETED,
    (S.COMPENSATING, e.ReplyAwaited): S.COMPENSATING,
    (S.COMPENSATING, e.StepWithdrawn): S.COMPENSATING,
    (S.COMPENSATING, e.StepOutcomeUnknown): S.COMPENSATING,
    (S.COMPENSATING, e.ProbeDispatched): S.COMPENSATING,
    (S.COMPENSATING, e.StepCompleted): S.COMPENSATING,
    (S.COMPENSATING, e.StepFailed): S.COMPENSATING,
    (S.COMPENSATING, e.StepHeld): S.COMPENSATING,
    (S.COMPENSATING, e.UndoDispatched): S.COMPENSATING,
    (S.COMPENSATING, e.UndoRescheduled): S.COMPENSATING,
    (S.COMPENSATING, e.UndoHeld): S.COMPENSATING,
    (S.COMPENSATING, e.StepCompensated): S.COMPENSATING,
    (S.COMPENSATING, e.StepLeftStanding): S.COMPENSATING,
    (S.COMPENSATING, e.SagaPaused): S.COMPENSATING,
    (S.COMPENSATING, e.SagaResumed): S.COMPENSATING,
    (S.COMPENSATING, e.DataEdited): S.COMPENSATING,
    (S.COMPENSATING, e.DefinitionChanged): S.COMPENSATING,
    (S.COMPENSATING, e.LateEffectFound): S.COMPENSATING,
    (S.COMPENSATING, e.LateEffectSettled): S.COMPENSATING,
    (S.COMPENSATING, e.SagaFailed): S.FAILED,
    # A choreography goes on by events and deliveries, on the way back as well.
    (S.STARTED, e.EventPublished): S.STARTED,
    (S.STARTED, e.DeliveryDispatched): S.PENDING,
    **{
        (state, event): state
        for state in (S.PENDING, S.COMPENSATING)
        for event in (e.EventPublished, *DELIVERY_EVENTS)
    },
    # A durable function is asked what comes next, on the way forward only.
    (S.STARTED, e.FunctionDispatched): S.PENDING,
    (S.PENDING, e.FunctionDispatched): S.PENDING,
    (S.PENDING, e.SagaGrown): S.PENDING,
    (S.PENDING, e.FunctionWaits): S.PENDING,
}

#: What may still be recorded about a terminal saga; it never changes the state.
LATE_EFFECTS = frozenset({e.LateEffectFound, e.LateEffectSettled})

#: (step's status, event) -> the step's next status.
STEP_TRANSITIONS: Mapping[tuple[T, type[e.StepEvent]], T] = {
    (T.PENDING, e.StepDispatched): T.EXECUTING,
    (T.PENDING, e.StepSkipped): T.SKIPPED,
    (T.EXECUTING, e.ReplyAwaited): T.EXECUTING,
    (T.EXECUTING, e.ApprovalGiven): T.EXECUTING,
    (T.EXECUTING, e.StepRescheduled): T.EXECUTING,
    (T.EXECUTING, e.StepOutcomeUnknown): T.EXECUTING,
    (T.EXECUTING, e.ProbeDispatched): T.EXECUTING,
    (T.EXECUTING, e.StepHeld): T.EXECUTING,
    (T.EXECUTING, e.StepCompleted): T.COMPLETED,
    (T.EXECUTING, e.StepFailed): T.FAILED,
    (T.EXECUTING, e.StepWithdrawn): T.PENDING,
    (T.EXECUTING, e.StepSkipped): T.SKIPPED,
    (T.EXECUTING, e.UndoDispatched): T.COMPENSATING,
    (T.EXECUTING, e.UndoHeld): T.EXECUTING,
    (T.EXECUTING, e.StepCompensated): T.COMPENSATED,
    (T.EXECUTING, e.StepLeftStanding): T.COMPLETED,
    (T.FAILED, e.StepHeld): T.FAILED,
    (T.FAILED, e.StepDispatched): T.EXECUTING,
    (T.FAILED, e.StepCompleted): T.COMPLETED,
    (T.FAILED, e.StepSkipped): T.SKIPPED,
    (T.COMPLETED, e.UndoDispatched): T.COMPENSATING,
    (T.COMPLETED, e.UndoHeld): T.COMPLETED,
    (T.COMPLETED, e.StepCompensated): T.COMPENSATED,
    (T.COMPLETED, e.StepLeftStanding): T.COMPLETED,
    (T.COMPENSATING, e.UndoDispatched): T.COMPENSATING,
    (T.COMPENSATING, e.ReplyAwaited): T.COMPENSATING,
    (T.COMPENSATING, e.UndoRescheduled): T.COMPENSATING,
    (T.COMPENSATING, e.UndoHeld): T.COMPENSATING,
    (T.COMPENSATING, e.ProbeDispatched): T.COMPENSATING,
    (T.COMPENSATING, e.StepCompensated): T.COMPENSATED,
    (T.COMPENSATING, e.StepLeftStanding): T.COMPLETED,
    (T.PENDING, e.DeliveryDispatched): T.EXECUTING,
    (T.FAILED, e.DeliveryDispatched): T.EXECUTING,
    (T.EXECUTING, e.DeliveryRescheduled): T.EXECUTING,
    (T.PENDING, e.EventAwaited): T.EXECUTING,
    (T.EXECUTING, e.EventAwaited): T.EXECUTING,
    (T.PENDING, e.DeliveryDropped): T.SKIPPED,
    (T.EXECUTING, e.DeliveryDropped): T.SKIPPED,
    (T.FAILED, e.DeliveryDropped): T.SKIPPED,
    (T.FAILED, e.StepCompensated): T.COMPENSATED,
    (T.PENDING, e.FunctionDispatched): T.EXECUTING,
    (T.EXECUTING, e.FunctionDispatched): T.EXECUTING,
    (T.FAILED, e.FunctionDispatched): T.EXECUTING,
    (T.EXECUTING, e.FunctionWaits): T.EXECUTING,
    **{(status, event): status for status in T for event in (e.LateEffectFound, e.LateEffectSettled)},
}


class IllegalTransition(RuntimeError):
    """An event that the tables do not allow: a bug of ours. Nothing was changed."""


def next_state(state: S, event: type[e.Event]) -> S:
    """Look up where an event leads; IllegalTransition if it leads nowhere."""
    if event in LATE_EFFECTS and state is not S.STARTED:
        return state
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(f"{event.__name__} cannot happen to a saga that is {state}") from None


def next_status(status: T, event: type[e.StepEvent]) -> T:
    """Look up where an event leads a step; IllegalTransition if it leads nowhere."""
    try:
        return STEP_TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransition(f"{event.__name__} cannot happen to a step that is {status}") from None


def evolve(progress: Progress, event: e.Event) -> Progress:
    """Return the progress after an event. Raises :class:`IllegalTransition`, and then nothing changed."""
    state, number = next_state(progress.state, type(event)), progress.sequence + 1
    new: dict[str, Any] = {
        "state": state,
        "version": event.version,
        "sequence": number,
        "updated_at": event.at,
    }
    if isinstance(event, e.SagaEvent):
        new |= changes.of_saga(progress, event)
    else:
        before = progress.steps[event.step]
        status = next_status(before.status, type(event))
        after = moved(before, {"status": status, **changes.of_step(before, event, number)})
        if after.former:
            after = changes.late_first(after)
        new["steps"] = {**progress.steps, event.step: after}
    return moved(progress, new)


def fold(progress: Progress, events: Iterable[e.Event]) -> Progress:
    """Return the progress after all these events."""
    for event in events:
        progress = evolve(progress, event)
    return progress
