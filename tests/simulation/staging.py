"""Sets the scene for a case: its world, the books about it, and the oracle that keeps them."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from .books import Books
from .case import Case, Mind
from .ending import settled
from .graph import FUNCTION, Graph
from .growing import Crew, GrowingWorld
from .oracle import Oracle
from .script import Script, function
from .verbs import applies
from .world import World

#: How long after its start a delayed saga begins.
DELAY = timedelta(minutes=10)


class Staged(NamedTuple):
    """A world in which nothing has happened yet, and who watches it."""

    world: World
    books: Any
    oracle: Any
    settled: Callable[[], None]
    """Checks what must hold once nobody is asked any more."""


def stage(case: Case) -> Staged:
    """Return an orchestration's world, and the oracle's books about it."""
    books = Books(Graph(case.definition.document()), Inboxes(case.minds))
    delay = DELAY if case.delayed else None
    world = _world(case, delay) if case.script is None else _growing(case, case.script, delay)
    world.judge = partial(applies, books)
    return Staged(world, books, Oracle(books), partial(settled, world, books))


def _world(case: Case, delay: timedelta | None) -> World:
    return World(
        case.definition, {name: mind.participant() for name, mind in case.minds.items()}, delay=delay
    )


def _growing(case: Case, script: Script, delay: timedelta | None) -> World:
    crew = Crew(lambda name: case.minds.get(name, Mind()).participant())
    names: dict[str, str] = {}
    does = function(script, case.definition.step(FUNCTION).retry, names)
    return GrowingWorld(case.definition, crew, delay=delay, function=does, names=names)


class Inboxes(dict[str, bool]):
    """Who has an inbox. Participants of the same name, but for its number, are of one mind."""

    def __init__(self, minds: Mapping[str, Mind]) -> None:
        super().__init__({name: mind.inbox for name, mind in minds.items()})

    def __missing__(self, step: str) -> bool:
        return self.get(step.partition("-")[0], True)
