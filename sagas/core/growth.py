"""How the saga of a durable function goes on: the function is asked what comes next whenever there is a verdict.

It is a step itself, the first, and a command like any other: due, claimed, called. Running it has no effect, so it
may be run any number of times, and be given up at any moment. What it says is recorded, and dispatched, at once.
"""

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core import replies
from sagas.core.definition import FUNCTION
from sagas.core.draft import Draft, Refused
from sagas.core.progress import StepProgress
from sagas.core.words import Attention


def about(draft: Draft, reply: m.Reply) -> bool:
    """Whether a reply answers the function's open command."""
    return draft.definition.growing and draft.step(FUNCTION).number == reply.number


def take(draft: Draft, reply: m.Reply) -> None:
    """Decide what a run of the function has led to."""
    function = draft.step(FUNCTION)
    match reply:
        case m.Grown():
            _grow(draft, reply)
        case m.Returned() if under_way := _under_way(draft):
            _hold(draft, f"it returned while {', '.join(under_way)} had no verdict")
        case m.Returned(result=result):
            draft.add(e.StepCompleted, step=FUNCTION, result=result)
            draft.advance()
        case m.Raised(reason=reason):
            replies.reject(draft, function, reason)
        case m.Unknown(error=error, retry_after=retry_after):
            _again(draft, function, error, retry_after)
        case m.Unserved(error=error, code=code):
            _hold(draft, error, code)


def _grow(draft: Draft, reply: m.Grown) -> None:
    """Take on the new steps, and dispatch them: none of them has to wait, since the function has."""
    if not reply.steps and not _under_way(draft) and not _unheard(draft, reply):
        _hold(draft, "it waits, and there is nothing to wait for")
        return
    if reply.steps:
        draft.add(e.SagaGrown, steps=reply.steps)
        draft.definition = draft.definition.grown(reply.steps)
    draft.add(e.FunctionWaits, step=FUNCTION)
    for each in reply.steps:
        draft.dispatch_action(each["step"]["name"])
    if _unheard(draft, reply):
        draft.advance()


def _unheard(draft: Draft, reply: m.Grown) -> bool:
    """Whether there are verdicts that came while the function was running."""
    return any(step.heard_of and step.name not in reply.heard for step in _asked_for(draft))


def _under_way(draft: Draft) -> list[str]:
    return [step.name for step in _asked_for(draft) if not step.heard_of]


def _asked_for(draft: Draft) -> list[StepProgress]:
    return [step for step in draft.progress.steps.values() if step.grown]


def _again(draft: Draft, function: StepProgress, error: str, retry_after: float | None) -> None:
    if function.attempt >= function.budget:
        _hold(draft, error, Attention.RETRIES_SPENT)
        return
    due_at = draft.next_try(draft.definition.step(FUNCTION).retry, function.attempt, retry_after)
    # A run has no effect that could have to be undone.
    draft.reschedule(function, due_at=due_at, error=error, inbox=True, unresolved=False)


def _hold(draft: Draft, error: str, code: Attention = Attention.MISCONFIGURED) -> None:
    draft.add(e.StepHeld, step=FUNCTION, code=code, error=error)


def may_end(draft: Draft) -> None:
    """Let an operator speak for the function only when nothing is left that it would have to hear of."""
    left = _under_way(draft)
    if left:
        raise Refused(f"{', '.join(left)} had no verdict yet; the function cannot be settled before.")
