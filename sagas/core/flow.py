"""What a choreography declares: which events begin, turn and end it, and which steps react to them.

There is no plan of who does what after whom, as an orchestration has: a step is one subscriber's reaction to one
event, and what it publishes is another event. Plain values only, pinned with the definition.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Final

from sagas.core.waits import LONGEST

#: The step that waits for an ending event; every choreography that declares one has it.
END: Final = "end"


def delivery(event: str, subscriber: str) -> str:
    """Return the name of the command that delivers an event to a subscriber."""
    return f"{subscriber} on {event}"


@dataclass(frozen=True)
class Part:
    """One subscriber's part in a choreography: the step of that name."""

    step: str
    on: str
    """The event that is delivered."""
    by: str
    """The subscriber. Its deliveries are made one by one, in the order of the events."""
    publishes: tuple[str, ...] = ()
    """At least one of these events is expected, in time."""
    may_publish: tuple[str, ...] = ()
    """Events that nobody waits for."""
    within: float = 300.0
    """Seconds, from its delivery, in which one of ``publishes`` is expected."""
    compensates: str | None = None
    """The step whose effect it undoes."""


@dataclass(frozen=True)
class Flow:
    """The events of a choreography, and who reacts to them."""

    first: str
    parts: tuple[Part, ...]
    completed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    turning: tuple[str, ...] = ()
    """Events after which it is on the way back."""
    compensation: str | None = None
    """The event with which an operator begins the way back."""
    within: float = 3600.0
    """Seconds in which an ending event is expected."""

    @cached_property
    def endings(self) -> tuple[str, ...]:
        """The events that end it; none: it is completed once everything is delivered."""
        return (*self.completed, *self.failed)

    @cached_property
    def turns(self) -> frozenset[str]:
        """The events after which it is on the way back, the operator's among them."""
        return frozenset(self.turning) | ({self.compensation} if self.compensation else set())

    @cached_property
    def _by_step(self) -> Mapping[str, Part]:
        return {part.step: part for part in self.parts}

    def part(self, step: str) -> Part | None:
        """Return a step's part; None for the end, which is nobody's."""
        return self._by_step.get(step)

    def reacting(self, event: str) -> tuple[str, ...]:
        """Return the steps to which an event is delivered."""
        return tuple(part.step for part in self.parts if part.on == event)

    def compensating(self, step: str) -> tuple[str, ...]:
        """Return the steps that undo this one's effect."""
        return tuple(part.step for part in self.parts if part.compensates == step)

    def document(self) -> dict[str, Any]:
        """Return it as plain data, defaults left out."""
        return {**_told(self), "parts": [_told(part) for part in self.parts]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Flow":
        """Read back what :meth:`document` wrote."""
        parts = tuple(Part(**_tuples(part)) for part in document["parts"])
        return cls(**{**_tuples(document), "parts": parts})


def _told(value: Flow | Part) -> dict[str, Any]:
    defaults = {f.name: f.default for f in fields(value)}
    told = {k: v for k, v in asdict(value).items() if v != defaults[k]}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in told.items()}


def _tuples(document: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}


def problems(flow: Flow) -> Iterator[str]:
    """Yield what is wrong with a flow by itself, a sentence each."""
    heard = {part.on for part in flow.parts}
    known = heard | set(flow.endings)
    if flow.first not in heard:
        yield f"nobody reacts to {flow.first}, its first event."
    if set(flow.completed) & set(flow.failed):
        both = ", ".join(sorted(set(flow.completed) & set(flow.failed)))
        yield f"an event cannot end it both ways: {both}."
    if flow.first in flow.endings:
        yield f"{flow.first} cannot be its first event and end it."
    if flow.turns and not flow.failed:
        yield "it can turn back, and no event ends it as failed."
    for event in sorted(flow.turns - known):
        yield f"nobody reacts to {event}, which turns it back."
    for part in flow.parts:
        yield from _part_problems(flow, part, known)
    if len({(part.on, part.by) for part in flow.parts}) < len(flow.parts):
        yield "an event is delivered to one subscriber twice; a subscriber has one reaction to an event."
    if not 0 < flow.within <= LONGEST:
        yield f"within must be more than 0 seconds, up to a hundred years, not {flow.within!r}."


def _part_problems(flow: Flow, part: Part, known: set[str]) -> Iterator[str]:
    if not part.on or not part.by:
        yield f"reaction {part.step} needs the event that it is on, and the subscriber by whom."
    for event in (*part.publishes, *part.may_publish):
        if event not in known:
            yield f"{part.step} publishes {event}, which ends nothing, and nobody reacts to it."
    if not 0 < part.within <= LONGEST:
        yield f"reaction {part.step}: within must be more than 0 seconds, up to a hundred years, not {part.within!r}."
    if part.compensates is not None and flow.part(part.compensates) is None:
        yield f"{part.step} compensates {part.compensates}, which is not a reaction of this choreography."
