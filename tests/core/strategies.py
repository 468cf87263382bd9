"""What Hypothesis draws: definitions, worlds, and schedules of faults."""

from dataclasses import replace
from itertools import combinations, product

from hypothesis import strategies as st

from sagas.core.definition import CANNOT_UNDO, Retry, SagaDefinition, SagaStep, approval, child, timer
from sagas.core.waits import ANSWERS
from tests.simulation.faults import BAD_CLICKS, CLICKS, DELIVERY, DEPLOYMENTS, Fault
from tests.simulation.participants import Answer, Participant
from tests.simulation.world import World

Plans = st.SearchStrategy[list[Answer]]

UNDO = "undo"
TWICE = Retry(max_attempts=2)
#: Whether the action, and whether the undo, can be asked about.
PROBES = st.sampled_from([(False, False), (False, False), (True, True), (True, False), (False, True)])
#: Enough for any number of faults that a schedule holds.
PATIENT = Retry(max_attempts=1_000)
BUDGETS = st.sampled_from(
    [(Retry(max_attempts=a), Retry(max_attempts=b)) for a in (1, 2, 3) for b in (1, 2, 3)]
)


@st.composite
def definitions(
    draw: st.DrawFn,
    *,
    compensations: tuple[str | None, ...] = (UNDO, UNDO, UNDO, None, CANNOT_UNDO),
    patient: bool = False,
    holds: bool = True,
    pivots: bool = True,
) -> SagaDefinition:
    """Draw a graph of one to five steps; behind a pivot, if there is one, all are retriable."""
    names = "abcde"[: draw(st.sampled_from((4, 3, 5, 2, 1)))]
    pivot = draw(st.sampled_from([None, *range(len(names))])) if pivots else None
    steps = []
    for position, name in enumerate(names):
        hold = draw(st.sampled_from((False, False, False, holds)))
        retry, undo_retry = (PATIENT, PATIENT) if patient else draw(BUDGETS)
        after = pivot is not None and position > pivot
        compensation = draw(st.sampled_from(compensations))
        probe, undo_probe = draw(PROBES)
        steps.append(
            SagaStep(
                name,
                action=f"{name}.do",
                compensation=compensation,
                needs=draw(_needs(names[:position], position, pivot)),
                pivot=position == pivot,
                retriable=after,
                hold=hold,
                retry=retry,
                undo_retry=undo_retry,
                probe=f"{name}.ask" if probe else None,
                undo_probe=f"{name}.ask-undo" if undo_probe and compensation == UNDO else None,
                probe_retry=PATIENT if patient else TWICE,
            )
        )
    return SagaDefinition("trip", tuple(steps))


def all_held(saga: SagaDefinition) -> SagaDefinition:
    """Return the same saga, but that each step waits for a person when it fails."""
    return SagaDefinition(saga.saga_type, tuple(replace(step, hold=True) for step in saga.steps))


def _needs(earlier: str, position: int, pivot: int | None) -> st.SearchStrategy[tuple[str, ...] | None]:
    if not earlier:
        return st.none()
    if position == pivot:
        return st.just(tuple(earlier))
    behind = pivot is not None and position > pivot
    choice = earlier[pivot:] if behind else earlier
    every = [tuple(some) for size in range(behind, 3) for some in combinations(choice, size)]
    return st.sampled_from([None, *every])


def plans(*ends: Answer, between: tuple[Answer, ...] = (Answer.ERROR, Answer.BREAK)) -> Plans:
    """Draw what a participant answers: nothing but yes, or some trouble, and then the same for ever."""
    some = [[*trouble, end] for size in range(3) for trouble in product(between, repeat=size) for end in ends]
    return st.sampled_from([[Answer.OK]] * (len(some) // 2) + some)


ANY_DO = plans(*Answer, between=tuple(Answer))
ANY_UNDO = ANY_DO
#: It tells, if need be when it is asked again.
ANY_PROBE = st.sampled_from([[Answer.OK], [Answer.ERROR, Answer.OK], [Answer.BUSY, Answer.OK]])
#: Trouble, but the same answer whenever one is given.
SURE_DO = plans(Answer.OK, Answer.REJECT)
SURE_UNDO = plans(Answer.OK, between=(Answer.ERROR, Answer.BREAK, Answer.REJECT))


@st.composite
def waiting(draw: st.DrawFn, graphs: st.SearchStrategy[SagaDefinition]) -> SagaDefinition:
    """Draw a graph some of whose steps wait for a moment, for people, or for another saga."""
    graph = draw(graphs)
    steps = tuple(draw(_waits(step)) for step in graph.steps)
    return replace(graph, steps=steps)


def _waits(step: SagaStep) -> st.SearchStrategy[SagaStep]:
    same = {"needs": step.needs, "pivot": step.pivot, "retriable": step.retriable, "hold": step.hold}
    timers = [timer(step.name, wait=span, **same) for span in (0, 600)]
    ends = [(None, None), *((60, otherwise) for otherwise in ANSWERS)]
    approvals = [
        approval(step.name, by="group:x", people=people, deadline=deadline, otherwise=otherwise, **same)
        for people in (1, 2)
        for deadline, otherwise in ends
    ]
    own = {"retry": step.retry, "undo_retry": step.undo_retry}
    own |= {} if step.compensation == UNDO else {"compensation": step.compensation}
    children = [child(step.name, "Child", deadline=end, **same, **own) for end in (None, 60)]
    return st.one_of(
        st.just(step), st.sampled_from(timers), st.sampled_from(approvals), st.sampled_from(children)
    )


@st.composite
def worlds(
    draw: st.DrawFn,
    graphs: st.SearchStrategy[SagaDefinition] | None = None,
    *,
    inboxes: st.SearchStrategy[bool] | None = None,
    do: Plans = ANY_DO,
    undo: Plans = ANY_UNDO,
) -> World:
    """Draw a saga that has just started, and its participants."""
    definition = draw(definitions() if graphs is None else graphs)
    inbox = st.booleans() if inboxes is None else inboxes
    participants = {
        step.name: Participant(step.child is not None or draw(inbox), draw(do), draw(undo), draw(ANY_PROBE))
        for step in definition.steps
    }
    return World(definition, participants).start()


def schedules(*faults: Fault, work: int = 6) -> st.SearchStrategy[list[tuple[Fault, int]]]:
    """Draw what happens, work most of all. One byte each: a list of tuples takes ten times as long to draw."""
    table = [(fault, which) for fault in ((Fault.WORK,) * work + faults) for which in range(5)]
    assert len(table) <= 256
    return st.binary(min_size=16, max_size=64).map(lambda drawn: [table[byte % len(table)] for byte in drawn])


#: The network and the workers at their worst; nobody clicks.
DELIVERIES = schedules(*DELIVERY)
#: And missing handlers, and an operator who clicks anything at any time, and tells the truth.
ANYTHING = schedules(*DELIVERY, *DEPLOYMENTS, *CLICKS, *BAD_CLICKS)
#: And an operator who says "it had no effect" without looking.
HASTE = schedules(*DELIVERY, *CLICKS, *(Fault.DENY,) * 3, work=3)
