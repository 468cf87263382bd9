"""Where a drill may run: in a test database, in transactions that are always rolled back."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.creation import TEST_DATABASE_PREFIX


class NotATestDatabase(RuntimeError):
    """A drill was about to run in a database that people use. Its text says which, and what to do."""


def refuse_real(aliases: tuple[str, ...]) -> None:
    """Raise NotATestDatabase unless all of these are databases that were made for tests."""
    for alias in aliases:
        connection = connections[alias]
        name = str(connection.settings_dict["NAME"])
        own = (connection.settings_dict.get("TEST") or {}).get("NAME")
        made_for_tests = Path(name).name.startswith(TEST_DATABASE_PREFIX) or "mode=memory" in name
        if not (made_for_tests or name == ":memory:" or (own and name.startswith(str(own)))):
            raise NotATestDatabase(
                f"The database {name!r} is no test database, and a drill never touches another. "
                "Run it in a test, or with `manage.py saga drill`, which makes a database of its own."
            )


@contextmanager
def undone(aliases: tuple[str, ...]) -> Iterator[None]:
    """Undo whatever is written within, in all of these databases."""
    with ExitStack() as stack:
        for alias in aliases:
            atomic: Any = transaction.atomic(using=alias)
            # As Django's TestCase does, so that participants may insist on a durable transaction of their own.
            atomic._from_testcase = True
            stack.enter_context(atomic)
        yield
        for alias in aliases:
            transaction.set_rollback(True, using=alias)
