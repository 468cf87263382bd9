"""Sagadesk: two workers and the clock, as they are deployed; each saga is started by ``start`` in its own transaction.

Settings: Sagadesk's defaults, but for more handlers at once, which share more commits: these need no connections of
their own to the database. The live feed's hints go out, as always.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import django
from django.db import connection, connections, transaction

from bench.engines import driver

WORKERS = driver.option("workers", 2)
STARTERS = driver.option("starters", 128)
#: Changed settings: the best ones found, unless the task tries others.
CHANGED = driver.option("settings", {"CONCURRENCY": 512})
#: How many sagas one statement creates, where they are made to wait.
CHUNK = 500
#: Sagas with lower ids do not count: they fill the tables.
SINCE = UUID(int=0)


def main() -> None:
    set_up()
    driver.tell(
        "settings",
        versions=f"django {django.__version__}",
        durable="each step",
        text=f"{WORKERS} workers and the clock, {_changed()}; {STARTERS} starters",
    )
    with workers():
        written = writers if connection.vendor == "postgresql" else None
        driver.measure(many, written)
        driver.latency("idle_called", called)
        driver.drained("drained", make_wait, lambda count: driver.until(all_ended, count), written)
    check()
    tell_size()


def _changed() -> str:
    settings = ", ".join(f"{name} {value}" for name, value in CHANGED.items())
    return f"settings as they come{settings and f' but {settings}'}"


def set_up() -> None:
    """Configure Django as the workers are: by the environment, which they inherit."""
    task = driver.task()
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
        "DATABASE_URL": task.database,
        "REDIS_URL": task.redis,
        "SAGADESK_DATA": task.folder,
        "SAGADESK_APPS": "bench.orders",
        "SAGADESK_CONN_MAX_AGE": "600",
        "SAGADESK_LOG_LEVEL": "WARNING",
        **{f"SAGADESK_{name}": str(value) for name, value in CHANGED.items()},
    }
    django.setup()


def workers(*places: Sequence[str], checkout: Path = driver.ROOT) -> Any:
    """Run the workers and the clock. A place is what a worker's command begins with: one worker for each.

    The processes may come from another checkout; the benchmark's saga is this one's, if that has none.
    """
    saga = (sys.executable, checkout / "manage.py", "saga")
    commands = [(*place, *saga, "worker") for place in places or [()] * WORKERS]
    return driver.running(*commands, (*saga, "clock"), PYTHONPATH=str(driver.ROOT))


def many(variant: str, count: int) -> None:
    from bench.orders.sagas import BenchOrder

    ticket, author = driver.Ticket(), BenchOrder()
    if count == 1:
        saga = author.start({"order": ticket(), "variant": variant})
        driver.until(lambda: has_ended(saga.pk), 1)
        return
    driver.concurrently(lambda: author.start({"order": ticket(), "variant": variant}), count, STARTERS)
    driver.until(all_ended, count)


def called() -> None:
    """Call one: it is carried on in this process, and returned when it has ended."""
    from bench.orders.sagas import BenchOrder

    assert BenchOrder().run({"order": driver.Ticket()(), "variant": driver.HAPPY}).state == "completed"


def make_wait(count: int) -> None:
    """Record sagas that all become visible at once, when this commits."""
    from bench.orders.sagas import BenchOrder
    from sagas.orchestrator import start_many

    ticket = driver.Ticket()
    orders = [{"order": ticket(), "variant": driver.HAPPY} for _ in range(count)]
    with transaction.atomic():
        for first in range(0, count, CHUNK):
            start_many(BenchOrder.saga_type, orders[first : first + CHUNK])


def has_ended(pk: UUID) -> bool:
    """Look, as cheaply as can be: whoever looks often takes the workers' time."""
    statement = "SELECT finished_at IS NOT NULL FROM sagas_saga WHERE id = %s"
    if connection.vendor != "postgresql":
        return bool(rows(statement, pk.hex)[0][0])
    from sagas.rows import prepared

    with prepared(connections[connection.alias]) as cursor:
        return bool(cursor.execute(statement, [pk]).fetchone()[0])


def all_ended() -> bool:
    """Tell whether every saga that counts has ended. The latest end last: looking from there reads next to nothing."""
    open_ones = "SELECT 1 FROM sagas_saga WHERE state NOT IN ('completed', 'failed') AND id > %s"
    since = SINCE if connection.vendor == "postgresql" else SINCE.hex
    return not rows(f"{open_ones} ORDER BY id DESC LIMIT 1", since)


def check() -> None:
    """Every happy saga has completed, every other one has failed after its undos."""
    wrong = rows(
        "SELECT count(*) FROM sagas_saga"
        " WHERE (state = 'completed') <> (data ->> 'variant' = 'happy') OR attention IS NOT NULL"
    )
    assert wrong == [(0,)], f"{wrong} sagas have not ended as they should"


def tell_size() -> None:
    """Tell what a finished saga takes in the database."""
    tables = ("sagas_saga", "sagas_step", "sagas_event", "sagas_due")
    counts = {table: rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables}  # noqa: S608 - our own names
    if connection.vendor == "postgresql":
        size = rows(f"SELECT sum(pg_total_relation_size(name)) FROM unnest(array{list(tables)}) AS name")  # noqa: S608
        sagas = counts["sagas_saga"]
        driver.tell("size", rows=round(sum(counts.values()) / sagas, 2), bytes=int(size[0][0] / sagas))


def writers() -> int:
    """Tell how many transactions have written so far."""
    return int(rows(driver.NEXT_WRITER)[0][0])


def rows(statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())


if __name__ == "__main__":
    main()
