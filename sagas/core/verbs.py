"""What each of an operator's verbs decides, and when it is refused, with the reason."""

from collections.abc import Callable
from typing import Any

from sagas.core import events as e
from sagas.core import growth, waiting
from sagas.core import messages as m
from sagas.core.commands import due_command
from sagas.core.draft import Draft, Refused
from sagas.core.progress import StepProgress
from sagas.core.replies import reject
from sagas.core.waits import NoMoment, wake_at
from sagas.core.words import FORWARD, Attention, Direction, SagaState, StepStatus, Verdict, Waiting


def act(draft: Draft, verb: Any) -> None:
    """Decide a verb; :class:`Refused` if it does not apply."""
    _VERBS[type(verb)](draft, verb)


#: For what a step waits, in the middle of a sentence.
_WAITS = {
    Waiting.APPROVAL: "an approval",
    Waiting.REPLY: "a reply from outside",
    Waiting.TIMER: "its time to come",
}


def a_step(draft: Draft, name: str) -> StepProgress:
    """Return the step that a verb is about; :class:`Refused` if there is none of that name."""
    if name not in draft.progress.steps:
        known = ", ".join(draft.definition.names)
        raise Refused(f"This saga has no step {name!r}; it has {known}.")
    return draft.step(name)


def _has_child(draft: Draft, step: StepProgress) -> bool:
    return draft.definition.step(step.name).child is not None


def unclaimed(draft: Draft, step: StepProgress) -> None:
    """Refuse if a worker holds the step's open command: what comes of it is not known yet."""
    if draft.claimed(step):
        what = "undo" if step.open is Direction.UNDO else "action"
        raise Refused(
            f"The {what} of {step.name} is being executed right now; wait for its reply or time-out."
        )


def not_over(draft: Draft) -> None:
    """Refuse if the saga is terminal."""
    if draft.over:
        raise Refused(f"The saga is {draft.progress.state}; that is final.")


def _retry(draft: Draft, verb: m.Retry) -> None:
    not_over(draft)
    step = a_step(draft, verb.step)
    unclaimed(draft, step)
    undoing = step.status is StepStatus.COMPENSATING
    if step.waiting:
        what = "its child saga" if _has_child(draft, step) else _WAITS[step.waiting]
        raise Refused(f"{step.name} waits for {what}; there is nothing to retry meanwhile.")
    backing_off = step.scheduled and (step.attempt > 1 or step.probe > 0)
    if not step.attention and not backing_off:
        raise Refused(
            f"{step.name} is {step.status}; only a step in back-off or at attention can be retried."
        )
    if step.attention is Attention.CANNOT_UNDO and step.open is not Direction.UNDO:
        raise Refused(f"{step.name} cannot be undone, so there is nothing to retry; settle it with resolve.")
    if step.attention is Attention.LATE_EFFECT:
        raise Refused(f"{step.name} had its effect too late; compensate it, or resolve it as waived.")
    if not undoing and draft.progress.state is SagaState.COMPENSATING:
        raise Refused(f"The saga is rolling back, so {step.name} is not tried again; settle it with resolve.")
    if undoing:
        _retry_undo(draft, step)
    elif step.status is StepStatus.FAILED:
        draft.dispatch_action(step.name)
    else:
        _reschedule(draft, step, draft.definition.step(step.name).retry.max_attempts)


def _retry_undo(draft: Draft, step: StepProgress) -> None:
    if step.open is None:  # rejected: the participant closed that key
        draft.dispatch_undo(step)
    else:
        _reschedule(draft, step, draft.definition.step(step.name).undo_retry.max_attempts)


def _reschedule(draft: Draft, step: StepProgress, attempts: int) -> None:
    """Make the step's command due now, with a fresh budget; what may be there already is asked about first."""
    if step.unresolved and draft.ask(step, step.error, budget=step.attempt + attempts):
        return
    draft.start_over(step, attempts, draft.approval_ends(draft.definition.step(step.name)))


def _compensate(draft: Draft, verb: m.Compensate) -> None:
    not_over(draft)
    if draft.progress.state is SagaState.COMPENSATING:
        raise Refused("The saga is already rolling back.")
    if draft.pivot_passed and draft.definition.pivot:
        raise Refused(
            f"The point of no return, {draft.definition.pivot.name}, is passed; the saga only goes forward."
        )
    pivot = draft.progress.steps[draft.definition.pivot.name] if draft.definition.pivot else None
    if pivot is not None and draft.claimed(pivot):
        raise Refused(
            f"The point of no return, {pivot.name}, is being executed right now; wait for its reply or time-out."
        )
    draft.turn_back(verb.reason or "rolled back by an operator")


def _skip(draft: Draft, verb: m.Skip) -> None:
    not_over(draft)
    step = a_step(draft, verb.step)
    if draft.progress.state not in FORWARD:
        raise Refused("The saga is rolling back; a step can only be skipped on the way forward.")
    unclaimed(draft, step)
    if step.status not in {StepStatus.PENDING, StepStatus.EXECUTING, StepStatus.FAILED}:
        raise Refused(f"{step.name} is {step.status}; only a step that has not happened can be skipped.")
    if step.attention is Attention.LATE_EFFECT:
        raise Refused(f"{step.name} had its effect too late; compensate it, or resolve it as waived.")
    if step.waiting is Waiting.REPLY and _has_child(draft, step):
        raise Refused(f"{step.name}'s child saga is under way; roll that back, and the step is rejected.")
    if draft.is_function(step):
        raise Refused(f"{step.name} is what says which steps come next; retry it, or end it with resolve.")
    if step.refused_at is not None:
        raise Refused(f"{step.name} has failed, and the function has heard of it: it goes on without it.")
    if step.unresolved:
        raise Refused(f"{step.name} may have had its effect; say what became of it with resolve.")
    draft.add(e.StepSkipped, step=step.name)
    draft.advance()


def _resolve(draft: Draft, verb: m.Resolve) -> None:
    step = a_step(draft, verb.step)
    if step.attention is Attention.LATE_EFFECT:
        _resolve_late_effect(draft, step, verb)
        return
    not_over(draft)
    unclaimed(draft, step)
    if step.waiting is Waiting.APPROVAL:
        raise Refused(f"{step.name} waits for an approval; answer it with approve or reject.")
    if not step.attention and not step.unresolved:
        raise Refused(f"{step.name} is {step.status}; only a step at attention, or unknown, can be resolved.")
    if draft.definition.step(step.name).approval is not None:
        raise Refused(
            f"{step.name} asks for an approval, which nobody else can give; answer it with approve or reject, "
            "ask again with retry, or skip it."
        )
    undoing = step.status is StepStatus.COMPENSATING or (
        step.attention is Attention.CANNOT_UNDO and draft.progress.state is SagaState.COMPENSATING
    )
    _resolve_undo(draft, step, verb) if undoing else _resolve_action(draft, step, verb)


def _resolve_late_effect(draft: Draft, step: StepProgress, verb: m.Resolve) -> None:
    if verb.outcome is Verdict.NONE:
        raise Refused(
            f"{step.name} is known to have had its effect; resolve it as waived, or as done once undone."
        )
    draft.add(e.LateEffectSettled, step=step.name)
    heard = step.refused_at is not None
    if step.status is StepStatus.FAILED and draft.progress.state in FORWARD and not heard:
        draft.add(e.StepHeld, step=step.name, code=Attention.HELD, error=step.error or "")  # as it was before
    elif draft.progress.state is SagaState.COMPENSATING:
        draft.advance()  # what it asked before, it asks again


def _resolve_action(draft: Draft, step: StepProgress, verb: m.Resolve) -> None:
    if draft.is_function(step) and verb.outcome is Verdict.DONE:
        growth.may_end(draft)
    match verb.outcome:
        case Verdict.DONE:
            draft.add(e.StepCompleted, step=step.name, result=verb.result, by_hand=True)
            draft.advance()
        case Verdict.NONE if step.waiting is Waiting.REPLY and _has_child(draft, step):
            raise Refused(f"{step.name}'s child saga is under way; roll that back, and the step is rejected.")
        case Verdict.NONE if step.status is StepStatus.FAILED:
            raise Refused(f"{step.name} is already known to have failed; retry it, skip it, or roll back.")
        case Verdict.NONE:
            reject(draft, step, verb.reason or "an operator found that it had no effect")
        case Verdict.WAIVED:
            raise Refused("Only an undo can be waived; resolve an action as done or none.")


def _resolve_undo(draft: Draft, step: StepProgress, verb: m.Resolve) -> None:
    match verb.outcome:
        case Verdict.DONE:
            draft.add(e.StepCompensated, step=step.name, result=verb.result, by_hand=True)
        case Verdict.WAIVED:
            draft.add(e.StepLeftStanding, step=step.name)
        case Verdict.NONE:
            raise Refused("An undo is resolved as done (it is undone) or waived (it stays).")
    draft.advance()


def _edit(draft: Draft, verb: m.Edit) -> None:
    not_over(draft)
    held = [s.name for s in draft.progress.steps.values() if draft.claimed(s)]
    if held:
        raise Refused(
            f"{', '.join(held)} is being executed right now; edit when it has answered, or pause first."
        )
    steps = draft.progress.steps.values() if draft.progress.state in FORWARD else ()
    asking = [s.name for s in steps if s.asked is not None and s.open]
    if asking:
        raise Refused(
            f"{', '.join(asking)} asks people about the data as it is, and has it done on their word; "
            "let them answer first, or skip it, or roll back."
        )
    for pinned in draft.definition.steps:
        if pinned.timer and draft.step(pinned.name).status is StepStatus.PENDING:
            try:
                wake_at(pinned.timer, verb.data, draft.now.at)
            except NoMoment as wrong:
                raise Refused(
                    f"{pinned.name} waits until data.{pinned.timer.path}, which {wrong}."
                ) from wrong
    # What no attempt can have acted on is not bound to its input: that may be the very fault to mend.
    sent = tuple(s.name for s in draft.progress.steps.values() if s.unresolved and s.input is None)
    draft.add(e.DataEdited, data=verb.data, keeping=sent)


def remap(draft: Draft, verb: m.Remap, again: Callable[[str], None]) -> None:
    """Call commands by other names; what nobody served until now is tried ``again``, each step by its name."""
    not_over(draft)
    before, after = draft.definition, draft.definition.renamed(verb.names)
    if after == before:
        raise Refused(f"The saga's definition names none of {', '.join(verb.names)}.")
    steps = tuple(draft.progress.steps.values())
    for step in steps:
        command = due_command(before, step)
        if command is not None and command.name in verb.names:
            unclaimed(draft, step)
    names = {old: new for old, new in verb.names.items() if before.renamed({old: new}) != before}
    digests = {"before": before.pinned.digest, "after": after.pinned.digest}
    draft.add(e.DefinitionChanged, renamed=names, **digests)
    draft.definition = after
    for step in steps:
        if step.attention is Attention.NO_HANDLER and before.step(step.name) != after.step(step.name):
            again(step.name)  # a new name is the remedy for that


def _remap(draft: Draft, verb: m.Remap) -> None:
    remap(draft, verb, lambda step: _retry(draft, m.Retry(step)))


def _pause(draft: Draft, _: m.Pause) -> None:
    not_over(draft)
    if draft.progress.paused:
        raise Refused("The saga is already paused.")
    draft.add(e.SagaPaused)


def _resume(draft: Draft, _: m.Resume) -> None:
    not_over(draft)
    if not draft.progress.paused:
        raise Refused("The saga is not paused.")
    draft.add(e.SagaResumed)


def _answer(draft: Draft, verb: m.Approve | m.Reject) -> None:
    not_over(draft)
    step = a_step(draft, verb.step)
    if isinstance(verb, m.Approve):
        waiting.approve(draft, step, verb)
    else:
        waiting.reject(draft, step, verb)


_VERBS: dict[type, Callable[[Draft, Any], None]] = {
    m.Retry: _retry,
    m.Compensate: _compensate,
    m.Skip: _skip,
    m.Resolve: _resolve,
    m.Edit: _edit,
    m.Remap: _remap,
    m.Pause: _pause,
    m.Resume: _resume,
    m.Approve: _answer,
    m.Reject: _answer,
}
