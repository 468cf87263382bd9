"""The storm: each kind of fault comes in a thread of its own, by a dice of its own, until it is over."""

import random
import threading

from bench.nemesis.faults import CATALOGUE, Fault
from bench.nemesis.world import World

#: Seconds until a fault that has not come at all so far is tried again.
AGAIN = 1.0


def rage(world: World, seconds: float) -> None:
    """Do every kind of fault that this machine allows, for so long; then undo what is left of them."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_haunt, args=(world, fault, seconds, over), daemon=True)
        for fault in CATALOGUE
        if fault.barred(world) is None
    ]
    for fault in CATALOGUE:
        if why := fault.barred(world):
            world.journal.write("barred", kind=fault.name, why=why)
    for thread in threads:
        thread.start()
    over.wait(seconds)
    over.set()
    for thread in threads:
        thread.join(60)
    world.mend()


def _haunt(world: World, fault: Fault, seconds: float, over: threading.Event) -> None:
    """Even a short storm has one of each kind."""
    chance = random.Random(f"{world.plan.seed}:{fault.name}")
    wait = chance.uniform(0.05, 0.7) * min(fault.every, seconds)
    while not over.wait(wait):
        try:
            fault.do(world, chance)
        except Exception as no:  # what it wanted to break was broken already
            world.journal.write("missed", kind=fault.name, why=f"{type(no).__name__}: {no}")
        wait = chance.uniform(0.5, 1.5) * fault.every if world.doses[fault.name] else AGAIN
