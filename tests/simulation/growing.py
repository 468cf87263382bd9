"""A world whose saga is a durable function: a script, run by the real replay, at the mercy of every fault."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagas.core import messages as m
from sagas.core.definition import FUNCTION, Retry, SagaDefinition, SagaStep
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention
from sagas.replay import Record, run

from .faults import Fault
from .operator import Operator
from .participants import Participant, Request, Witness
from .world import SAGA, World

NAME = "function trip"


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

    def verb(self, fault: Fault, step: str) -> m.Verb | None:
        """Return what a click on that button asks for; no new names, since a script says those it was written with."""
        return None if fault is Fault.REMAP else super().verb(fault, step)

    def cure(self, step: StepProgress) -> m.Verb:
        """Return what helps a step that asks for a person."""
        if step.name == FUNCTION and step.attention is Attention.HELD:
            return m.Retry(FUNCTION)
        return super().cure(step)


@dataclass(eq=False)
class GrowingWorld(World):
    """One saga of a function, and all that it touches."""

    function: Callable[[Any, Any], Any] = field(kw_only=True)
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
        self.replies.append((request.token, run(self.function, record)))


def pinned(retry: Retry, deadline: float | None = None) -> SagaDefinition:
    """Return what is known of a function's saga before it is run."""
    return SagaDefinition("trip", (SagaStep(FUNCTION, NAME, retry=retry),), deadline, growing=True)
