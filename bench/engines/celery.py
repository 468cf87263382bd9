"""Celery: a chain of four tasks. Nothing is durable: the broker is a Redis that keeps no file.

Settings: two prefork processes, no result backend, no gossip and no events; acknowledged early, as is the default.
"""

import sys

import celery
import redis

from bench.engines import driver
from bench.engines.order import STEPS, UNDONE, Refused, act, undo

WORKERS = 2
STARTERS = 2
DONE = "bench:done"

_redis = redis.Redis.from_url(driver.task().redis)
app = celery.Celery("bench", broker=driver.task().redis.replace("unix://", "redis+socket://"))
app.conf.update(
    task_ignore_result=True, worker_send_task_events=False, broker_connection_retry_on_startup=True
)


def main() -> None:
    driver.tell(
        "settings",
        versions=f"celery {celery.__version__}",
        durable="nothing",
        text=f"prefork, concurrency {WORKERS}, a chain of tasks, no result backend; {STARTERS} starters",
    )
    words = f"-m celery -A bench.engines.celery worker --concurrency {WORKERS} --loglevel WARNING"
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    with driver.running((sys.executable, *words.split(), *quiet)):
        driver.measure(many)


def many(variant: str, count: int) -> None:
    _redis.delete(DONE)
    ticket = driver.Ticket()
    driver.concurrently(lambda: _start(ticket(), variant), count, STARTERS)
    driver.until(lambda: int(_redis.get(DONE) or 0) >= count, count)


def _start(order: str, variant: str) -> None:
    celery.chain(do.si(step, order, variant) for step in STEPS).delay()


@app.task(name="do", bind=True)
def do(self: celery.Task, step: str, order: str, variant: str) -> None:
    try:
        act(step, order, variant)
    except Refused:
        self.request.chain = None  # what would follow does not
        celery.chain(take_back.si(undone, order) for undone in UNDONE).delay()
    else:
        if step == STEPS[-1]:
            _redis.incr(DONE)


@app.task(name="take_back")
def take_back(step: str, order: str) -> None:
    undo(step, order)
    if step == UNDONE[-1]:
        _redis.incr(DONE)


if __name__ == "__main__":
    main()
