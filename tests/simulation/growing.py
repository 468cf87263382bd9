"""A world whose saga is a durable function: a small script, run by the real replay, at the mercy of every fault."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sagas.core import messages as m
from sagas.core.definition import FUNCTION, Retry, SagaDefinition, SagaStep
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention
from sagas.engine.work import Meta
from sagas.registry import Rejected
from sagas.replay import Record, run

from .operator import Operator
from .participants import Participant, Request
from .stored import events_as_stored
from .world import SAGA, World

NAME = "function trip"


class Do(NamedTuple):
    """A step; if it is rejected, and there is another way, that is gone."""

    name: str
    undo: str | None = "undo"
    hold: bool = False
    otherwise: "Script | None" = None
    pivot: bool = False
    retriable: bool = False


class Both(NamedTuple):
    """Branches that run in parallel."""

    branches: "tuple[Script, ...]"


class Wait(NamedTuple):
    """A timer, or an approval."""

    name: str
    asks: bool = False


class GiveUp(NamedTuple):
    """The function raises a rejection of its own."""


Script = tuple[Do | Both | Wait | GiveUp, ...]


def function(script: Script, retry: Retry) -> Callable[[Any, Any], Any]:
    """Return the function that does what a script says."""

    def play(saga: Any, part: Script) -> Any:
        for each in part:
            match each:
                case Do(otherwise=None):
                    _do(saga, each, retry)
                case Do(otherwise=another):
                    try:
                        _do(saga, each, retry)
                    except Rejected:
                        play(saga, another or ())
                case Both(branches=branches):
                    saga.parallel(*(lambda branch=branch: play(saga, branch) for branch in branches))
                case Wait(name=name, asks=False):
                    saga.wait(name, 600)
                case Wait(name=name):
                    saga.approval(name, by="group:x")
                case GiveUp():
                    raise Rejected("enough")
        return len(part)

    return lambda saga, data: play(saga, script)


def _do(saga: Any, step: Do, retry: Retry) -> None:
    saga.step(
        step.name,
        f"{step.name}.do",
        undo=step.undo,
        hold=step.hold,
        retry=retry,
        undo_retry=retry,
        pivot=step.pivot,
        retriable=step.retriable,
    )


class Crew(dict[str, Participant]):
    """Participants that come as they are asked for; all of the same name, but for its number, are of one mind."""

    def __init__(self, mind: Callable[[str], Participant]) -> None:
        super().__init__()
        self._mind = mind

    def __missing__(self, name: str) -> Participant:
        self[name] = self._mind(name.partition("-")[0])
        return self[name]


class GrowingOperator(Operator):
    """Somebody who knows that a function cannot be skipped, and may always be run again."""

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

    def claim(self, number: int) -> Request:
        """Lease what is due; of a run, remember where the saga stood."""
        request = super().claim(number)
        self.seen[request.token] = self.definition, self.progress
        return request

    def execute(self, request: Request) -> None:
        """Let a request arrive; a run is made of what its worker saw."""
        if request.step != FUNCTION or FUNCTION in self.vanished:
            super().execute(request)
            return
        self.called.add(request.token)
        definition, progress = self.seen[request.token]
        meta = Meta(request.number, request.key, None, 1, self.clock, SAGA, SAGA, FUNCTION, "do")
        self.replies.append((request.token, run(self.function, Record(NAME, meta, definition, progress))))

    def remember(self) -> None:
        """Demand that the events say where the saga stands, and which steps it has."""
        told = fold(Progress.blank(self._first), events_as_stored(self.log))
        assert told == self.progress, "folding the events does not give the rows"
        grown = [step.grown for step in told.steps.values() if step.grown]
        assert self._first.grown(grown) == self.definition, "the rows do not give the definition"


def growing_world(script: Script, mind: Callable[[str], Participant], retry: Retry) -> GrowingWorld:
    """Return a world in which the function that does what a script says has not begun yet."""
    pinned = SagaDefinition("trip", (SagaStep(FUNCTION, NAME, retry=retry),), growing=True)
    return GrowingWorld(pinned, Crew(mind), function=function(script, retry))


def runs(replies: Sequence[tuple[int | None, m.Reply]]) -> list[m.Ran]:
    """Return what runs have said."""
    return [reply for _, reply in replies if isinstance(reply, m.Ran)]
