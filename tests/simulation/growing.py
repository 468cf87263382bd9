"""A world whose saga is a durable function: a script, run by the real replay, at the mercy of every fault."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagas import registry
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.definition import FUNCTION, Retry, SagaDefinition, SagaStep
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention
from sagas.replay import Record, run

from .books import demand
from .faults import Fault
from .operator import Click, Operator
from .participants import Participant, Request, Witness
from .scripts import NAMES
from .world import SAGA, World

NAME = "function trip"
#: What may be called by another name, and that name. Its handler says that it was called so before: who asks for the
#: one, and has the other in the record, asks for the same.
FORMER = {name: f"{name} (new)" for name in (*(f"{each}.do" for each in NAMES), "undo")}


class Envelope(NamedTuple):
    """What a run is told of its command."""

    number: int
    saga_id: str = SAGA
    correlation_id: str = SAGA


class Crew(dict[str, Participant]):
    """Participants that come as they are asked for; all of the same name, but for its number, are of one mind."""

    def __init__(self, mind: Callable[[str], Participant]) -> None:
        super().__init__()
        self._mind = mind
        self.witness: Witness | None = None

    def __missing__(self, name: str) -> Participant:
        self[name] = self._mind(name.partition("-")[0])
        self[name].witness = self.witness
        return self[name]


class GrowingOperator(Operator):
    """Somebody who knows that a function cannot be skipped, and may always be run again."""

    world: "GrowingWorld"

    def verb(self, fault: Fault, step: str) -> m.Verb | None:
        """Return what a click on that button asks for; what is no participant's command has no other name."""
        verb = super().verb(fault, step)
        return None if isinstance(verb, m.Remap) and not FORMER.keys() & _pairs(verb.names).keys() else verb

    def press(self, click: Click) -> bool:
        """Let a click arrive. Before commands are called otherwise, the code that calls them so is deployed."""
        if isinstance(click.verb, m.Remap):
            self.world.deploy(click.verb.names)
        return super().press(click)

    def cure(self, step: StepProgress) -> m.Verb:
        """Return what helps a step that asks for a person."""
        if step.name == FUNCTION and step.attention is Attention.HELD:
            return m.Retry(FUNCTION)
        return super().cure(step)


@dataclass(eq=False)
class GrowingWorld(World):
    """One saga of a function, and all that it touches."""

    function: Callable[[Any, Any], Any] = field(kw_only=True)
    names: dict[str, str] = field(kw_only=True)
    """What the function calls its commands by now, by what it called them at first."""
    seen: dict[int, tuple[SagaDefinition, Progress]] = field(default_factory=dict, repr=False)
    """What a worker saw of the saga when it claimed a run, by its lease."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.operator = GrowingOperator(self)

    def show(self, witness: Witness) -> None:
        """Have each change of effects seen, of those that are still to come as well."""
        super().show(witness)
        assert isinstance(self.participants, Crew)
        self.participants.witness = witness

    def deploy(self, names: Mapping[str, str]) -> None:
        """Let the function, from its next run on, call commands by other names."""
        self.names.update(_pairs(names))

    def tell(self, message: m.Message) -> tuple[e.Event, ...]:
        """Have a message decided; whatever is called otherwise then is so in the whole record."""
        events = super().tell(message)
        if isinstance(message, m.Remap):
            for step in self.progress.steps.values():
                recorded, pinned = step.grown and step.grown["step"], self.definition.step(step.name)
                same = not recorded or (recorded["action"], recorded.get("compensation")) == (
                    pinned.action,
                    pinned.compensation,
                )
                left = {pinned.action, pinned.compensation} & message.names.keys()
                demand(same and not left, "a new name is that of all that is recorded", step)
        return events

    def claim(self, number: int) -> Request:
        """Lease what is due; of a run, remember where the saga stood."""
        request = super().claim(number)
        self.seen[request.token] = self.definition, self.progress
        return request

    def execute(self, request: Request) -> None:
        """Let a request arrive; a run is made of what its worker saw."""
        if request.step != FUNCTION or FUNCTION in self.vanished:
            asked = None if request.wakes else self.definition.step(request.step)
            if asked and asked.child:
                self.participants[request.step].within = asked.deadline
            super().execute(request)
            return
        self.called.add(request.token)
        definition, progress = self.seen[request.token]
        record = Record(NAME, Envelope(request.number), definition, progress)
        with _handlers_say_their_former_names():
            reply = run(self.function, record)
        demand(not isinstance(reply, m.Unserved), "a function is true to its record, by any name", reply)
        self.replies.append((request.token, reply))


def _pairs(names: Mapping[str, str]) -> dict[str, str]:
    """Return what commands are called at first, each with what it is called then."""
    return {old.removesuffix(" (new)"): new for old, new in names.items()}


@contextmanager
def _handlers_say_their_former_names() -> Iterator[None]:
    registry._formerly.update(FORMER)
    try:
        yield
    finally:
        for name in FORMER:
            del registry._formerly[name]


def pinned(retry: Retry, deadline: float | None = None) -> SagaDefinition:
    """Return what is known of a function's saga before it is run."""
    return SagaDefinition("trip", (SagaStep(FUNCTION, NAME, retry=retry),), deadline, growing=True)
