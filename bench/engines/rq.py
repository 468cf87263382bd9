"""Plain RQ: a job per step, each enqueues the next. Nothing is durable: Redis keeps no file.

Settings: SimpleWorker, which runs jobs in its own process (a fork per job is a third as fast), JSON, no results kept.
"""

import sys
from collections.abc import Callable
from functools import cache

import redis
import rq
from rq.serializers import JSONSerializer

from bench.engines import driver
from bench.engines.order import STEPS, UNDONE, Refused, act, undo

WORKERS = 2
#: Enqueuing is fast, and competes with the workers for two cores.
STARTERS = 2
DONE = "bench:done"


def main() -> None:
    driver.tell(
        "settings",
        versions=f"rq {rq.__version__}",
        durable="nothing",
        text=f"{WORKERS} SimpleWorkers, a job per step, JSON, no results kept; {STARTERS} starters",
    )
    worker = (sys.executable, "-m", "bench.engines.rq", "worker")
    with driver.running(*[worker] * WORKERS):
        driver.measure(many)


def many(variant: str, count: int) -> None:
    client = queue().connection
    client.delete(DONE)
    ticket = driver.Ticket()
    driver.concurrently(lambda: _enqueue(forward, ticket(), variant, 0), count, STARTERS)
    driver.until(lambda: int(client.get(DONE) or 0) >= count, count)


def forward(order: str, variant: str, number: int) -> None:
    """Do a step, then have the next one done."""
    try:
        act(STEPS[number], order, variant)
    except Refused:
        _enqueue(backward, order, variant, 0)
    else:
        _go_on(forward, order, variant, number + 1, len(STEPS))


def backward(order: str, variant: str, number: int) -> None:
    """Undo a step, then have the one before undone."""
    undo(UNDONE[number], order)
    _go_on(backward, order, variant, number + 1, len(UNDONE))


def _go_on(function: Callable[..., None], order: str, variant: str, number: int, end: int) -> None:
    if number < end:
        _enqueue(function, order, variant, number)
    else:
        queue().connection.incr(DONE)


def _enqueue(function: Callable[..., None], *args: object) -> None:
    # By name: here the module is __main__, in the worker it is not.
    queue().enqueue_call(f"bench.engines.rq.{function.__name__}", args=args, result_ttl=0, description="")


@cache
def queue() -> rq.Queue:
    return rq.Queue("orders", connection=redis.Redis.from_url(driver.task().redis), serializer=JSONSerializer)


def work() -> None:
    worker = rq.SimpleWorker(
        [queue()], connection=queue().connection, serializer=JSONSerializer, log_job_description=False
    )
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    work() if sys.argv[1:] == ["worker"] else main()
