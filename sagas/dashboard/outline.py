"""A definition's steps before any saga has run them: as the page of its type draws and lists them."""

from dataclasses import dataclass
from typing import Any

from sagas.core.definition import CANNOT_UNDO, SagaDefinition, SagaStep
from sagas.core.waits import Approval, Timer, moment
from sagas.dashboard.formats import span
from sagas.dashboard.words import asked_text

#: What becomes of an approval at its deadline, by the answer that it names.
_OTHERWISE = {"approve": "approved", "reject": "rejected", None: "put to an operator"}


@dataclass(frozen=True)
class Line:
    """A step in the table. What it does not have is empty: nobody calls a timer, so it has no tries."""

    name: str
    action: str
    undo: str
    tries: int | None
    undo_tries: int | None
    limit: str
    """How long an attempt may take; of an approval, when it is answered if nobody does."""
    fails: str


def lines_of(definition: SagaDefinition) -> list[Line]:
    """Return a line for each step."""
    return [_line(step) for step in definition.steps]


def _line(step: SagaStep) -> Line:
    called = step.timer is None and step.approval is None
    undone = step.compensation is not None and step.compensation != CANNOT_UNDO
    undo = "cannot be undone" if step.compensation == CANNOT_UNDO else step.compensation or "nothing to undo"
    return Line(
        name=step.name,
        action=waits_text(step.timer, step.approval) or step.action,
        undo=undo,
        tries=step.retry.max_attempts if called else None,
        undo_tries=step.undo_retry.max_attempts if undone else None,
        limit=span(step.timeout) if called else _limit(step.approval),
        fails=_fails(step),
    )


def waits_text(timer: Timer | None, approval: Approval | None) -> str:
    """Say for what a step waits; nothing of one that is called."""
    if approval is not None:
        return asked_text(approval.by, approval.people)
    if timer is None:
        return ""
    if timer.seconds is not None:
        return f"waits {span(timer.seconds)}"
    if timer.at is not None:
        return f"waits until {moment(timer.at):%Y-%m-%d %H:%M %Z}"
    return f"waits until {timer.path} of the data"


def _limit(approval: Approval | None) -> str:
    if approval is None or approval.deadline is None:
        return ""
    return f"{span(approval.deadline)}, then {_OTHERWISE[approval.otherwise]}"


def _fails(step: SagaStep) -> str:
    if step.timer is not None:
        return ""
    if step.hold:
        return "waits for a person"
    return "goes on trying" if step.retriable else "rolls back"


def as_steps(definition: SagaDefinition) -> list[dict[str, Any]]:
    """Describe a definition's steps as a snapshot would those of a saga that has not begun."""
    blank = {
        "outline": True,
        "status": "pending",
        "attention": None,
        "standing": False,
        "dispatched_at": None,
        "attempt": 0,
    }
    return [
        {
            **blank,
            "name": step.name,
            "position": place,
            "action": step.action,
            "compensation": step.compensation,
            "child_type": step.child.saga_type if step.child else None,
            "cannot_undo": step.compensation == CANNOT_UNDO,
            "pivot": step.pivot,
            "retriable": step.retriable,
            "hold": step.hold,
            "needs": list(definition.needs(step.name)),
            "event": None,
            "function": definition.growing,
        }
        for place, step in enumerate(definition.steps)
    ]
