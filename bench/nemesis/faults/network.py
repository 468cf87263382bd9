"""F7: processes are cut off from PostgreSQL and Redis, one way or both, for a while."""

import random
import time

from bench.nemesis.faults.catalogue import Dose, fault
from bench.nemesis.proxy import DOWN, UP
from bench.nemesis.world import World

#: Seconds that a cut lasts, at most.
LONGEST = 15.0


def _cut(
    world: World, who: str, what: str, chance: random.Random, dose: Dose, longest: float = LONGEST
) -> None:
    link = world.link(who, what)
    ways = chance.choice(((UP, DOWN), (UP, DOWN), (UP,), (DOWN,)))
    seconds, reset = chance.uniform(1, longest), chance.random() < 0.5
    try:
        world.network.do(link.cut, *ways)
        dose(link=link.name, ways=ways, seconds=seconds, reset=reset)
        time.sleep(seconds)
    finally:
        world.network.do(link.heal, reset=reset)
        world.journal.write("healed", link=link.name)


@fault("F7", "worker cut off from PostgreSQL", every=30, needs="postgres")
def _cut_worker_database(world: World, chance: random.Random, dose: Dose) -> None:
    _cut(world, chance.choice(world.workers).name, "db", chance, dose)


@fault("F7", "cut off from PostgreSQL with rows locked", every=30, needs="postgres")
def _cut_in_transaction(world: World, chance: random.Random, dose: Dose) -> None:
    """Cut a process off in the middle of a transaction, for longer than the server waits for it, at times."""
    who = chance.choice(["web", "web", *(child.name for child in (*world.workers, *world.clocks))])
    link = world.link(who, "db")
    try:
        world.network.do(link.arm)
        if link.cut_in_transaction.wait(10):
            time.sleep(1)
            dose(link=link.name, holding=world.store.idle_in_transaction(who))
            time.sleep(chance.uniform(2, 14))
    finally:
        world.network.do(link.heal, reset=chance.random() < 0.5)
        world.journal.write("healed", link=link.name)


@fault("F7", "worker cut off from Redis", every=30)
def _cut_worker_redis(world: World, chance: random.Random, dose: Dose) -> None:
    _cut(world, chance.choice(world.workers).name, "redis", chance, dose)


@fault("F7", "web or clock cut off from Redis", every=45)
def _cut_web_redis(world: World, chance: random.Random, dose: Dose) -> None:
    _cut(world, _web_or_clock(world, chance), "redis", chance, dose)


@fault("F7", "web or clock cut off from PostgreSQL", every=75, needs="postgres")
def _cut_web_database(world: World, chance: random.Random, dose: Dose) -> None:
    _cut(world, _web_or_clock(world, chance), "db", chance, dose, longest=8)


def _web_or_clock(world: World, chance: random.Random) -> str:
    return chance.choice(["web", *(clock.name for clock in world.clocks)])
