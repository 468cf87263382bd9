"""What a bug is: a name, a sentence, the function that plants it, and where it should be found first."""

from collections.abc import Callable
from dataclasses import dataclass

SQLITE, POSTGRES = "sqlite", "postgres"


@dataclass(frozen=True)
class Bug:
    """One bug of the catalogue."""

    name: str
    sentence: str
    """What the careless engineer did, and what comes of it."""
    plant: Callable[[], None]
    """Change the code of this process. Raises Unfit where the code is no longer what it was made for."""
    tests: tuple[str, ...]
    """The quickest test files that should find it, quickest first."""
    database: str
    """The database on which it shows."""
    chaos: bool
    """Whether ``bench/chaos --bug NAME`` is expected to find it too."""


#: Every bug by its name.
BUGS: dict[str, Bug] = {}


def bug(
    *tests: str, database: str = SQLITE, chaos: bool = False
) -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Register a function that plants a bug; its name and its docstring are the bug's."""

    def register(plant: Callable[[], None]) -> Callable[[], None]:
        name = plant.__name__.replace("_", "-")
        sentence = " ".join((plant.__doc__ or "").split())
        BUGS[name] = Bug(name, sentence, plant, tests, database, chaos)
        return plant

    return register
