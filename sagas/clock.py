"""The database's time: the only clock for leases, due times and deadlines."""

from datetime import UTC, datetime

from django.db import connection


def database_now() -> datetime:
    """Return the time of the database, aware, in UTC."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT statement_timestamp()")
            return cursor.fetchone()[0].astimezone(UTC)  # type: ignore[no-any-return]
        cursor.execute("SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')")
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)
