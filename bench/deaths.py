"""Plays the paths of ``tests/crashpoints`` with real processes; ``bench/crashpoints`` starts it on servers of its own.

Each process is a fork of this one, which itself connects to nothing. Prints a line of JSON for each path.
"""

import json
import os
import pickle
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import django
from django.db import connection

from tests.waiting import until

#: What a process ends with that has died at its point.
DEAD = 86
#: How often a process may miss the point: its threads do not always meet.
TRIES = 5


def main() -> None:
    django.setup()
    from tests.crashpoints import catalogue

    only = sys.argv[1] if len(sys.argv) > 1 else ""
    _child(_make_world)
    named = [path for path in catalogue.PATHS.values() if only in path.name]
    for path in named or catalogue.PATHS.values():
        deaths = list(_deaths(path, only))
        if deaths:
            print(json.dumps({"name": path.name, "deaths": deaths}), flush=True)


def _make_world() -> None:
    from django.contrib.auth import get_user_model

    from tests.crashpoints import shop

    shop.make_tables()
    get_user_model().objects.create_superuser("crash", password="x")  # noqa: S106 - of a database that is thrown away


def _deaths(path: Any, only: str) -> Any:
    """Yield every death on a path, and what was wrong after it."""
    points, expected = _child(lambda: _record(path))[1]
    for point in points:
        for when in ("before", "after"):
            if only in path.name or only in str(point):
                yield {"point": str(point), "when": when, "wrong": _die(path, point, when, expected)}


def _record(path: Any) -> Any:
    from tests.crashpoints import dying, invariants, seams

    with seams.installed():
        stage = dying.ready(path, threads=True)
        with seams.watched(seams.Watch()) as watch:
            path.script(stage)
    wrong = invariants.violations()
    assert not wrong, f"{path.name}, without any death: {wrong}"
    return watch.passed, invariants.outcome()


def _die(path: Any, point: Any, when: str, expected: Any) -> list[str]:
    for _ in range(TRIES):
        code, left = _child(lambda: _play_and_die(path, point, when))
        if code == DEAD:
            return _child(partial(_recover, path, left, expected))[1]  # type: ignore[no-any-return]
        if code:
            return ["before it came to the point it failed"]
    return [f"it was not reached in {TRIES} times"]


def _play_and_die(path: Any, point: Any, when: str) -> None:
    """Play until the point is reached, hand over what the client knows, and be gone."""
    from tests.crashpoints import dying, seams

    stage = dying.ready(path, threads=True)

    def die(_: Any, reached: Any, side: str) -> None:
        if (reached, side) == (point, when):
            _hand_over((stage.told, stage.saga))
            os._exit(DEAD)

    with seams.installed(), seams.watched(seams.Watch(die)):
        path.script(stage)


def _recover(path: Any, left: Any, expected: Any) -> list[str]:
    from tests.crashpoints import dying
    from tests.crashpoints.stage import Stage

    _miss_the_dead()
    stage = Stage(threads=path.threads)
    stage.told, stage.saga = left
    return dying.recover(path, stage, expected)


def _miss_the_dead() -> None:
    """Wait until PostgreSQL has noticed that its client is gone; a lease would last longer than that."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            until(lambda: not _others(cursor))


def _others(cursor: Any) -> int:
    cursor.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    return int(cursor.fetchone()[0])


_pipe = -1


def _hand_over(value: Any) -> None:
    os.write(_pipe, pickle.dumps(value))


def _child(work: Callable[[], Any]) -> tuple[int, Any]:
    """Do something in a process of its own; return how that ended, and what it handed over. Failing, it is heard."""
    global _pipe
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _pipe = writing
        try:
            _hand_over(work())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, pickle.loads(said) if said else None  # noqa: S301 - it is our own child's


if __name__ == "__main__":
    main()
