"""The catalogue of faults. A module that does some of them registers each with :func:`fault`."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from bench.nemesis.children import Child
from bench.nemesis.world import World

#: Counts a fault once it has been done, with what is worth noting about it.
Dose = Callable[..., None]
#: Does one fault: to this world, by this dice.
Act = Callable[[World, random.Random, Dose], None]


@dataclass(frozen=True)
class Fault:
    """A kind of fault: its number, what it is, how often it comes, and what it needs."""

    number: str
    name: str
    every: float
    """Seconds between two of them, on average."""
    act: Act
    needs: str = ""
    """``postgres``, ``sqlite`` or ``disk``, where it makes no sense without."""

    def do(self, world: World, chance: random.Random) -> None:
        """Do it once."""
        self.act(world, chance, partial(world.dose, self.name))

    def barred(self, world: World) -> str | None:
        """Return why it cannot be, here."""
        if self.number in world.plan.without.split(","):
            return "left out"
        if self.needs == "disk":
            return world.no_disk
        if self.needs and self.needs != world.store.kind:
            return f"needs {'PostgreSQL' if self.needs == 'postgres' else 'SQLite'}"
        return None


CATALOGUE: list[Fault] = []

#: What none of them does, and why.
NOT_DONE = {
    "F1, the child of a forking worker": "there is none: a worker is one process",
    "F4, Redis back with old data": "it keeps nothing on disk; what is in it are nudges, and F9 repeats those",
    "F11, clocks of processes": "none is read for leases, due times or deadlines; it would need libfaketime",
    "F12, EIO": "it would need a device of our own",
}


def fault(number: str, name: str, *, every: float, needs: str = "") -> Callable[[Act], Act]:
    """Register a kind of fault."""

    def register(act: Act) -> Act:
        CATALOGUE.append(Fault(number, name, every, act, needs))
        return act

    return register


@contextmanager
def one_of(children: list[Child], chance: random.Random) -> Iterator[Child | None]:
    """Choose a process that no other fault is busy with; None if there is none."""
    mixed = chance.sample(children, len(children))
    chosen = next((child for child in mixed if child.spoken_for.acquire(blocking=False)), None)
    try:
        yield chosen
    finally:
        if chosen:
            chosen.spoken_for.release()


def caught(world: World, child: Child, within: float = 1.0) -> None:
    """Wait a little until a process is in the middle of a step: that is when a fault hurts."""
    end = time.monotonic() + within
    while child.pid not in world.in_mid_step() and time.monotonic() < end:
        time.sleep(0.01)
