"""Draws cases, and what happens to them, from a seed: the same number of the same seed is the same saga."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from sagas.core.built_in import approval, child, timer
from sagas.core.definition import CANNOT_UNDO, Retry, SagaDefinition, SagaStep
from sagas.core.waits import ANSWERS

from . import scripts
from .case import Case, Mind
from .choreography import flows
from .faults import BAD_CLICKS, CLICKS, ORDINARY, Fault
from .growing import pinned
from .participants import Answer
from .play import Suffering
from .scripts import SPANS
from .world import World

UNDO = "undo"
#: Enough for any number of faults.
PATIENT = Retry(max_attempts=1_000)
POLICIES = [Retry(max_attempts=attempts) for attempts in (1, 2, 3)]
#: A saga suffers at least so many faults.
LEAST = 10
MOST = 20
#: Every so many sagas of a seed are a choreography; of so many one, at that place, is a durable function.
CHOREOGRAPHED = 4
GROWING, PLACE = 8, 1

#: How often each is drawn. Most find nothing that they could hit, most of the time; clocks and clicks always do.
WORKING = {
    Fault.FINISH: 8,
    Fault.WORK: 4,
    Fault.CLAIM: 22,
    Fault.EXECUTE: 14,
    Fault.DELIVER: 8,
    Fault.GO_ON: 8,
}
BROKEN = {
    **dict.fromkeys((Fault.DROP, Fault.LOSE, Fault.TIMEOUT, Fault.REPORT), 6),
    **dict.fromkeys((Fault.EXECUTE_AGAIN, Fault.DELIVER_AGAIN), 6),
    **dict.fromkeys((Fault.CRASH_BEFORE_COMMIT, Fault.CRASH_AFTER_COMMIT), 6),
    **dict.fromkeys((Fault.EXECUTE_LAST, Fault.DELIVER_LAST), 12),
    Fault.LEASE_LOST: 8,
    **dict.fromkeys((Fault.ECHO, Fault.JUMP_FORWARD, Fault.JUMP_BACK), 2),
    Fault.RESTART: 1,
}
PEOPLE = {
    **dict.fromkeys((*CLICKS, *BAD_CLICKS), 2),
    **dict.fromkeys((Fault.RETRY, Fault.RESUME, Fault.RESOLVE, Fault.APPROVE), 5),
    **dict.fromkeys((Fault.UNSERVED, Fault.MISCONFIGURED, Fault.GARBLE, Fault.RETURN), 6),
    Fault.COMPENSATE: 1,
    Fault.VANISH: 2,
    Fault.REMAP: 2,
}

#: How many commands can be asked about.
PROBED = 0.4

#: What an operator may do to a saga that is recorded, and has dispatched nothing.
EARLY = (
    Fault.PAUSE,
    Fault.PAUSE,
    Fault.RESUME,
    Fault.RESUME,
    Fault.EDIT,
    Fault.SKIP,
    Fault.COMPENSATE,
    Fault.REMAP,
)


def _moves(*weights: Mapping[Fault, int]) -> tuple[Fault, ...]:
    return tuple(fault for some in weights for fault, weight in some.items() for _ in range(weight))


@dataclass(frozen=True)
class Kind:
    """A kind of world: what its participants are like, and what happens in it."""

    moves: Sequence[Fault]
    compensations: tuple[str | None, ...] = (UNDO, UNDO, UNDO, None, CANNOT_UNDO)
    inboxes: tuple[bool, ...] = (True,)
    holds: float = 0.2
    sure: bool = False
    early: bool = True
    """It may be recorded before it is started."""


#: Only deliveries are faulty: the end is what it would be without.
SURE = Kind(_moves(WORKING, BROKEN), (UNDO, UNDO, None), holds=0, sure=True)
ANYTHING = Kind(_moves(WORKING, BROKEN, PEOPLE))
BARE = Kind(_moves(WORKING, BROKEN, PEOPLE), inboxes=(True, False))
HASTY = Kind(
    _moves(WORKING, BROKEN, PEOPLE, {Fault.DENY: 40, Fault.LEASE_LOST: 40}), inboxes=(True, False), holds=0.6
)
KINDS = (SURE, SURE, SURE, ANYTHING, ANYTHING, ANYTHING, BARE, BARE, HASTY, HASTY)


def draw(seed: int, number: int) -> tuple[Case, Suffering]:
    """Draw a seed's n-th saga, and what will happen to it."""
    chance = Random(f"{seed}/{number}")
    kind = chance.choice(KINDS)
    if number % CHOREOGRAPHED == 0:
        return _choreography(chance, kind), _suffering(chance, _on_the_bus(kind))
    if number % GROWING == PLACE:
        return _function(chance, kind), _suffering(chance, _growing(kind))
    definition = _definition(chance, kind)
    minds = {name: _mind(chance, kind) for name in definition.names}
    minds |= {step.name: _child_mind(chance) for step in definition.steps if step.child is not None}
    delayed = chance.random() < 0.15
    return Case(definition, minds, delayed=delayed, sure=kind.sure), _suffering(chance, kind)


def _on_the_bus(kind: Kind) -> Kind:
    """Return what happens to choreographies; an event from outside may well change how one ends."""
    more = {Fault.TAKE_IN: 4, Fault.PUBLISH_AGAIN: 6, **({} if kind.sure else {Fault.PUBLISH: 2})}
    return replace(kind, moves=(*kind.moves, *_moves(more)), early=False)


def _choreography(chance: Random, kind: Kind) -> Case:
    definition = flows.flow(chance, [PATIENT] if kind.sure else POLICIES, sure=kind.sure)
    assert definition.flow is not None
    minds: dict[str, Mind] = {}
    for part in definition.flow.parts:
        mind = _mind(chance, kind)
        if part.compensates:  # the two are one service
            mind = replace(mind, inbox=minds[part.compensates].inbox)
        if kind.sure and not part.publishes:  # nobody waits for what it takes on for later
            mind = replace(mind, do=tuple(answer for answer in mind.do if answer is not Answer.LATER))
        tells = [event for event in (*part.publishes, *part.may_publish) if chance.random() < 0.7]
        minds[part.step] = replace(mind, tells=tuple(tells))
    return Case(definition, minds, sure=kind.sure)


def _growing(kind: Kind) -> Kind:
    """Return what happens to functions: more is done, or most would have ended before they have asked for anything."""
    return replace(kind, moves=(*kind.moves, *_moves({Fault.WORK: 40})))


def _function(chance: Random, kind: Kind) -> Case:
    retry = PATIENT if kind.sure else chance.choice(POLICIES)
    minds = {name: _mind(chance, kind) for name in scripts.NAMES} | {scripts.KID: _child_mind(chance)}
    script = scripts.script(chance, kind.compensations, kind.holds, sure=kind.sure)
    definition = pinned(retry, _deadline(chance, kind))
    return Case(definition, minds, delayed=chance.random() < 0.15, sure=kind.sure, script=script)


def _deadline(chance: Random, kind: Kind) -> float | None:
    """Draw a saga's deadline; most have none."""
    return chance.choice((60.0, 900.0)) if not kind.sure and chance.random() < 0.15 else None


def _definition(chance: Random, kind: Kind) -> SagaDefinition:
    """Draw a chain, or a graph; behind a pivot, if there is one, all are retriable."""
    names = "abcdef"[: chance.choice((1, 2, 3, 3, 4, 4, 5, 5, 6))]
    pivot = chance.randrange(len(names)) if chance.random() < 0.3 else None
    chain = chance.random() < 0.3
    steps = []
    for position, name in enumerate(names):
        retry, undo_retry, probe_retry = [PATIENT] * 3 if kind.sure else chance.choices(POLICIES, k=3)
        compensation = chance.choice(kind.compensations)
        steps.append(
            SagaStep(
                name,
                f"{name}.do",
                compensation,
                None if chain else _needs(chance, names[:position], position, pivot),
                pivot=position == pivot,
                retriable=pivot is not None and position > pivot,
                hold=chance.random() < kind.holds,
                retry=retry,
                undo_retry=undo_retry,
                probe=f"{name}.ask" if chance.random() < PROBED else None,
                undo_probe=f"{name}.ask-undo" if compensation == UNDO and chance.random() < PROBED else None,
                probe_retry=probe_retry,
                deadline=chance.choice(SPANS) if not kind.sure and chance.random() < 0.2 else None,
            )
        )
    steps = [_waiting(chance, step) if chance.random() < 0.25 else step for step in steps]
    return SagaDefinition("trip", tuple(steps), _deadline(chance, kind))


def _waiting(chance: Random, step: SagaStep) -> SagaStep:
    """Draw a step that waits for people, for a time, or for another saga, at the same place."""
    same = {"needs": step.needs, "pivot": step.pivot, "retriable": step.retriable, "hold": step.hold}
    if chance.random() < 0.3:
        policies = {"retry": step.retry, "undo_retry": step.undo_retry}
        undo = {} if step.compensation == UNDO else {"compensation": step.compensation}
        return child(step.name, "Child", deadline=chance.choice((None, None, 60)), **same, **policies, **undo)
    if chance.random() < 0.4:
        return timer(step.name, wait=chance.choice((0, 30, 600)), **same)
    people, deadline = chance.choice((1, 2, 2)), chance.choice((None, 60, 600))
    otherwise = chance.choice(ANSWERS) if deadline else None
    return approval(step.name, by="group:x", people=people, deadline=deadline, otherwise=otherwise, **same)


def _needs(chance: Random, earlier: str, position: int, pivot: int | None) -> tuple[str, ...] | None:
    if position == pivot:
        return tuple(earlier)
    behind = pivot is not None and position > pivot
    choice = earlier[pivot:] if behind else earlier
    return tuple(chance.sample(choice, min(len(choice), chance.randint(behind, 2))))


def _mind(chance: Random, kind: Kind) -> Mind:
    trouble = (Answer.ERROR, Answer.BREAK, Answer.BUSY, Answer.LATER) if kind.sure else tuple(Answer)
    ends = (Answer.OK, Answer.OK, Answer.REJECT) if kind.sure else (Answer.OK, Answer.OK, *Answer)
    undo_ends = (Answer.OK,) if kind.sure else (Answer.OK, Answer.OK, *Answer)
    undo_trouble = (*trouble, Answer.REJECT)
    return Mind(
        chance.choice(kind.inboxes),
        _plan(chance, trouble, ends),
        _plan(chance, undo_trouble, undo_ends),
        _plan(chance, (Answer.ERROR, Answer.BUSY), (Answer.OK,) if kind.sure else (Answer.OK, Answer.ERROR)),
    )


def _child_mind(chance: Random) -> Mind:
    """Draw what another saga comes to: it is told to begin, or to end, and does so when it can."""
    trouble = (Answer.ERROR, Answer.BREAK, Answer.LATER)
    do = (
        *chance.choices(trouble, k=chance.randint(0, 1)),
        chance.choice((Answer.LATER, Answer.LATER, Answer.REJECT)),
    )
    return Mind(True, do, (chance.choice((Answer.LATER, Answer.OK)),))


def _plan(chance: Random, trouble: Sequence[Answer], ends: Sequence[Answer]) -> tuple[Answer, ...]:
    """Draw nothing but yes, or some trouble, and then the same for ever."""
    if chance.random() < 0.4:
        return (Answer.OK,)
    return (*chance.choices(trouble, k=chance.randint(0, 2)), chance.choice(ends))


def _suffering(chance: Random, kind: Kind) -> Suffering:
    def suffer(world: World, happen: Callable[[Fault, int], bool]) -> None:
        random, moves = chance.random, kind.moves
        count, wanted = 0, chance.randint(LEAST, MOST)
        if random() < 0.05:
            count += happen(Fault.CRASH_AT_START, 0)
        if kind.early and not kind.sure and random() < 0.05:
            for fault in chance.choices(EARLY, k=3):
                count += happen(fault, chance.randrange(6))
        happen(Fault.START, 0)
        while count < wanted:
            fault = moves[int(random() * len(moves))]
            if happen(fault, int(random() * 60)):
                count += fault not in ORDINARY

    return suffer
