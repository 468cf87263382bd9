"""What each event changes: about the saga, and about its step beside the status, for which there is a table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sagas.core import events as e
from sagas.core.definition import COMMANDS
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, Direction, Outcome, StepStatus, Waiting


def of_saga(progress: Progress, event: e.SagaEvent) -> dict[str, Any]:
    """Return what an event about the whole saga changes of its progress, beside state and version."""
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
            calm = {n: late_first(s._replace(attention=None)) for n, s in held.items()}
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
_Dispatch = e.StepDispatched | e.FunctionDispatched | e.DeliveryDispatched
_Rescheduling = e.StepRescheduled | e.UndoRescheduled | e.DeliveryRescheduled


def of_step(step: StepProgress, event: e.StepEvent, number: int) -> dict[str, Any]:
    """Return what an event changes of its step; ``number`` is the event's sequence, a command's number."""
    match event:
        case e.StepDispatched():
            return {**_dispatched(event, number), **_asking(event), **_former(step), "refused_at": None}
        case e.StepCompleted():
            return _completed(event)
        case e.DeliveryDispatched():
            return {**_dispatched(event, number), **_former(step)}
        case e.FunctionDispatched():
            return {**_dispatched(event, number), "dispatched_at": step.dispatched_at or event.at}
        case e.UndoDispatched():
            return _undo_dispatched(step, event, number)
        case e.StepRescheduled() | e.DeliveryRescheduled():
            return _rescheduled(step, event)
        case e.UndoRescheduled():  # unless it was there already, it comes behind whatever is known by now
            met = {} if step.unresolved else _without(step, step.generation)
            return {**_rescheduled(step, event), **met}
        case (
            e.ReplyAwaited() | e.EventAwaited() | e.ProbeDispatched() | e.ApprovalGiven() | e.FunctionWaits()
        ):
            return _waiting(step, event, number)
        case e.StepOutcomeUnknown() | e.StepHeld() | e.UndoHeld():
            return _at_rest(step, event)
        case _:
            return _verdict(step, event)


def _dispatched(event: _Dispatch, number: int) -> dict[str, Any]:
    """The action is due, as a new generation."""
    return {
        **_CLOSED,
        "open": Direction.DO,
        "scheduled": True,
        "action_number": number,
        "generation": event.generation,
        "attempt": 1,
        "budget": event.budget,
        "due_at": event.at,
        "outcome": None,
        "action_outcome": None,
        "error": None,
        "dispatched_at": event.at,
    }


def _former(step: StepProgress) -> dict[str, Any]:
    """The action before is remembered: it was closed as one without effect, and may turn out to have had it."""
    if step.action_number is None or step.action_outcome is Outcome.COMPLETED:
        return {}
    return {"former": {**(step.former or {}), str(step.action_number): {"generation": step.generation}}}


def _asking(event: e.StepDispatched) -> dict[str, Any]:
    """What is different where no participant is called: a moment is waited for, or people."""
    if event.waiting is None:
        return {}
    asks = event.waiting is Waiting.APPROVAL  # without a deadline, nothing is due: it is for the people
    return {
        "scheduled": not asks or event.until is not None,
        "due_at": event.until if asks else event.until or event.at,
        "waiting": event.waiting,
        "waiting_since": event.at,
        "approver": event.approver,
        "asked": event.asked,
    }


def _undo_dispatched(step: StepProgress, event: e.UndoDispatched, number: int) -> dict[str, Any]:
    """The undo is due, as a new generation; whatever the action came to, nobody tells any more."""
    found_out = {} if step.status is not StepStatus.EXECUTING else {"action_outcome": Outcome.UNKNOWN}
    return {
        **_CLOSED,
        **found_out,
        **_without(step, step.generation),
        "open": Direction.UNDO,
        "scheduled": True,
        "undo_number": number,
        "undo_generation": event.generation,
        "attempt": event.attempt,
        "budget": event.budget,
        "due_at": event.due_at,
        "outcome": Outcome.REJECTED if event.error else None,
        "error": event.error,
    }


def _rescheduled(step: StepProgress, event: _Rescheduling) -> dict[str, Any]:
    """The open command is due again, under the same key."""
    again = step.asked is not None  # an approval calls nobody: the people are asked once more
    # One that was delivered, in vain, is to be delivered again.
    outcome = None if step.expecting else step.outcome
    return {
        "waiting": Waiting.APPROVAL if again else None,
        "waiting_since": event.at if again else None,
        "scheduled": True,
        "attention": None,
        "attempt": event.attempt,
        "budget": event.budget,
        "due_at": event.due_at,
        "outcome": Outcome.UNKNOWN if event.unresolved else outcome,
        "unresolved": event.unresolved,
        "probe": 0,
        "inbox": event.inbox,
        "error": event.error,
    }


def _waiting(step: StepProgress, event: e.StepEvent, number: int) -> dict[str, Any]:
    """Something outside has to happen: a reply, an event, an answer."""
    match event:
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
        case e.ApprovalGiven(person=person, by=by, comment=comment):
            asked = step.asked or {}
            if "given" not in asked:  # redacted: it says nothing, and stays so
                return {}
            given = {**asked["given"], person: {"by": by, "comment": comment}}
            return {"asked": {**asked, "given": given}}
        case e.FunctionWaits():
            return {**_CLOSED, "outcome": None, "error": None}
        case e.EventAwaited():
            return _expecting(step, event, number)
    raise _unknown(event)


def _expecting(step: StepProgress, event: e.EventAwaited, number: int) -> dict[str, Any]:
    """It is delivered, or is the end, which is delivered to nobody; an event is to come of it."""
    new = {"action_number": number, "generation": 1, "attempt": 1, "budget": 1, "dispatched_at": event.at}
    return {
        **_CLOSED,
        **(new if step.status is StepStatus.PENDING else {}),
        "open": Direction.DO,
        "scheduled": True,
        "due_at": event.due_at,
        "waiting": Waiting.REPLY,
        "waiting_since": event.at,
        "outcome": Outcome.COMPLETED,
        "unresolved": event.promised,
        "inbox": step.inbox if event.inbox is None else event.inbox,
        "result": event.result,
        "error": None,
    }


def _at_rest(step: StepProgress, event: e.StepEvent) -> dict[str, Any]:
    """Nothing goes on by itself any more; a person decides, or the rollback does."""
    match event:
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
            # Whoever decides about a closed step has to know first what came of it after all.
            late = step.open is None and step.late_generation is not None
            asks = Attention.LATE_EFFECT if late else code
            return {**_AT_REST, "attention": asks, "error": error, "refused_at": None}
        case e.UndoHeld(code=Attention.CANNOT_UNDO as code) if step.open is not Direction.UNDO:
            return {"attention": code}
        case e.UndoHeld(code=code, error=error, outcome=outcome):
            return {**_AT_REST, **_after_undo(outcome), "attention": code, "error": error}
    raise _unknown(event)


def _after_undo(outcome: Outcome | None) -> dict[str, Any]:
    match outcome:
        case Outcome.REJECTED:  # the participant closed the key: another try is another command
            return {"open": None, "unresolved": False, "outcome": outcome}
        case Outcome.UNKNOWN:
            return {"unresolved": True, "outcome": outcome}
        case _:
            return {}


def _completed(event: e.StepCompleted) -> dict[str, Any]:
    """The action had its effect."""
    return {
        **_CLOSED,
        "outcome": Outcome.COMPLETED,
        "action_outcome": Outcome.COMPLETED,
        "result": event.result,
        "error": None,
        "executed_at": event.at,
    }


def _verdict(step: StepProgress, event: e.StepEvent) -> dict[str, Any]:
    """The open command is closed: it is known, or settled, what became of it."""
    match event:
        case e.StepFailed(error=error, at=at):
            no = Outcome.REJECTED
            found = {"outcome": no, "action_outcome": no, "error": error, "refused_at": _heard(step, at)}
            return _CLOSED | found
        case e.StepWithdrawn():
            return _CLOSED | {"attempt": 0, "budget": 0, "outcome": None, "error": None}
        case e.StepSkipped() | e.DeliveryDropped():
            return _CLOSED | {"result": None, "refused_at": _heard(step, event.at)}
        case e.StepCompensated(at=at, by_hand=by_hand):
            told = step.outcome if by_hand else Outcome.COMPLETED
            return _CLOSED | {"outcome": told, "error": None, "compensated_at": at}
        case e.StepLeftStanding():  # whatever it did, and however late
            return _CLOSED | {"standing": True, **_without(step, step.generation)}
        case e.LateEffectFound():
            return _found_late(step, event)
        case e.LateEffectSettled():
            return {"attention": None, **_settled_late(step)}
    raise _unknown(event)


def _found_late(step: StepProgress, event: e.LateEffectFound) -> dict[str, Any]:
    """What is under way, or stuck, goes first: once that is closed, the effect is asked about."""
    of_latest = event.generation in {None, step.generation}
    busy = step.open is not None or step.status is StepStatus.COMPENSATING
    former = step.former or {}
    if of_latest:
        number, known = str(step.action_number), {"action_outcome": Outcome.COMPLETED}
        if event.generation is None:  # an old log; its rows have this, too
            known["result"] = event.result
    else:
        known = {}
        number = next((n for n, each in former.items() if each["generation"] == event.generation), "")
        if not number:
            raise ValueError(f"{event.step} had no action of generation {event.generation}")
    late = {**former, number: {"generation": event.generation or step.generation, "late": True}}
    asks = step.attention if busy else Attention.LATE_EFFECT
    return {"attention": asks, "former": late, **known}


def _settled_late(step: StepProgress) -> dict[str, Any]:
    """The effect that was asked about is taken care of: one at a time."""
    generation = step.late_generation
    # None: it was found by a version that did not remember it here.
    return {} if generation is None else _without(step, generation)


def _without(step: StepProgress, generation: int) -> dict[str, Any]:
    """Of that action nothing has to be remembered any more."""
    if not step.former:
        return {}
    left = {n: each for n, each in step.former.items() if each["generation"] != generation}
    return {"former": left or None}


def late_first(step: StepProgress) -> StepProgress:
    """Return the step so that it asks about an effect that came late, if it asks and awaits nothing else."""
    busy = step.open is not None or step.status is StepStatus.COMPENSATING
    if busy or step.attention or step.late_generation is None:
        return step
    return step._replace(attention=Attention.LATE_EFFECT)


def _heard(step: StepProgress, at: datetime) -> datetime | None:
    """Return when a function hears of a no to the step, if one asked for it."""
    return at if step.grown else None


def _unknown(event: e.StepEvent) -> Exception:
    """Return what is wrong with an event that none of the matches above has: it was added, and they were not."""
    return NotImplementedError(f"nothing says what {type(event).__name__} changes")
