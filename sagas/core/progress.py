"""Where a saga stands: the value that events fold into, and that the rows repeat."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sagas.core.definition import SagaDefinition
from sagas.core.words import FORWARD, URGENCY, Attention, Direction, Outcome, SagaState, StepStatus, Waiting


def late_in(former: Mapping[str, Mapping[str, Any]] | None) -> int | None:
    """Return the generation of the first action that had its effect after all, and that nobody has settled."""
    return next((each["generation"] for each in (former or {}).values() if each.get("late")), None)


# Named tuples: a saga is evolved several times for each reply, and copying them costs a third of a dataclass.
class StepProgress(NamedTuple):
    """Where one step stands, and what is known of its two commands."""

    name: str
    status: StepStatus = StepStatus.PENDING
    attention: Attention | None = None
    open: Direction | None = None
    """Which command a definite reply would answer."""
    scheduled: bool = False
    """Whether due work exists for the open command."""
    action_number: int | None = None
    undo_number: int | None = None
    generation: int = 0
    undo_generation: int = 0
    attempt: int = 0
    """The open command's current attempt, counted from 1."""
    budget: int = 0
    """The attempt after which retries are spent."""
    due_at: datetime | None = None
    outcome: Outcome | None = None
    """Of the last attempt, of whichever command."""
    action_outcome: Outcome | None = None
    """What is known of the action, once its command is closed."""
    unresolved: bool = False
    """An attempt of the open command may have had its effect."""
    inbox: bool = True
    """Whether the participant remembers keys, as far as its replies told."""
    probe: int = 0
    """How often its participant was asked what became of the last attempt."""
    result: Any = None
    error: str | None = None
    input: Mapping[str, Any] | None = None
    """The data that the open command was sent with, where an edit has changed it since."""
    standing: bool = False
    """A rollback passed it by: what it did stays."""
    waiting: Waiting | None = None
    """For what the open command waits; nobody works on it meanwhile."""
    waiting_since: datetime | None = None
    approver: str | None = None
    """Who may answer: ``group:name`` or ``perm:app.codename``."""
    asked: Mapping[str, Any] | None = None
    """What that person sees, how many have to approve, and who has."""
    event: Mapping[str, Any] | None = None
    """In a choreography: the event that is delivered, as ``{name, number, data}``; None: it is not published yet."""
    grown: Mapping[str, Any] | None = None
    """Of a step that a function asked for: ``{"step": its document, "place": …}``; None: it was pinned at the start."""
    former: Mapping[str, Mapping[str, Any]] | None = None
    """Actions that were closed as without effect, by number: ``{generation}``, and ``late`` of one that had it.

    Those before the latest, to know them when they speak; and the latest once it is late. What is settled is gone.
    """
    dispatched_at: datetime | None = None
    executed_at: datetime | None = None
    compensated_at: datetime | None = None
    refused_at: datetime | None = None
    """Of a step that a function asked for: when its rejection, or that it is skipped, was there to be heard of."""

    @property
    def number(self) -> int | None:
        """The open command's number."""
        if self.open is None:
            return None
        return self.action_number if self.open is Direction.DO else self.undo_number

    def number_of(self, direction: Direction) -> int | None:
        """Return the number of the latest command in that direction."""
        return self.action_number if direction is Direction.DO else self.undo_number

    @property
    def unknown(self) -> bool:
        """Whether the action may have had its effect, and no attempt is due that would tell."""
        return self.status is StepStatus.EXECUTING and self.unresolved and not self.scheduled

    @property
    def asking(self) -> bool:
        """Whether asking what became of the last attempt is what is due; not while that is promised."""
        return self.probe > 0 and self.waiting is None

    @property
    def expecting(self) -> bool:
        """Whether it is delivered, and what it is expected to lead to is not published yet."""
        return self.status is StepStatus.EXECUTING and self.outcome is Outcome.COMPLETED

    @property
    def promised(self) -> bool:
        """Whether its subscriber has taken the event on, and may still answer what became of it."""
        return self.expecting and self.unresolved

    @property
    def resting(self) -> bool:
        """Whether it is a function that waits for verdicts: it runs again when there is one."""
        return self.status is StepStatus.EXECUTING and self.open is None

    @property
    def heard_of(self) -> bool:
        """Whether there is a verdict that a function hears; not while a person may still decide otherwise."""
        return self.status is StepStatus.COMPLETED or self.refused_at is not None

    @property
    def late_effect(self) -> bool:
        """Whether the action's effect became known only after its command was closed."""
        return self.action_outcome is Outcome.COMPLETED and self.executed_at is None

    def is_late(self, generation: int) -> bool:
        """Whether that action is known to have had its effect after all, and nobody has settled it."""
        former = (self.former or {}).values()
        return any(each["generation"] == generation and each.get("late", False) for each in former)

    @property
    def late_generation(self) -> int | None:
        """Which action had its effect after all, and nobody has settled it; the first of several."""
        return late_in(self.former)


#: The numbers of what is due for the saga itself; a command's is above: the sequence of its event.
DEADLINE, BEGINNING = 0, 1


class Progress(NamedTuple):
    """Where a saga stands."""

    steps: Mapping[str, StepProgress]
    state: SagaState = SagaState.STARTED
    data: Mapping[str, Any] | None = None
    paused: bool = False
    error: str | None = None
    version: int = 0
    sequence: int = 0
    begins_at: datetime | None = None
    """When it begins, as long as that is still to come."""
    deadline_at: datetime | None = None
    expired: bool = False
    """Its deadline passed before its point of no return."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None

    @classmethod
    def blank(cls, definition: SagaDefinition) -> "Progress":
        """Return the progress of a saga of which nothing is recorded yet."""
        return cls({name: StepProgress(name) for name in definition.names})

    @property
    def attention(self) -> Attention | None:
        """The most urgent of the steps' codes."""
        codes = [step.attention for step in self.steps.values() if step.attention]
        return max(codes, key=lambda code: URGENCY[code]) if codes else None

    @property
    def waiting(self) -> dict[str, Any] | None:
        """For what it waits: ``{kind, step, since, until}``; of several an approval, then what ends first."""
        waits: list[tuple[Waiting, datetime | None, str | None, datetime | None]] = [
            (step.waiting, step.due_at, step.name, step.waiting_since)
            for step in self.steps.values()
            if step.waiting
        ]
        if self.begins_at and self.state in FORWARD:
            waits.append((Waiting.TIMER, self.begins_at, None, self.created_at))
        if not waits:
            return None
        kind, until, name, since = min(
            waits, key=lambda w: (w[0] is not Waiting.APPROVAL, w[1] is None, w[1], w[2] or "")
        )
        return {"kind": kind.value, "step": name, "since": _iso(since), "until": _iso(until)}

    def action(self, number: int) -> tuple[StepProgress, int] | None:
        """Return the step whose action has that number, or had it before it was sent anew, and the generation."""
        for step in self.steps.values():
            if step.action_number == number:
                return step, step.generation
            if step.former and str(number) in step.former:
                return step, step.former[str(number)]["generation"]
        return None

    def awaiting(self, number: int) -> StepProgress | None:
        """Return the step whose open command has that number."""
        for step in self.steps.values():
            if step.open is not None and step.number == number:
                return step
        return None


_P = TypeVar("_P", StepProgress, Progress)
_PLACES = {kind: {name: n for n, name in enumerate(kind._fields)} for kind in (StepProgress, Progress)}


def moved(value: _P, changes: Mapping[str, Any]) -> _P:
    """Return it with some other values: ``_replace``, in half the time. Raises KeyError for what it does not have."""
    places, values = _PLACES[type(value)], list(value)
    for name, new in changes.items():
        values[places[name]] = new
    return tuple.__new__(type(value), values)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
