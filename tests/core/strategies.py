"""What Hypothesis draws: definitions, worlds, and schedules of faults.

All of an example is one text of bytes, and every byte is a choice: drawn one by one, choices take ten times as long,
and of several texts Hypothesis tries at length which might be the same. The simplest option comes first, so what it
makes of smaller bytes is simpler.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, combinations, product
from typing import Any, Generic, TypeVar

import hypothesis
from hypothesis import strategies as st

from sagas.core.built_in import approval, child, timer
from sagas.core.definition import CANNOT_UNDO, Retry, SagaDefinition, SagaStep
from sagas.core.waits import ANSWERS
from tests.simulation.faults import BAD_CLICKS, CLICKS, DELIVERY, DEPLOYMENTS, Fault
from tests.simulation.participants import Answer, Participant
from tests.simulation.world import World

T = TypeVar("T")


class Lots:
    """Choices drawn before they are made; when they are used up, the first of everything is chosen."""

    def __init__(self, drawn: bytes) -> None:
        self._bytes = iter(drawn)

    def choose(self, options: Sequence[T]) -> T:
        """Choose one; the simplest comes first."""
        number = next(self._bytes, 0)
        if len(options) > 256:
            number = 256 * number + next(self._bytes, 0)
        return options[number % len(options)]


@dataclass(frozen=True)
class Part(Generic[T]):
    """A part of an example: what is made of so many choices."""

    make: Callable[[Lots], T]
    most: int


def given(*parts: Part[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Hold a test for whatever is drawn of these parts, in their order: as Hypothesis' own, with one text for all."""
    sizes = [part.most for part in parts]
    text = st.binary(min_size=sum(sizes), max_size=sum(sizes))
    ends = list(accumulate(sizes))

    def example(drawn: bytes) -> tuple[Any, ...]:
        return tuple(
            part.make(Lots(drawn[end - part.most : end])) for part, end in zip(parts, ends, strict=True)
        )

    def hold(test: Callable[..., None]) -> Callable[[], None]:
        def held(drawn: tuple[Any, ...]) -> None:
            test(*drawn)

        held.__name__, held.__qualname__, held.__module__ = test.__name__, test.__qualname__, test.__module__
        return hypothesis.given(text.map(example))(held)

    return hold


Graphs = Callable[[Lots], SagaDefinition]
Plans = Sequence[list[Answer]]

UNDO = "undo"
TWICE = Retry(max_attempts=2)
BOOLEANS = (False, True)
#: Whether the action, and whether the undo, can be asked about.
PROBES = ((False, False), (False, False), (True, True), (True, False), (False, True))
#: Enough for any number of faults that a schedule holds.
PATIENT = Retry(max_attempts=1_000)
BUDGETS = [(Retry(max_attempts=a), Retry(max_attempts=b)) for a in (1, 2, 3) for b in (1, 2, 3)]
#: As many choices as a graph, and as a world, can take.
GRAPH, WORLD = 40, 80
#: How much may happen.
LENGTHS = range(16, 65)


def graphs(
    *,
    compensations: tuple[str | None, ...] = (UNDO, UNDO, UNDO, None, CANNOT_UNDO),
    patient: bool = False,
    holds: bool = True,
    pivots: bool = True,
) -> Graphs:
    """Return what makes a graph of one to five steps; behind a pivot, if there is one, all are retriable."""

    def graph(lots: Lots) -> SagaDefinition:
        names = "abcde"[: lots.choose((4, 3, 5, 2, 1))]
        pivot = lots.choose((None, *range(len(names)))) if pivots else None
        return SagaDefinition(
            "trip", tuple(step(lots, names, position, pivot) for position in range(len(names)))
        )

    def step(lots: Lots, names: str, position: int, pivot: int | None) -> SagaStep:
        name, compensation = names[position], lots.choose(compensations)
        retry, undo_retry = (PATIENT, PATIENT) if patient else lots.choose(BUDGETS)
        probe, undo_probe = lots.choose(PROBES)
        return SagaStep(
            name,
            action=f"{name}.do",
            compensation=compensation,
            needs=_needs(lots, names[:position], position, pivot),
            pivot=position == pivot,
            retriable=pivot is not None and position > pivot,
            hold=lots.choose((False, False, False, holds)),
            retry=retry,
            undo_retry=undo_retry,
            probe=f"{name}.ask" if probe else None,
            undo_probe=f"{name}.ask-undo" if undo_probe and compensation == UNDO else None,
            probe_retry=PATIENT if patient else TWICE,
        )

    return graph


def definitions(make: Graphs | None = None) -> st.SearchStrategy[SagaDefinition]:
    """Draw a graph."""
    graph = make or graphs()
    return st.binary(min_size=GRAPH, max_size=GRAPH).map(lambda text: graph(Lots(text)))


def all_held(make: Graphs) -> Graphs:
    """Have each step wait for a person when it fails."""

    def held(lots: Lots) -> SagaDefinition:
        saga = make(lots)
        return replace(saga, steps=tuple(replace(step, hold=True) for step in saga.steps))

    return held


def _needs(lots: Lots, earlier: str, position: int, pivot: int | None) -> tuple[str, ...] | None:
    if not earlier:
        return None
    if position == pivot:
        return tuple(earlier)
    behind = pivot is not None and position > pivot
    return lots.choose(_subsets(earlier[pivot:] if behind else earlier, behind))


@cache
def _subsets(choice: str, least: int) -> list[tuple[str, ...] | None]:
    """Return how a step may need up to two others."""
    return [None, *(tuple(some) for size in range(least, 3) for some in combinations(choice, size))]


def plans(*ends: Answer, between: tuple[Answer, ...] = (Answer.ERROR, Answer.BREAK)) -> Plans:
    """Return what a participant may answer: nothing but yes, or some trouble, and then the same for ever."""
    some = [[*trouble, end] for size in range(3) for trouble in product(between, repeat=size) for end in ends]
    return [[Answer.OK]] * (len(some) // 2) + some


ANY_DO = plans(*Answer, between=tuple(Answer))
ANY_UNDO = ANY_DO
#: It tells, if need be when it is asked again.
ANY_PROBE = ([Answer.OK], [Answer.ERROR, Answer.OK], [Answer.BUSY, Answer.OK])
#: Trouble, but the same answer whenever one is given.
SURE_DO = plans(Answer.OK, Answer.REJECT)
SURE_UNDO = plans(Answer.OK, between=(Answer.ERROR, Answer.BREAK, Answer.REJECT))


def waiting(make: Graphs) -> Graphs:
    """Have some steps wait for a moment, for people, or for another saga."""

    def waits(lots: Lots) -> SagaDefinition:
        graph = make(lots)
        return replace(graph, steps=tuple(_waits(lots, step) for step in graph.steps))

    return waits


def _waits(lots: Lots, step: SagaStep) -> SagaStep:
    same = {"needs": step.needs, "pivot": step.pivot, "retriable": step.retriable, "hold": step.hold}
    match lots.choose(("step", "timer", "approval", "child")):
        case "timer":
            return timer(step.name, wait=lots.choose((0, 600)), **same)
        case "approval":
            people = lots.choose((1, 2))
            deadline, otherwise = lots.choose([(None, None), *((60, otherwise) for otherwise in ANSWERS)])
            return approval(
                step.name, by="group:x", people=people, deadline=deadline, otherwise=otherwise, **same
            )
        case "child":
            own = {"retry": step.retry, "undo_retry": step.undo_retry}
            own |= {} if step.compensation == UNDO else {"compensation": step.compensation}
            return child(step.name, "Child", deadline=lots.choose((None, 60)), **same, **own)
    return step


def worlds(
    make: Graphs | None = None,
    *,
    inboxes: Sequence[bool] = BOOLEANS,
    do: Plans = ANY_DO,
    undo: Plans = ANY_UNDO,
) -> Part[World]:
    """Draw a saga that has just started, and its participants."""
    make = make or graphs()

    def world(lots: Lots) -> World:
        definition = make(lots)
        participants = {step.name: mind(lots, step) for step in definition.steps}
        return World(definition, participants).start()

    def mind(lots: Lots, step: SagaStep) -> Participant:
        inbox = lots.choose(inboxes) or step.child is not None
        return Participant(inbox, lots.choose(do), lots.choose(undo), lots.choose(ANY_PROBE))

    return Part(world, WORLD)


def schedules(*faults: Fault, work: int = 6) -> Part[list[tuple[Fault, int]]]:
    """Draw what happens, work most of all."""
    table = [(fault, which) for fault in ((Fault.WORK,) * work + faults) for which in range(5)]
    assert len(table) <= 256

    def schedule(lots: Lots) -> list[tuple[Fault, int]]:
        return [lots.choose(table) for _ in range(lots.choose(LENGTHS))]

    return Part(schedule, 1 + LENGTHS[-1])


#: Either way.
EITHER = Part(lambda lots: lots.choose(BOOLEANS), 1)


#: The network and the workers at their worst; nobody clicks.
DELIVERIES = schedules(*DELIVERY)
#: And missing handlers, and an operator who clicks anything at any time, and tells the truth.
ANYTHING = schedules(*DELIVERY, *DEPLOYMENTS, *CLICKS, *BAD_CLICKS)
#: And an operator who says "it had no effect" without looking.
HASTE = schedules(*DELIVERY, *CLICKS, *(Fault.DENY,) * 3, work=3)
