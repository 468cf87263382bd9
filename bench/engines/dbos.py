"""DBOS: a workflow of four steps, called directly; each step's completion is committed before the next begins.

Settings: on PostgreSQL two processes with some threads each, on SQLite (which has one writer) a single process.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import psycopg
from dbos import DBOS

from bench.engines import driver
from bench.engines.order import HAPPY, STEPS, UNDONE, Refused, act, undo

SQLITE = driver.task().database.startswith("sqlite")
PROCESSES = driver.option("processes", 1 if SQLITE else 2)
THREADS = driver.option("threads", 4)
#: Whether a connection is asked before each use if it is still there; it is not here, where nobody ends any.
PING = driver.option("ping", False)
QUEUE = "orders"


@DBOS.step()
def do(step: str, order: str, variant: str) -> dict[str, Any]:
    return act(step, order, variant)


@DBOS.step()
def take_back(step: str, order: str) -> dict[str, Any]:
    return undo(step, order)


@DBOS.workflow()
def saga(order: str, variant: str) -> str:
    try:
        for step in STEPS:
            do(step, order, variant)
    except Refused:
        for step in UNDONE:
            take_back(step, order)
        return "failed"
    return "completed"


def main() -> None:
    driver.tell(
        "settings",
        versions=f"dbos {version('dbos')}",
        durable="each step",
        text=f"called directly, processes: {PROCESSES}, threads in each: {THREADS}, "
        f"connections {'' if PING else 'not '}asked before each use; its queue polls every 50 ms",
    )
    with launched("driver"):
        pass  # it makes its tables
    with driver.crew("bench.engines.dbos", PROCESSES) as crew:
        driver.throughput(crew, None if SQLITE else writers)
    with launched("driver", QUEUE):
        driver.latency("idle", lambda: many(HAPPY, 1))
        DBOS.register_queue(QUEUE, polling_interval_sec=0.05)
        ticket = driver.Ticket()
        driver.latency("idle_queue", lambda: queued(ticket()))


@contextmanager
def launched(name: str, *queues: str) -> Iterator[None]:
    DBOS(
        config={
            "name": "bench",
            "system_database_url": driver.task().database,
            "executor_id": name,
            "application_version": "1",
            "log_level": "WARNING",
            "db_engine_kwargs": {"pool_pre_ping": PING},
        }
    )
    DBOS.listen_queues(queues)
    DBOS.launch()
    yield
    DBOS.destroy()


def writers() -> int:
    """Tell how many transactions have written so far."""
    with psycopg.connect(driver.task().database) as connection:
        return int(connection.execute(driver.NEXT_WRITER).fetchone()[0])


def queued(order: str) -> None:
    """Run one by DBOS' queue; both waits are polls, 50 ms at the queue and 1 ms here."""
    DBOS.enqueue_workflow(QUEUE, saga, order, HAPPY).get_result(polling_interval_sec=0.001)


def many(variant: str, count: int) -> None:
    ticket = driver.Ticket()
    driver.concurrently(lambda: saga(ticket(), variant), count, THREADS)


if __name__ == "__main__":
    if sys.argv[1:] == ["crew"]:
        with launched(f"crew-{os.getpid()}"):
            driver.serve_as_crew(many)
    else:
        main()
