"""The database's time: the only clock for leases, due times and deadlines."""

import time
from datetime import UTC, datetime, timedelta

from django.db import DEFAULT_DB_ALIAS, connections

from sagas import rows

#: Seconds for which the database's time is carried on by our own clock before it is asked for again.
FRESH = 5.0
#: The database's time when we last heard it, and our own clock's.
_heard: tuple[datetime, float] | None = None


def database_now() -> datetime:
    """Return the time of the database, aware, in UTC."""
    connection = connections[DEFAULT_DB_ALIAS]
    if connection.vendor == "postgresql":
        with rows.prepared(connection) as cursor:
            return cursor.execute("SELECT clock_timestamp()").fetchone()[0].astimezone(UTC)  # type: ignore[no-any-return]
    with connection.cursor() as cursor:
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def about_now() -> datetime:
    """Return the time of the database without asking it each time: a moment late at most, and never early.

    Late by what an answer takes to arrive. So nothing becomes due, by this clock, that is not by the database's.
    """
    global _heard
    if connections[DEFAULT_DB_ALIAS].vendor != "postgresql":
        return database_now()  # on our own machine: asking costs next to nothing
    heard = _heard
    if heard is None or time.monotonic() - heard[1] > FRESH:
        _heard = heard = database_now(), time.monotonic()
    return heard[0] + timedelta(seconds=time.monotonic() - heard[1])
