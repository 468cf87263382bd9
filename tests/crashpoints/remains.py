"""What a dead process leaves behind: rows, keys in Redis, and what its client was told.

Two deaths that leave the same are recovered from in the same way, so that is done once. Ids and times differ from run
to run and mean nothing by themselves: an id counts by where else it stands, a time by whether there is one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.db import connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from sagas import bell
from sagas.models import Definition
from tests.crashpoints import seams
from tests.crashpoints.stage import TABLES, Stage

_ID = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|(stage|worker-[^']+)-[0-9a-f]{6}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(\+00:00|Z)?")


@contextmanager
def onlooker() -> Iterator[BaseDatabaseWrapper]:
    """Connect to the database as somebody else, who sees only what is committed."""
    other = connections.create_connection("default")
    other.ensure_connection()
    try:
        yield other
    finally:
        other.close()


def remains(stage: Stage, seen_by: BaseDatabaseWrapper) -> str:
    """Return all of it as one text, as an open connection sees it."""
    with seams.aside():
        redis = bell.connection()
        keys = {
            key.decode(): redis.llen(key) if key.startswith(b"rq:queue:") else 0 for key in redis.scan_iter()
        }
    text = repr(
        (
            _rows(seen_by.connection.cursor()),
            sorted(map(str, stage.told)),
            sorted((_ID.sub("id", key), n) for key, n in keys.items()),
        )
    )
    ids: dict[str, int] = {}
    text = _ID.sub(lambda found: f"id {ids.setdefault(found[0].replace('-', ''), len(ids))}", text)
    return _TIME.sub("time", text)


def _rows(cursor: Any) -> list[Any]:
    """Read the rows with the driver's own cursor: Django's would refuse where a handler's event loop runs."""
    if connection.vendor == "postgresql":  # one journey instead of ten
        lists = ", ".join(f"(SELECT array_agg(t::text) FROM ({sql}) AS t)" for sql in _selects())  # noqa: S608 - our own
        return list(cursor.execute(f"SELECT {lists}").fetchone())
    return [[tuple(map(str, row)) for row in cursor.execute(sql).fetchall()] for sql in _selects()]


#: Where a row's key depends on others' ids, which differ from run to run: what it goes by before.
_ORDERS = {Definition: "length(CAST(document AS text)), "}


@cache
def _selects() -> list[str]:
    return [
        f"SELECT {', '.join(_column(f) for f in model._meta.concrete_fields)} FROM {model._meta.db_table}"  # noqa: S608
        # Not by the 0 that stands for the key.
        f" ORDER BY {_ORDERS.get(model, '')}{model._meta.db_table}.{model._meta.pk.column}"
        for model in TABLES
    ]


def _column(field: Any) -> str:
    if isinstance(field, models.AutoField):
        return f"0 AS {field.column}"
    return f"{field.column} IS NULL" if isinstance(field, models.DateTimeField) else str(field.column)
