"""What happened to a saga: the events that are kept, in order, for ever.

Every event carries the version of the transition that decided it; one transition may
decide several. Folding a saga's events with :func:`sagas.core.machine.evolve` gives its rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, get_args

from pydantic import TypeAdapter

from sagas.core.words import Attention, Outcome, Waiting


@dataclass(frozen=True, kw_only=True)
class _Event:
    at: datetime
    version: int


@dataclass(frozen=True, kw_only=True)
class _StepEvent(_Event):
    step: str


@dataclass(frozen=True, kw_only=True)
class SagaStarted(_Event):
    """The saga is recorded; it begins at once, or at a moment to come."""

    data: Mapping[str, Any]
    begins_at: datetime | None = None
    deadline_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SagaBegan(_Event):
    """The moment came at which it was to begin."""

    deadline_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class SagaExpired(_Event):
    """Its deadline passed, and its point of no return was not: it goes no further."""


@dataclass(frozen=True, kw_only=True)
class SagaCompensating(_Event):
    """The saga turned back."""

    error: str
    step: str | None = None


@dataclass(frozen=True, kw_only=True)
class SagaCompleted(_Event):
    """Every step is completed or skipped."""


@dataclass(frozen=True, kw_only=True)
class SagaFailed(_Event):
    """Everything that had to be undone is undone or settled."""

    error: str


@dataclass(frozen=True, kw_only=True)
class SagaPaused(_Event):
    """An operator said: nothing more is claimed."""


@dataclass(frozen=True, kw_only=True)
class SagaResumed(_Event):
    """An operator said: go on."""


@dataclass(frozen=True, kw_only=True)
class DataEdited(_Event):
    """An operator replaced the data; the steps in ``keeping`` go on with the data they were sent with."""

    data: Mapping[str, Any]
    keeping: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DefinitionChanged(_Event):
    """An operator had commands called by new names; from now on the definition of another digest is pinned."""

    renamed: Mapping[str, str]
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class StepDispatched(_StepEvent):
    """The action is due; its number is this event's sequence. Recorded before any call."""

    generation: int
    budget: int
    waiting: Waiting | None = None
    """For what it waits, where no participant is called."""
    until: datetime | None = None
    approver: str | None = None
    """Who may answer, where a person is asked."""
    asked: Mapping[str, Any] | None = None
    """What that person sees."""


@dataclass(frozen=True, kw_only=True)
class ReplyAwaited(_StepEvent):
    """The participant will answer later; until then nobody holds the command."""

    until: datetime | None = None
    """None: however long it takes."""
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class ApprovalGiven(_StepEvent):
    """One of the people that are asked for has approved; others still have to."""

    person: str
    by: str
    comment: str


@dataclass(frozen=True, kw_only=True)
class StepRescheduled(_StepEvent):
    """The action is due again, under the same key."""

    attempt: int
    budget: int
    due_at: datetime
    error: str | None = None
    unresolved: bool
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class StepOutcomeUnknown(_StepEvent):
    """No further attempt is due, and whether the action had its effect is not known."""

    error: str
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class StepCompleted(_StepEvent):
    """The action had its effect."""

    result: Any = None
    by_hand: bool | None = None
    """An operator says so; None: the participant's own answer."""


@dataclass(frozen=True, kw_only=True)
class StepFailed(_StepEvent):
    """The participant, or an operator, says that the action had no effect."""

    error: str


@dataclass(frozen=True, kw_only=True)
class StepHeld(_StepEvent):
    """Nothing goes on for the action until a person decides."""

    code: Attention
    error: str


@dataclass(frozen=True, kw_only=True)
class StepWithdrawn(_StepEvent):
    """The action was due, but nobody had claimed it when the saga turned back."""


@dataclass(frozen=True, kw_only=True)
class StepSkipped(_StepEvent):
    """An operator goes on without the step."""


@dataclass(frozen=True, kw_only=True)
class UndoDispatched(_StepEvent):
    """The undo is due; its number is this event's sequence. Recorded before any call."""

    generation: int
    attempt: int
    budget: int
    due_at: datetime
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class UndoRescheduled(_StepEvent):
    """The undo is due again, under the same key."""

    attempt: int
    budget: int
    due_at: datetime
    error: str | None = None
    unresolved: bool
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class UndoHeld(_StepEvent):
    """Nothing goes on for the undo until a person decides."""

    code: Attention
    error: str
    outcome: Outcome | None = None
    """Of the last attempt, where there was one."""


@dataclass(frozen=True, kw_only=True)
class ProbeDispatched(_StepEvent):
    """The participant is to be asked what became of the open command."""

    probe: int
    """Which time it is asked since the last attempt, from 1."""
    budget: int
    due_at: datetime
    error: str | None = None
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class StepCompensated(_StepEvent):
    """The undo is done."""

    result: Any = None
    by_hand: bool | None = None
    """An operator says so: no undo need have come to the participant; None: its own answer."""


@dataclass(frozen=True, kw_only=True)
class StepLeftStanding(_StepEvent):
    """The rollback passes: what the action did, or may have done, stays."""


@dataclass(frozen=True, kw_only=True)
class LateEffectFound(_StepEvent):
    """An effect became known after its command was closed, as one without effect or by an undo that has not met it."""

    result: Any = None
    generation: int | None = None
    """Of the action that had it; None in old logs: of the latest."""


@dataclass(frozen=True, kw_only=True)
class LateEffectSettled(_StepEvent):
    """An operator took care of a late effect."""


@dataclass(frozen=True, kw_only=True)
class EventPublished(_Event):
    """Somebody published a domain event of a choreography; its number is this event's sequence."""

    event: str
    data: Mapping[str, Any]
    to: tuple[str, ...] = ()
    """The steps to which it is delivered, or which it ends."""
    by: str | None = None
    """The step whose delivery published it; None: whoever started it, an operator, or somebody outside."""


@dataclass(frozen=True, kw_only=True)
class DeliveryDispatched(_StepEvent):
    """An event is due to a subscriber; the delivery's number is this event's sequence."""

    generation: int
    budget: int


@dataclass(frozen=True, kw_only=True)
class DeliveryRescheduled(_StepEvent):
    """The event is due to the subscriber again, under the same key."""

    attempt: int
    budget: int
    due_at: datetime
    error: str | None = None
    unresolved: bool
    inbox: bool


@dataclass(frozen=True, kw_only=True)
class EventAwaited(_StepEvent):
    """All is delivered; what the step is expected to lead to has to be published by ``due_at``."""

    due_at: datetime
    result: Any = None
    promised: bool = False
    """Its subscriber has only taken the event on, and may still answer that it did not do its part."""
    inbox: bool | None = None
    """Whether its subscriber remembers keys, where this tells."""


@dataclass(frozen=True, kw_only=True)
class DeliveryDropped(_StepEvent):
    """An operator goes on without the delivery."""


@dataclass(frozen=True, kw_only=True)
class SagaGrown(_Event):
    """The saga's function asks for these steps."""

    steps: tuple[Mapping[str, Any], ...]
    """Each as ``{"step": its document, "place": where in the function it is asked for}``."""


@dataclass(frozen=True, kw_only=True)
class FunctionDispatched(_StepEvent):
    """The saga's function is due: to begin, or to hear of a verdict. Its number is this event's sequence."""

    generation: int
    budget: int


@dataclass(frozen=True, kw_only=True)
class FunctionWaits(_StepEvent):
    """The function was run as far as results are known; it is due again when there is another verdict."""


SagaEvent = (
    SagaStarted
    | SagaBegan
    | SagaExpired
    | SagaCompensating
    | SagaCompleted
    | SagaFailed
    | SagaPaused
    | SagaResumed
    | DataEdited
    | DefinitionChanged
    | EventPublished
    | SagaGrown
)
StepEvent = (
    StepDispatched
    | ReplyAwaited
    | ApprovalGiven
    | StepRescheduled
    | StepOutcomeUnknown
    | StepCompleted
    | StepFailed
    | StepHeld
    | StepWithdrawn
    | StepSkipped
    | UndoDispatched
    | UndoRescheduled
    | UndoHeld
    | ProbeDispatched
    | StepCompensated
    | StepLeftStanding
    | LateEffectFound
    | LateEffectSettled
    | DeliveryDispatched
    | DeliveryRescheduled
    | EventAwaited
    | DeliveryDropped
    | FunctionDispatched
    | FunctionWaits
)
Event = SagaEvent | StepEvent

EVENT_TYPES: dict[str, type[Event]] = {t.__name__: t for t in (*get_args(SagaEvent), *get_args(StepEvent))}
_KEPT_APART = frozenset({"at", "version", "step"})
#: Left out where they say nothing: few sagas wait, and every saga has events.
_RARE = frozenset(
    {"begins_at", "deadline_at", "waiting", "until", "approver", "asked", "generation", "by_hand"}
)
_OWN_FIELDS = {t: tuple(f.name for f in fields(t) if f.name not in _KEPT_APART) for t in EVENT_TYPES.values()}


def event_data(event: Event) -> dict[str, Any]:
    """Return what is particular to an event as plain data; step, version and time have columns of their own."""
    data = {}
    for name in _OWN_FIELDS[type(event)]:
        value = getattr(event, name)
        if value is None and name in _RARE:
            continue
        data[name] = value.isoformat() if isinstance(value, datetime) else value
    return data


@lru_cache
def _reader(name: str) -> TypeAdapter[Any]:
    return TypeAdapter(EVENT_TYPES[name])


def event_from(name: str, *, at: Any, version: int, step: str | None, data: Mapping[str, Any]) -> Event:
    """Read an event back from its row's columns, or a document. KeyError for a name that is not an event's.

    Raises ValueError for values that it cannot have.
    """
    own = {"step": step} if step is not None else {}
    event: Event = _reader(name).validate_python({**data, **own, "at": at, "version": version})
    return event
