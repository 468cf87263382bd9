"""Plays a case: its faults, then a world without any, and the oracle's eye on all of it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sagas.core.words import SagaState

from . import staging
from .books import Violation, demand
from .case import Case, Schedule
from .choreography import staging as choreographed
from .ending import at_rest
from .faults import ORDINARY, Fault
from .staging import Staged
from .world import Watcher, World


class Found(Exception):
    """A case that breaks a rule, with all that had happened by then."""

    def __init__(self, case: Case, rule: str, what: str) -> None:
        super().__init__(what)
        self.case = case
        self.rule = rule


@dataclass
class Played:
    """A case that held."""

    world: World
    schedule: Schedule
    faults: Counter[Fault]
    """What happened before the faults stopped."""
    alive: int
    """How many of the faults it suffered before it had ended."""
    late: int
    """How many replies came too late, before the faults stopped."""


#: Lets things happen to a world, and says each by its name.
Suffering = Callable[[World, Callable[[Fault, int], bool]], None]


def replay(case: Case) -> Suffering:
    """Let happen what the case says."""

    def suffer(world: World, happen: Callable[[Fault, int], bool]) -> None:
        for fault, which in case.schedule:
            happen(fault, which)

    return suffer


def play(case: Case, suffering: Suffering | None = None, *, watcher: Watcher | None = None) -> Played:
    """Play a case to its end. Raises :class:`Found` if it breaks a rule."""
    staged = _stage(case)
    world, books = staged.world, staged.books
    world.show(books.witness)
    world.watchers = [*([watcher] if watcher else []), staged.oracle]
    happened: list[tuple[Fault, int]] = []
    alive = 0

    def happen(fault: Fault, which: int) -> bool:
        nonlocal alive
        happened.append((fault, which))
        over = books.ended is not None
        hit = world.apply(fault, which)
        if not hit:
            happened.pop()
        alive += hit and not over and fault not in ORDINARY
        return hit

    try:
        (suffering or replay(case))(world, happen)
        faults, late = world.tally.copy(), world.late
        _come_to_an_end(case, staged)
    except Exception as fault:
        rule = fault.rule if isinstance(fault, Violation) else f"{type(fault).__name__}: {fault}"[:60]
        raise Found(case.with_schedule(tuple(happened)), rule, str(fault)) from fault
    return Played(world, tuple(happened), faults, alive, late)


def _stage(case: Case) -> Staged:
    return choreographed.stage(case) if case.definition.flow else staging.stage(case)


def _come_to_an_end(case: Case, staged: Staged) -> None:
    """Let no more faults happen, have everything arrive, and settle what asks; then repeat all that was ever said."""
    world = staged.world
    if not world.begun:
        world.start()
    world.run_to_rest()
    at_rest(world)
    if case.sure:
        _as_if_nothing_had_happened(case, world)
    world.tidy()
    for position in range(len(world.heard)):
        world.apply(Fault.ECHO, position)
    world.tidy()
    staged.settled()


def _as_if_nothing_had_happened(case: Case, world: World) -> None:
    calm = _stage(case).world.start().run_to_rest()
    same = (world.progress.state, world.progress.attention) == (calm.progress.state, calm.progress.attention)
    demand(same, "rule 5, C2, C3: faults of delivery change nothing", world.progress.state)
    if case.script is not None and calm.progress.state is SagaState.COMPLETED:
        ways = [{name: step.status for name, step in each.progress.steps.items()} for each in (world, calm)]
        demand(ways[0] == ways[1], "rule 5: a function goes the same way, whatever it suffers", ways)
