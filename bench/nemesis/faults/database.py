"""F6, F11, F12: the database stops, loses sessions, has none left, has a wrong clock, has no room."""

import random
import time

from bench.nemesis import stores
from bench.nemesis.faults.catalogue import Dose, fault
from bench.nemesis.world import World

#: Seconds by which the database's clock is set off the true time; 0 sets it right.
JUMPS = (-3600.0, -300.0, 300.0, 3600.0, 0.0)


@fault("F6", "PostgreSQL stopped at once", every=75, needs="postgres")
def _stop_postgres(world: World, chance: random.Random, dose: Dose) -> None:
    server, away = world.children["postgres"], chance.uniform(0, 5)
    with server.spoken_for:
        server.hold()
        try:
            dose(pid=world.store.stop_at_once(), away=away)
            server.gone(5)
            time.sleep(away)
        finally:
            server.start()


@fault("F6", "sessions of PostgreSQL terminated", every=15, needs="postgres")
def _terminate_sessions(world: World, chance: random.Random, dose: Dose) -> None:
    dose(sessions=world.store.terminate(chance.uniform(0.2, 1)))


@fault("F6", "connections of PostgreSQL used up", every=80, needs="postgres")
def _exhaust_connections(world: World, chance: random.Random, dose: Dose) -> None:
    with world.store.exhausted() as held:
        dose(held=held)
        time.sleep(chance.uniform(2, 5))


@fault("F6", "sagas locked by somebody", every=20, needs="postgres")
def _lock_sagas(world: World, chance: random.Random, dose: Dose) -> None:
    with world.store.locked(chance.uniform(0.05, 0.5)) as sagas:
        dose(locked=sagas)
        time.sleep(chance.uniform(1, 12))


@fault("F11", "the database's clock set", every=45)
def _set_clock(world: World, chance: random.Random, dose: Dose) -> None:
    seconds = chance.choice(JUMPS)
    world.store.skew(seconds)
    dose(to=seconds)


@fault("F12", "disk full", every=150, needs="disk")
def _fill_disk(world: World, chance: random.Random, dose: Dose) -> None:
    ballast = world.store.folder / "ballast"
    try:
        stores.fill(ballast)
        dose()
        time.sleep(chance.uniform(2, 5))
    finally:
        ballast.unlink(missing_ok=True)
        world.journal.write("freed")
