"""What every engine's script shares: its task comes as JSON in the environment, its figures go out as lines of JSON.

Standard library only: it is imported in each peer's own environment.
"""

import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench.engines.order import COMPENSATING, HAPPY

ROOT = Path(__file__).resolve().parent.parent.parent
PR_SET_PDEATHSIG = 1
#: Seconds after which sagas that have not come to an end count as lost.
PATIENCE = 180.0


@dataclass(frozen=True)
class Task:
    """What one run of an engine's script is to measure, and with what."""

    database: str
    redis: str
    folder: str
    """Private to this run, on the disk that the database is on."""
    measures: Sequence[str]
    seconds: float
    """How long a measurement of throughput should take."""
    idle: int
    """How many sagas are started one after another, for the time that one takes; fewer if that takes long."""
    options: dict[str, Any]
    """Settings of the engine that are not its best ones: to find those."""


@cache
def task() -> Task:
    """Read the task; the processes that a script starts have the same."""
    return Task(**json.loads(os.environ["BENCH_TASK"]))


def tell(figure: str, **values: Any) -> None:
    """Hand a figure to whoever runs the engines."""
    print(json.dumps({"figure": figure, **values}), flush=True)


def option(name: str, best: Any) -> Any:
    """Return a setting of the engine: the best one found, unless the task tries another."""
    return task().options.get(name, best)


#: Asked of PostgreSQL, the number of the next transaction that writes; those that only read have none.
NEXT_WRITER = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
#: Tells how many transactions have written so far; None where that is not counted.
Count = Callable[[], int] | None


def measure(many: Callable[[str, int], None], written: Count = None) -> None:
    """Take all measures: ``many`` starts so many sagas of a variant, and returns when the last has ended."""
    throughput(many, written)
    latency("idle", lambda: many(HAPPY, 1))


def throughput(many: Callable[[str, int], None], written: Count = None) -> None:
    """Measure sagas per second, from the first start to the last end; they are started one by one."""
    many(HAPPY, 40)  # every process is up after this, and has done everything once
    for variant in (HAPPY, COMPENSATING):
        if variant in task().measures:
            count = _filling(lambda count, variant=variant: timed(partial(many, variant, count)))
            tell_rate(variant, count, partial(many, variant, count), written)


def drained(
    figure: str,
    prepare: Callable[[int], None],
    drain: Callable[[int], None],
    written: Count = None,
    most: int = 10_000,
) -> None:
    """Measure sagas per second from when all of them are waiting to the last end."""
    if figure in task().measures:

        def timed_drain(count: int) -> float:
            prepare(count)
            return timed(partial(drain, count))

        count = min(most, _filling(timed_drain))
        prepare(count)
        tell_rate(figure, count, partial(drain, count), written)


def tell_rate(figure: str, count: int, run: Callable[[], None], written: Count) -> None:
    """Measure a run of that many sagas."""
    before = written() if written else 0
    took = timed(run)
    commits = {"commits_per_saga": round((written() - before) / count, 3)} if written else {}
    tell(figure, sagas=count, seconds=took, rate=count / took, **commits)


def _filling(seconds: Callable[[int], float]) -> int:
    """Return how many sagas take as long as a measurement should, as a few tell."""
    count, took = 20, 0.0
    while took < task().seconds / 4:
        count *= 2
        took = seconds(count)
    return max(20, round(count / took * task().seconds))


#: Of an engine that takes its time, so few single sagas tell enough, once they have taken so many measurements' time.
FEW, LONG = 20, 2


def latency(figure: str, one: Callable[[], None]) -> None:
    """Measure what a single saga takes while nothing else runs: ``one`` starts it, and returns at its end."""
    if figure not in task().measures:
        return
    for _ in range(5):
        one()
    took: list[float] = []
    enough = time.monotonic() + LONG * task().seconds
    while len(took) < task().idle and not (len(took) >= FEW and time.monotonic() > enough):
        took.append(1000 * timed(one))
        time.sleep(0.005)  # what an engine does after the end must not be counted into the next start
    took.sort()
    tell(figure, sagas=len(took), p50=took[len(took) // 2], p95=took[int(len(took) * 0.95)], least=took[0])


def timed(run: Callable[[], None]) -> float:
    """Return the seconds that a run takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def concurrently(call: Callable[[], None], count: int, starters: int) -> None:
    """Call it so many times, from so many threads at once."""
    numbers = itertools.count()  # next() on it is atomic

    def serve() -> None:
        while next(numbers) < count:
            call()

    if count == 1:
        call()  # the way to another thread would be measured with it
        return
    for served in [_pool(starters).submit(serve) for _ in range(starters)]:
        served.result()


@cache
def _pool(size: int) -> ThreadPoolExecutor:
    """Keep threads, and with them their connections, from one measurement to the next."""
    return ThreadPoolExecutor(size)


#: The part of the shortest wait for a lone saga in which nobody looks.
MOST = 0.7
_shortest = float("inf")


def until(condition: Callable[[], bool], count: int) -> None:
    """Wait until that many sagas have ended.

    Who looks takes time from those who work: for many a look each fiftieth of a second, for one none before
    most of the shortest wait so far is over, and then one after the other.
    """
    global _shortest
    began = time.monotonic()
    if count == 1 and _shortest < PATIENCE:
        time.sleep(_shortest * MOST)
    while not condition():
        if time.monotonic() - began > PATIENCE:
            raise TimeoutError(f"not all of {count} sagas ended within {PATIENCE:g} s")
        if count != 1:
            time.sleep(0.02)
    if count == 1:
        _shortest = min(_shortest, time.monotonic() - began)


@contextmanager
def running(*commands: Sequence[Any], **environment: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Run processes beside this one, and end them with it; what they log is kept in the task's folder."""
    me, env = os.getpid(), {**os.environ, **environment}
    with open(Path(task().folder) / "log", "ab") as log, ExitStack() as stack:
        started = []
        for command in commands:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if "crew" in command else log,
                stderr=log,
                cwd=ROOT,
                env=env,
                text=True,
                preexec_fn=lambda: _die_with(me),
            )
            stack.callback(_end, process)
            started.append(process)
        yield started


@contextmanager
def crew(module: str, size: int, **environment: str) -> Iterator[Callable[[str, int], None]]:
    """Run an engine's module so many times; yield what tells each to do its share of sagas, and waits for all."""
    with running(*[(sys.executable, "-m", module, "crew")] * size, **environment) as members:

        def share(variant: str, count: int) -> None:
            shares = [(count + n) // size for n in range(size)]
            for member, many in zip(members, shares, strict=True):
                print(variant, many, file=member.stdin, flush=True)
            for member in members:
                if member.stdout.readline() != "done\n":
                    raise RuntimeError(f"a process of {module} has ended")

        yield share


def serve_as_crew(many: Callable[[str, int], None]) -> None:
    """Do the shares that :func:`crew` tells of, until it ends."""
    for line in sys.stdin:
        variant, count = line.split()
        many(variant, int(count))
        print("done", flush=True)


def _end(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with(parent: int) -> None:
    """As ``sagaproject.processes`` does, which a peer's environment must not need."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


class Ticket:
    """Numbers orders; they are told apart in every engine's log."""

    def __init__(self, prefix: str = "order") -> None:
        self._numbers = itertools.count(1)
        self._prefix = f"{prefix}-{os.getpid()}-{threading.get_native_id()}"

    def __call__(self) -> str:
        return f"{self._prefix}-{next(self._numbers)}"
