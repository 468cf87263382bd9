"""Sets the scene for a case: its world, the books about it, and the oracle that keeps them."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from .books import Books
from .case import Case
from .ending import settled
from .graph import Graph
from .oracle import Oracle
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
    books = Books(Graph(case.definition.document()), {name: mind.inbox for name, mind in case.minds.items()})
    minds = {name: mind.participant() for name, mind in case.minds.items()}
    world = World(case.definition, minds, delay=DELAY if case.delayed else None)
    world.judge = partial(applies, books)
    return Staged(world, books, Oracle(books), partial(settled, world, books))
