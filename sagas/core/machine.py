"""The law of a saga's life: what may follow what, and what an event does to the progress.

All that can happen stands in the two tables. A pair that is not listed cannot happen;
a state that has no row is final. ``decide`` proposes events, ``evolve`` applies them and
refuses what the tables do not allow.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sagas.core import events as e
from sagas.core.definition import COMMANDS
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, Direction, Outcome, Waiting
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
    if event in LATE_EFFECTS and state not in (S.STARTED,):
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
    state = next_state(progress.state, type(event))
    changes: dict[str, Any] = {
        "state": state,
        "version": event.version,
        "sequence": progress.sequence + 1,
        "updated_at": event.at,
    }
    if isinstance(event, e.SagaEvent):
        changes |= _saga_changes(progress, event)
    else:
        before = progress.steps[event.step]
        after = before._replace(
            status=next_status(before.status, type(event)),
            **_step_changes(before, event, number=progress.sequence + 1),
        )
        changes["steps"] = {**progress.steps, event.step: after}
    return progress._replace(**changes)


def fold(progress: Progress, events: Iterable[e.Event]) -> Progress:
    """Return the progress after all these events."""
    for event in events:
        progress = evolve(progress, event)
    return progress


def _saga_changes(progress: Progress, event: e.SagaEvent) -> dict[str, Any]:
    match event:
        case e.SagaStarted(data=data, at=at, begins_at=begins_at, deadline_at=deadline_at):
            return {"data": data, "created_at": at, "begins_at": begins_at, "deadline_at": deadline_at}
        case e.SagaBegan(deadline_at=deadline_at):
            return {"begins_at": None, "deadline_at": deadline_at}
        case e.SagaExpired():
            return {"expired": True}
        case e.SagaCompensating(error=error):
            # The rollback answers what held a rejected step: there is nothing left to decide about it.
            # An event that its subscriber refused is parked all the same.
            steps = progress.steps.items()
            held = {n: s for n, s in steps if s.attention is Attention.HELD and s.event is None}
            calm = {n: s._replace(attention=None) for n, s in held.items()}
            return {"error": error, "begins_at": None, "steps": {**progress.steps, **calm}}
        case e.SagaCompleted(at=at):
            return {"finished_at": at, "paused": False}
        case e.SagaFailed(error=error, at=at):
            return {"finished_at": at, "error": error, "paused": False}
        case e.SagaPaused():
            return {"paused": True}
        case e.SagaResumed():
            return {"paused": False}
        case e.DataEdited(data=data, keeping=keeping):
            kept = {n: progress.steps[n]._replace(input=progress.data) for n in keeping}
            return {"data": data, "steps": {**progress.steps, **kept}}
        case e.DefinitionChanged(renamed=names):
            # Names of commands are the definition's, but for those of steps that were added to it.
            grown = {
                n: s._replace(grown=_renamed(s.grown, names)) for n, s in progress.steps.items() if s.grown
            }
            return {"steps": {**progress.steps, **grown}} if grown else {}
        case e.SagaGrown(steps=steps):
            added = {each["step"]["name"]: StepProgress(each["step"]["name"], grown=each) for each in steps}
            return {"steps": {**progress.steps, **added}}
        case e.EventPublished(event=name, data=data, to=to):
            told = {"name": name, "number": progress.sequence + 1, "data": data}
            reached = {n: progress.steps[n]._replace(event=_with(progress.steps[n].event, told)) for n in to}
            return {"steps": {**progress.steps, **reached}}


def _renamed(grown: Mapping[str, Any], names: Mapping[str, str]) -> Mapping[str, Any]:
    step = grown["step"]
    new = {role: names[step[role]] for role in COMMANDS if step.get(role) in names}
    return {**grown, "step": {**step, **new}} if new else grown


def _with(first: Mapping[str, Any] | None, told: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a step hears of: one event, and how else a saga that is told so was to end."""
    return told if first is None else {**first, "also": [*first.get("also", ()), told["name"]]}


#: The open command is closed, nothing is due for it, and nobody is asked about it.
_CLOSED: dict[str, Any] = {
    "open": None,
    "scheduled": False,
    "due_at": None,
    "attention": None,
    "unresolved": False,
    "probe": 0,
    "input": None,
    "waiting": None,
    "waiting_since": None,
    "approver": None,
    "asked": None,
}
#: Nothing is due, but a definite reply would still be taken.
_AT_REST: dict[str, Any] = {
    "scheduled": False,
    "due_at": None,
    "probe": 0,
    "waiting": None,
    "waiting_since": None,
}


def _step_changes(step: StepProgress, event: e.StepEvent, number: int) -> dict[str, Any]:
    match event:
        case e.StepDispatched(generation=generation, budget=budget, at=at, waiting=waiting, until=until):
            asks = waiting is Waiting.APPROVAL  # without a deadline, nothing is due: it is for the people
            return {
                **_CLOSED,
                "open": Direction.DO,
                "scheduled": not asks or until is not None,
                "waiting": waiting,
                "waiting_since": at if waiting else None,
                "approver": event.approver,
                "asked": event.asked,
                "action_number": number,
                "generation": generation,
                "attempt": 1,
                "budget": budget,
                "due_at": until if asks else until or at,
                "outcome": None,
                "action_outcome": None,
                "error": None,
                "dispatched_at": at,
                "refused_at": None,
            }
        case e.FunctionDispatched(generation=generation, budget=budget, at=at):
            return {
                **_CLOSED,
                "open": Direction.DO,
                "scheduled": True,
                "action_number": number,
                "generation": generation,
                "attempt": 1,
                "budget": budget,
                "due_at": at,
                "outcome": None,
                "action_outcome": None,
                "error": None,
                "dispatched_at": step.dispatched_at or at,
            }
        case e.FunctionWaits():
            return {**_CLOSED, "outcome": None, "error": None}
        case e.DeliveryDispatched(generation=generation, budget=budget, at=at):
            return {
                **_CLOSED,
                "open": Direction.DO,
                "scheduled": True,
                "action_number": number,
                "generation": generation,
                "attempt": 1,
                "budget": budget,
                "due_at": at,
                "outcome": None,
                "action_outcome": None,
                "error": None,
                "dispatched_at": at,
            }
        case e.UndoDispatched(
            generation=generation, attempt=attempt, budget=budget, due_at=due_at, error=error
        ):
            found_out = {} if step.status is not T.EXECUTING else {"action_outcome": Outcome.UNKNOWN}
            return {
                **_CLOSED,
                **found_out,
                "open": Direction.UNDO,
                "scheduled": True,
                "undo_number": number,
                "undo_generation": generation,
                "attempt": attempt,
                "budget": budget,
                "due_at": due_at,
                "outcome": Outcome.REJECTED if error else None,
                "error": error,
            }
        case e.ReplyAwaited(until=until, inbox=inbox, at=at):
            return {
                "scheduled": until is not None,
                "due_at": until,
                "waiting": Waiting.REPLY,
                "waiting_since": at,
                "unresolved": True,
                "inbox": inbox,
                "error": None,
            }
        case e.ApprovalGiven(person=person, by=by, comment=comment):
            asked = step.asked or {}
            if "given" not in asked:  # redacted: it says nothing, and stays so
                return {}
            given = {**asked["given"], person: {"by": by, "comment": comment}}
            return {"asked": {**asked, "given": given}}
        case e.StepRescheduled() | e.UndoRescheduled() | e.DeliveryRescheduled():
            again = step.asked is not None  # an approval calls nobody: the people are asked once more
            return {
                "waiting": Waiting.APPROVAL if again else None,
                "waiting_since": event.at if again else None,
                "scheduled": True,
                "attention": None,
                "attempt": event.attempt,
                "budget": event.budget,
                "due_at": event.due_at,
                "outcome": Outcome.UNKNOWN if event.unresolved else _last_outcome(step),
                "unresolved": event.unresolved,
                "probe": 0,
                "inbox": event.inbox,
                "error": event.error,
            }
        case e.ProbeDispatched(probe=probe, budget=budget, due_at=due_at, error=error, inbox=inbox):
            return {
                "scheduled": True,
                "attention": None,
                "budget": budget,
                "due_at": due_at,
                "outcome": Outcome.UNKNOWN,
                "unresolved": True,
                "probe": probe,
                "waiting": None,
                "waiting_since": None,
                "inbox": inbox,
                "error": error,
            }
        case e.EventAwaited(due_at=due_at, result=result, promised=promised, inbox=inbox):
            new = {
                "action_number": number,
                "generation": 1,
                "attempt": 1,
                "budget": 1,
                "dispatched_at": event.at,
            }
            return {
                **_CLOSED,
                **(new if step.status is T.PENDING else {}),
                "open": Direction.DO,
                "scheduled": True,
                "due_at": due_at,
                "waiting": Waiting.REPLY,
                "waiting_since": event.at,
                "outcome": Outcome.COMPLETED,
                "unresolved": promised,
                "inbox": step.inbox if inbox is None else inbox,
                "result": result,
                "error": None,
            }
        case e.StepOutcomeUnknown(error=error, inbox=inbox):
            return {
                **_AT_REST,
                "attention": None,
                "outcome": Outcome.UNKNOWN,
                "unresolved": True,
                "inbox": inbox,
                "error": error,
            }
        case e.StepHeld(code=code, error=error):
            return {**_AT_REST, "attention": code, "error": error, "refused_at": None}
        case e.UndoHeld(code=Attention.CANNOT_UNDO as code) if step.open is not Direction.UNDO:
            return {"attention": code}
        case e.UndoHeld(code=code, error=error, outcome=outcome):
            return {**_AT_REST, **_after_undo(outcome), "attention": code, "error": error}
        case _:
            return _verdict(step, event)


def _heard(step: StepProgress, at: datetime) -> datetime | None:
    """Return when a function hears of a no to the step, if one asked for it."""
    return at if step.grown else None


def _last_outcome(step: StepProgress) -> Outcome | None:
    """Return it as it counts for another attempt: one that was delivered, in vain, is to be delivered again."""
    return None if step.expecting else step.outcome


def _after_undo(outcome: Outcome | None) -> dict[str, Any]:
    match outcome:
        case Outcome.REJECTED:  # the participant closed the key: another try is another command
            return {"open": None, "unresolved": False, "outcome": outcome}
        case Outcome.UNKNOWN:
            return {"unresolved": True, "outcome": outcome}
        case _:
            return {}


def _verdict(step: StepProgress, event: e.StepEvent) -> dict[str, Any]:
    match event:
        case e.StepCompleted(result=result, at=at):
            done = Outcome.COMPLETED
            found = {
                "outcome": done,
                "action_outcome": done,
                "result": result,
                "error": None,
                "executed_at": at,
            }
            return _CLOSED | found
        case e.StepFailed(error=error, at=at):
            no = Outcome.REJECTED
            found = {"outcome": no, "action_outcome": no, "error": error, "refused_at": _heard(step, at)}
            return _CLOSED | found
        case e.StepWithdrawn():
            return _CLOSED | {"attempt": 0, "budget": 0, "outcome": None, "error": None}
        case e.StepSkipped() | e.DeliveryDropped():
            return _CLOSED | {"result": None, "refused_at": _heard(step, event.at)}
        case e.StepCompensated(at=at):
            # A late effect may have come behind the undo that is done now.
            asks = Attention.LATE_EFFECT if step.late_effect else None
            found = {"outcome": Outcome.COMPLETED, "error": None, "compensated_at": at, "attention": asks}
            return _CLOSED | found
        case e.StepLeftStanding():
            return _CLOSED | {"standing": True}
        case e.LateEffectFound(result=result):
            # An undo that is under way, or stuck, goes first: once it is done, the effect is asked about.
            return {
                "attention": step.attention if step.status is T.COMPENSATING else Attention.LATE_EFFECT,
                "action_outcome": Outcome.COMPLETED,
                "result": result,
            }
        case e.LateEffectSettled():
            return {"attention": None}
    raise IllegalTransition(f"{type(event).__name__} changes nothing")  # unreachable: the match is exhaustive
