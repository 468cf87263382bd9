"""What a path is: what clients, workers, operators and clocks do, from a beginning to rest.

Its script is what all of them would do again after a crash: the whole of it is played once more. So it starts with
keys and acts with action ids, and leans on nothing but what Sagadesk promises.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.crashpoints.stage import Stage

Script = Callable[[Stage], None]


class Path(NamedTuple):
    """A script, and what was there before the process was born that dies in it."""

    name: str
    script: Script
    before: Script
    keyless: bool
    """Its client starts without a key: if it dies unanswered, there may be a saga more."""
    threads: bool
    """With handlers in threads of their own, too, it passes the same points each time."""


def nothing(stage: Stage) -> None:
    """Have nothing before."""


def started(**data: Any) -> Script:
    """Have a saga that rests where its data leads it."""

    def before(stage: Stage) -> None:
        stage.start(data)
        stage.rest()

    return before


class Paths(dict[str, Path]):
    """Paths by name; decorate a script to add it."""

    def __call__(
        self, before: Script = nothing, *, keyless: bool = False, threads: bool = True
    ) -> Callable[[Script], Script]:
        """Add a script."""

        def add(script: Script) -> Script:
            self[script.__name__] = Path(script.__name__, script, before, keyless, threads)
            return script

        return add


def says(**said: tuple[str, int]) -> dict[str, Any]:
    """Return data for ``step_direction=(word, attempts)``: what participants say, and how often."""
    return {"says": {name.replace("_", "."): words for name, words in said.items()}}
