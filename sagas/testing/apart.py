"""A database of a drill's own, beside the real ones: made, migrated, used, and dropped again."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from typing import Any

from django.db import DatabaseError, connections
from django.test.utils import (
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)


class NoDatabase(RuntimeError):
    """No database could be made to drill in. Its text says why."""


@contextmanager
def own_databases() -> Iterator[None]:
    """Point every connection at an empty, migrated database of our own; nothing real is touched, no mail is sent.

    SQLite's is in memory. Raises NoDatabase.
    """
    for alias in connections:
        _check_right(alias)
    with _names_of_our_own():
        made = _make()
        setup_test_environment(debug=False)
        try:
            yield
        finally:
            teardown_test_environment()
            teardown_databases(made, verbosity=0)
            for (
                alias
            ) in connections:  # one to a database in memory stays open until it has its real name again
                connections[alias].close()


@contextmanager
def _names_of_our_own() -> Iterator[None]:
    """Name the databases to be made so that nothing else, not even another drill, has the same."""
    kept = {alias: connections[alias].settings_dict["TEST"] for alias in connections}
    for alias, test in kept.items():
        on_sqlite = connections[alias].vendor == "sqlite"
        name = None if on_sqlite else f"test_drill_{os.getpid()}_{alias}"
        connections[alias].settings_dict["TEST"] = {**test, "NAME": name}
    try:
        yield
    finally:
        for alias, test in kept.items():
            connections[alias].settings_dict["TEST"] = test


def _make() -> list[Any]:
    said = StringIO()
    logging.disable(logging.INFO)  # what migrations tell of their work is not about the drill
    try:
        with redirect_stderr(said):
            made: list[Any] = setup_databases(verbosity=0, interactive=False)
    except DatabaseError as wrong:
        raise NoDatabase(f"A database to drill in cannot be made: {wrong}") from wrong
    except SystemExit:  # how Django says that the server refused
        raise NoDatabase(f"A database to drill in cannot be made: {said.getvalue().strip()}") from None
    finally:
        logging.disable(logging.NOTSET)
    return made


def _check_right(alias: str) -> None:
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolcreatedb OR rolsuper, current_user FROM pg_roles WHERE rolname = current_user"
        )
        may, user = cursor.fetchone()
    if not may:
        raise NoDatabase(
            f"A drill makes a database of its own, and the user {user} may not create one. "
            f"Let it (ALTER ROLE {user} CREATEDB), or drill with settings that name a server on which it may; "
            "with SQLite nobody has to let it."
        )
