"""What comes of waiting: a time is up, or a person has answered: one mechanism for all of it."""

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core import replies
from sagas.core.draft import Draft, Refused
from sagas.core.progress import BEGINNING, StepProgress
from sagas.core.waits import OF_CHILDREN
from sagas.core.words import FORWARD, Attention, Direction, SagaState, Waiting


def time_is_up(draft: Draft, number: int) -> None:
    """Decide that the moment has come for which something waited; nothing, if it waits no longer."""
    step = draft.progress.awaiting(number)
    if step is None:
        _own_time_is_up(draft, number)
    elif step.waiting is Waiting.REPLY and _may_look(draft, step):
        _look_again(draft, step)
    elif step.waiting is Waiting.REPLY:
        replies.take(draft, m.Unknown(number, "no reply came in time", inbox=step.inbox))
    elif step.waiting is not None and draft.progress.state is SagaState.COMPENSATING:
        draft.withdraw(step, "")
        draft.advance()
    elif step.waiting is Waiting.TIMER:
        draft.add(e.StepCompleted, step=step.name)
        draft.advance()
    elif step.waiting is Waiting.APPROVAL:
        _nobody_answered(draft, step)


def _may_look(draft: Draft, step: StepProgress) -> bool:
    """Whether a child saga answers the open command, and is still wanted: what became of it can be looked up."""
    assert step.open is not None  # it waits
    wanted = draft.progress.state in FORWARD or step.open is Direction.UNDO
    return wanted and draft.definition.step(step.name).command(step.open) in OF_CHILDREN


def _look_again(draft: Draft, step: StepProgress) -> None:
    """Have the child looked at, and told that its time is over if it is; that costs none of the attempts."""
    draft.reschedule(step, budget=step.budget + 1, due_at=draft.now.at, error=step.error, inbox=step.inbox)


def _own_time_is_up(draft: Draft, number: int) -> None:
    """Begin a saga that waited for that, or heed its deadline."""
    progress = draft.progress
    if progress.state not in FORWARD:
        return
    if progress.begins_at is not None:
        if number == BEGINNING:
            draft.add(e.SagaBegan, deadline_at=draft.saga_deadline)
            draft.advance()
        return
    if number == BEGINNING or progress.deadline_at is None or progress.expired or draft.pivot_passed:
        return
    draft.add(e.SagaExpired)
    pivot = draft.definition.pivot
    if pivot is None or not draft.claimed(draft.step(pivot.name)):  # else its answer decides
        draft.turn_back("its deadline passed")


def _nobody_answered(draft: Draft, step: StepProgress) -> None:
    text = "nobody answered in time"
    match (step.asked or {}).get("otherwise"):
        case "approve":
            _approved(draft, step, dict(_given(step)), text)
        case "reject":
            replies.reject(draft, step, text)
        case _:
            draft.add(e.StepHeld, step=step.name, code=Attention.EXPECTATION_MISSED, error=text)


def approve(draft: Draft, step: StepProgress, verb: m.Approve) -> None:
    """Take one person's yes: the last that was asked for completes the step."""
    _asked(draft, step)
    given, person = _given(step), verb.person or verb.by
    if person in given:
        raise Refused(f"{given[person]['by']} has approved {step.name} already; it takes another person.")
    if len(given) + 1 < (step.asked or {}).get("people", 1):
        draft.add(e.ApprovalGiven, step=step.name, person=person, by=verb.by, comment=verb.comment)
    else:
        said = {"by": verb.by, "comment": verb.comment}
        _approved(draft, step, {**given, person: said})


def reject(draft: Draft, step: StepProgress, verb: m.Reject) -> None:
    """Take a person's no: one is enough."""
    _asked(draft, step)
    by = f" by {verb.by}" if verb.by else ""
    why = f": {verb.reason}" if verb.reason else ""
    replies.reject(draft, step, f"rejected{by}{why}")


def _asked(draft: Draft, step: StepProgress) -> None:
    if draft.progress.state is SagaState.COMPENSATING:
        raise Refused("The saga is rolling back; an approval would come too late.")
    if step.asked is None or step.open is None:
        raise Refused(f"{step.name} is {step.status}; it is not waiting for an approval.")


def _given(step: StepProgress) -> dict[str, dict[str, str]]:
    return (step.asked or {}).get("given") or {}


def _approved(
    draft: Draft, step: StepProgress, given: dict[str, dict[str, str]], comment: str | None = None
) -> None:
    said = [comment] if comment else [each["comment"] for each in given.values() if each["comment"]]
    result = {"approved": True, "by": [each["by"] for each in given.values()], "comment": "\n".join(said)}
    draft.add(e.StepCompleted, step=step.name, result=result)
    draft.advance()
