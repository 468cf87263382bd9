"""Whose turn it is: a subscriber gets a saga's events one by one, in the order in which they were published."""

from sagas.core import events as e
from sagas.core.choreography import publishing
from sagas.core.draft import Draft
from sagas.core.flow import END, Flow, Part
from sagas.core.progress import StepProgress
from sagas.core.words import StepStatus


def in_order(draft: Draft) -> list[str]:
    """Return the steps whose event waits for its subscriber, in the order of the events."""
    steps = draft.progress.steps.values()
    waiting = [s for s in steps if s.status is StepStatus.PENDING and s.event is not None]
    return [step.name for step in sorted(waiting, key=publishing.number)]


def busy(draft: Draft, flow: Flow, part: Part) -> bool:
    """Whether its subscriber has yet to take another event of this saga, that is on its way or came before."""
    mine = publishing.number(draft.step(part.step))
    others = (draft.step(p.step) for p in flow.parts if p.by == part.by and p.step != part.step)
    return any(_untaken(s) and (s.scheduled or publishing.number(s) < mine) for s in others)


def _untaken(step: StepProgress) -> bool:
    """Whether an event is on its way to the subscriber, or parked."""
    parked = step.status in {StepStatus.FAILED, StepStatus.SKIPPED} and step.attention is not None
    return parked or (step.status is StepStatus.EXECUTING and not step.expecting)


def is_open(step: StepProgress) -> bool:
    """Whether something will, or has to, become of the step."""
    if step.name == END:
        return False
    waiting = step.status is StepStatus.PENDING and step.event is not None
    return waiting or step.status is StepStatus.EXECUTING or _untaken(step)


def dispatch(draft: Draft, name: str) -> None:
    """Send a step's event to its subscriber."""
    budget = draft.definition.step(name).retry.max_attempts
    draft.add(e.DeliveryDispatched, step=name, generation=draft.step(name).generation + 1, budget=budget)
