"""Sagadesk on tables in which nothing lies but what is measured: a rate to compare with, taken in turns."""

from dataclasses import asdict, replace
from json import dumps

from bench.engines import driver, sagadesk

#: A database, and one of Redis', beside those that the task names.
DATABASE, REDIS = "empty", 1


def environment() -> dict[str, str]:
    """Make the database; return what has the processes that inherit it use that."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    task = driver.task()
    own = replace(
        task,
        database=task.database.replace("///postgres?", f"///{DATABASE}?"),
        redis=f"{task.redis}?db={REDIS}",
    )
    return {"BENCH_TASK": dumps(asdict(own))}


def main() -> None:
    sagadesk.set_up()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    with sagadesk.workers():
        driver.serve_as_crew(do)


def do(what: str, count: int) -> None:
    """Have so many sagas wait, or drain what waits, or start them one by one."""
    match what:
        case "wait":
            sagadesk.make_wait(count)
        case "drain":
            driver.until(sagadesk.all_ended, count)
        case variant:
            sagadesk.many(variant, count)


if __name__ == "__main__":
    main()
