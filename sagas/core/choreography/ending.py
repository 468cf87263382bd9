"""How a choreography ends: as an event says, if it is so; else a person is asked."""

from sagas.core import events as e
from sagas.core.choreography import publishing
from sagas.core.draft import Draft
from sagas.core.flow import END, Flow
from sagas.core.words import FORWARD, SagaState, StepStatus


def end(draft: Draft, flow: Flow) -> None:
    """Nothing is under way: the saga has ended, or it never will by itself."""
    if not flow.endings:
        draft.add(e.SagaCompleted)
        return
    last = draft.step(END)
    if last.event is None:
        wanted = publishing.either(flow.endings)
        publishing.miss(draft, last, f"everything is delivered, and no {wanted} was published")
        return
    missed = _unkept(draft, flow, last.event["name"])
    publishing.miss(draft, last, missed) if missed else conclude(draft, flow, last.event["name"])


def _unkept(draft: Draft, flow: Flow, event: str) -> str | None:
    """Return what an ending event promises and is not so (docs/concepts, rules 2 and 3); None if all is as it says."""
    if event in flow.completed:
        if draft.progress.state is SagaState.COMPENSATING:
            return f"{event} was published, though it was on the way back ({draft.progress.error})"
        steps = draft.progress.steps.values()
        failed = ", ".join(step.name for step in steps if step.status is StepStatus.FAILED)
        return f"{event} was published, though {failed} failed" if failed else None
    left = [name for name in draft.definition.names if _still_stands(draft, flow, name)]
    return f"{event} was published, but nothing has undone {', '.join(left)}" if left else None


def _still_stands(draft: Draft, flow: Flow, name: str) -> bool:
    undos = [draft.step(n) for n in flow.compensating(name)]
    settled = any(undo.status in {StepStatus.COMPLETED, StepStatus.SKIPPED} for undo in undos)
    done = draft.step(name).status is StepStatus.COMPLETED
    return bool(undos) and done and _had_effect(draft, flow, name) and not settled


def _had_effect(draft: Draft, flow: Flow, name: str) -> bool:
    """Whether the step did something: what turns the saga back, or ends it as failed, says that it did not.

    One of those that was published before the step heard of anything is not its word, whoever published it.
    """
    part, since = flow.part(name), publishing.number(draft.step(name))
    told = {event for event in (part.publishes if part else ()) if publishing.known(draft, flow, event)}
    denials = told & (flow.turns | {*flow.failed})
    return told > denials or all(publishing.before(draft, flow, event, since) for event in denials)


def conclude(draft: Draft, flow: Flow, event: str) -> None:
    """End the saga as an event says."""
    data = (draft.step(END).event or {}).get("data")
    draft.add(e.StepCompleted, step=END, result={"event": event})
    if event in flow.completed:
        draft.add(e.SagaCompleted)
        return
    error = draft.progress.error or publishing.reason(event, data)
    if draft.progress.state in FORWARD:
        draft.add(e.SagaCompensating, error=error)
    draft.add(e.SagaFailed, error=error)
