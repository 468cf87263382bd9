"""Draws what durable functions do: names used again, branches, other ways, waits, children, a pivot."""

from collections.abc import Sequence
from random import Random

from .script import Both, Do, GiveUp, Script, Wait

NAMES = "abc"
#: What another saga answers.
KID = "kid"
#: Seconds after its dispatch from which on no attempt of an action begins.
SPANS = (5.0, 60.0, 600.0)
#: How often a part is one step and no more, one with another way, branches, and a wait.
PARTS = (5, 2, 2, 1)


def script(chance: Random, undos: Sequence[str | None], holds: float, *, sure: bool) -> Script:
    """Draw a function. Where the end must be ``sure``, nothing in it depends on the time."""

    def step(*, caught: bool = False) -> Do:
        hold = chance.random() < holds
        otherwise = tuple(step() for _ in range(chance.randint(0, 2))) if caught else None
        if chance.random() < 0.1:
            return Do(
                KID, hold=hold, otherwise=otherwise, deadline=chance.choice((None, None, 60.0)), child=True
            )
        return Do(
            chance.choice(NAMES),
            chance.choice(undos),
            hold,
            otherwise,
            probe=chance.random() < 0.3,
            deadline=chance.choice(SPANS) if not sure and chance.random() < 0.2 else None,
        )

    def part() -> Do | Both | Wait:
        match chance.choices(range(len(PARTS)), PARTS)[0]:
            case 0:
                return step()
            case 1:
                return step(caught=True)
            case 2:
                return Both(tuple(branch() for _ in range(chance.randint(2, 3))))
            case _:
                return Wait("w", asks=chance.random() < 0.5)

    def branch() -> Script:
        return tuple(step(caught=chance.random() < 0.2) for _ in range(chance.randint(1, 3)))

    return (*(part() for _ in range(chance.randint(1, 4))), *_end(chance))


def _end(chance: Random) -> Script:
    """Draw an end: none of its own, a rejection, a point of no return, or more behind that."""
    pivot, behind = Do("b", pivot=True), Do("c", undo=None, retriable=True)
    return chance.choice(((), (), (GiveUp(),), (pivot,), (pivot, behind, Do("a", retriable=True))))
