"""F1, F2, F3, F8, F10, F13, F16: processes are killed, paused, ended and starved."""

import random
import signal
import time

from bench.nemesis.children import Child
from bench.nemesis.faults.catalogue import Dose, caught, fault, one_of
from bench.nemesis.world import World

#: Bytes that a process may still grow by, once its memory is short.
ROOM = 8 * 1024**2


def _send(number: int, children: list[Child], chance: random.Random, dose: Dose) -> None:
    with one_of(children, chance) as child:
        pid = child.send(number) if child else 0
        if child and pid:
            dose(child=child.name, pid=pid)


@fault("F1", "kill -9 of a worker", every=5.5)
def _kill_worker(world: World, chance: random.Random, dose: Dose) -> None:
    with one_of(world.workers, chance) as child:
        if child and chance.random() < 0.7:
            caught(world, child)
        pid = child.send(signal.SIGKILL) if child else 0
        if child and pid:
            dose(child=child.name, pid=pid)


@fault("F2", "kill -9 of the web", every=45)
def _kill_web(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGKILL, [world.children["web"]], chance, dose)


@fault("F3", "kill -9 of a clock", every=30)
def _kill_clock(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGKILL, world.clocks, chance, dose)


@fault("F13", "SIGTERM of a worker", every=15)
def _end_worker(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGTERM, world.workers, chance, dose)


@fault("F13", "SIGTERM of the web", every=60)
def _end_web(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGTERM, [world.children["web"]], chance, dose)


@fault("F8", "worker paused beyond its lease", every=11)
def _pause_worker(world: World, chance: random.Random, dose: Dose) -> None:
    with one_of(world.workers, chance) as child:
        if child:
            caught(world, child)
        pid = child.send(signal.SIGSTOP) if child else 0
        if not child or not pid:
            return
        try:
            seconds = world.plan.lease + chance.uniform(2, 5)
            dose(child=child.name, pid=pid, seconds=seconds)
            time.sleep(seconds)
        finally:
            if child.pid == pid:
                child.send(signal.SIGCONT)
                world.journal.write("resumed", child=child.name, pid=pid)


@fault("F16", "worker short of memory, then killed", every=45)
def _starve_worker(world: World, chance: random.Random, dose: Dose) -> None:
    with one_of(world.workers, chance) as child:
        pid = child.squeeze(ROOM) if child else 0
        if not child or not pid:
            return
        dose(child=child.name, pid=pid)
        time.sleep(chance.uniform(1, 4))
        if child.pid == pid:
            child.send(signal.SIGKILL)


@fault("F10", "kill -9 of the carrier", every=15)
def _kill_carrier(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGKILL, [world.children["carrier"]], chance, dose)


@fault("F10", "carrier silent for a while", every=20)
def _pause_carrier(world: World, chance: random.Random, dose: Dose) -> None:
    _silence(world, world.children["carrier"], chance, dose)


@fault("F10", "kill -9 of the outpost", every=15)
def _kill_outpost(world: World, chance: random.Random, dose: Dose) -> None:
    _send(signal.SIGKILL, [world.children["outpost"]], chance, dose)


@fault("F10", "outpost silent for a while", every=20)
def _pause_outpost(world: World, chance: random.Random, dose: Dose) -> None:
    _silence(world, world.children["outpost"], chance, dose)


def _silence(world: World, who: Child, chance: random.Random, dose: Dose) -> None:
    with one_of([who], chance) as child:
        pid = child.send(signal.SIGSTOP) if child else 0
        if not child or not pid:
            return
        try:
            dose(pid=pid)  # named by no child: nobody but its callers waits for it
            time.sleep(chance.uniform(1, 8))
        finally:
            if child.pid == pid:
                child.send(signal.SIGCONT)
