"""The database's time is the only one: what our own clocks say is nobody's business."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import TextField, Value
from django.db.models.functions import Now

from sagas import clock
from sagas.conf import settings
from sagas.engine import claims, reap
from sagas.models import Due

pytestmark = pytest.mark.django_db(transaction=True)

_SHIFTED = """
CREATE OR REPLACE FUNCTION shifted.{name}() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT pg_catalog.{name}() + interval '{seconds} seconds' $$
"""


@pytest.fixture
def database_is(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Set the clock of this connection's database forward or back by so many seconds."""

    def shift(seconds: int) -> None:
        monkeypatch.setattr(clock, "_heard", None)
        _shift(seconds)

    yield shift
    connection.close()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS shifted CASCADE")


def _shift(seconds: int) -> None:
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("CREATE SCHEMA IF NOT EXISTS shifted")
            for name in ("statement_timestamp", "clock_timestamp"):
                cursor.execute(_SHIFTED.format(name=name, seconds=seconds))
            cursor.execute("SET search_path = shifted, pg_catalog, public")
        return
    real = sqlite3.connect(":memory:", check_same_thread=False)

    def strftime(pattern: str, *moment: str) -> Any:
        return real.execute("SELECT strftime(?, ?, ?)", (pattern, *moment, f"{seconds} seconds")).fetchone()[
            0
        ]

    connection.connection.create_function("strftime", -1, strftime)


def test_a_lease_begins_and_ends_by_the_databases_clock(
    errand: Any, database_is: Callable[[int], None]
) -> None:
    database_is(-3600)
    errand()
    assert len(claims.claim(["fetch"], 1, "worker")) == 1
    lease = timedelta(seconds=settings().LEASE + 1)
    assert Due.objects.filter(lease_until__gt=Now(), lease_until__lt=Now() + lease).exists()
    assert reap() == 0
    database_is(+3600)
    assert reap() == 1


def test_what_is_due_later_is_due_by_the_databases_clock(
    errand: Any, database_is: Callable[[int], None]
) -> None:
    database_is(-3600)
    errand()
    Due.objects.update(due_at=Now() + timedelta(seconds=600))
    assert claims.claim(["fetch"], 1, "worker") == []
    database_is(0)
    assert len(claims.claim(["fetch"], 1, "worker")) == 1


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize(
    "written", ["2026-03-04 05:06:07", "2026-03-04 05:06:07.000", "2026-03-04 05:06:07.000000"]
)
def test_what_is_due_at_a_full_second_is_due_then_however_it_was_written(
    errand: Any, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    errand()
    Due.objects.update(due_at=Value(written, TextField()))
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    monkeypatch.setattr(claims, "database_now", lambda: now - timedelta(milliseconds=1))
    assert claims.claim(["fetch"], 1, "me") == []
    monkeypatch.setattr(claims, "database_now", lambda: now)
    assert len(claims.claim(["fetch"], 1, "me")) == 1
