"""What is published in a choreography, and what was to be: an event is told to whoever has yet to hear of it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sagas.core import events as e
from sagas.core.draft import Draft
from sagas.core.flow import END, Flow
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, StepStatus


def known(draft: Draft, flow: Flow, event: str) -> bool:
    """Whether the event was published before. One that is repeated has told all that it has to tell."""
    return any(event in (each["name"], *each.get("also", ())) for each in _heard(draft, flow, event))


def _heard(draft: Draft, flow: Flow, event: str) -> list[Mapping[str, Any]]:
    """Return what those who listen to the event have heard first, be it this one or another."""
    listening = (*flow.reacting(event), *([END] if event in flow.endings else []))
    return [heard for name in listening if (heard := draft.step(name).event) is not None]


def before(draft: Draft, flow: Flow, event: str, number: int) -> bool:
    """Whether an event is known to have been published before that number."""
    return any(each["name"] == event and each["number"] < number for each in _heard(draft, flow, event))


def publish(draft: Draft, flow: Flow, event: str, data: Any, by: str | None = None) -> None:
    """Record an event, tell whoever listens and has yet to hear of it, and settle who was waiting for it."""
    free = [n for n in flow.reacting(event) if draft.step(n).status is StepStatus.PENDING]
    ends = [END] if event in flow.endings else []
    draft.add(e.EventPublished, event=event, data=data, to=(*free, *ends), by=by)
    heard = bool(free or ends)
    for step in draft.progress.steps.values():
        part = flow.part(step.name)
        if part is not None and step.expecting and event in part.publishes:
            draft.add(e.StepCompleted, step=step.name, result=step.result)
            heard = True
    if event in flow.turns and draft.progress.state in FORWARD:
        draft.add(e.SagaCompensating, error=reason(event, data))
    if heard and flow.endings and draft.step(END).attention:
        await_end(draft, flow)  # something goes on after all


def number(step: StepProgress) -> int:
    """Return the number of the event that is delivered."""
    return int((step.event or {}).get("number", 0))


def reason(event: str, data: Any) -> str:
    """Return why an event turns a saga back: its name, and the reason that it gives."""
    given = data.get("reason") if isinstance(data, dict) else None
    return f"{event}: {given}" if given else event


def await_end(draft: Draft, flow: Flow) -> None:
    """Expect the event that ends the saga, within the time that the choreography declares."""
    draft.add(e.EventAwaited, step=END, due_at=draft.now.at + timedelta(seconds=flow.within))


def miss(draft: Draft, step: StepProgress, error: str) -> None:
    """Ask for a person about what was to be published; once, as long as it is the same."""
    missed = Attention.EXPECTATION_MISSED
    if step.attention is not missed or step.error != error:
        draft.add(e.StepHeld, step=step.name, code=missed, error=error)


def either(events: tuple[str, ...]) -> str:
    """Return the names of events of which one is wanted."""
    return " or ".join(events)
