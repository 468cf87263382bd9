"""Rows by the hundred: one statement inserts, or updates, any number of them.

The ORM builds an object per row and a parameter per value; under load that is most of the work.
PostgreSQL takes all rows as one JSON document, SQLite one prepared statement many times.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections, models, router


def insert(model: type[models.Model], columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; each is a tuple in the order of ``columns``, which are field attribute names."""
    if rows:
        _run(model, _insert_sql, columns, rows)


def update(
    model: type[models.Model],
    match: tuple[str, ...],
    columns: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> int:
    """Update rows and return how many matched; each is a tuple of the values to match, then the new ones.

    The values to match are the row's key and whatever must not have changed: compare and set.
    A field that is matched and set stands twice: match it under its own name, set it as ``name=``.
    """
    return _run(model, _update_sql, (*match, "", *columns), rows) if rows else 0


def _run(
    model: type[models.Model], build: Any, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    connection = connections[router.db_for_write(model)]
    sql = build(model, columns, connection.vendor, connection.alias)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            names = _aliases(columns)
            document = json.dumps([dict(zip(names, row, strict=True)) for row in rows], cls=_Encoder)
            cursor.execute(sql, [document])
        else:
            prepare = _preparers(model, columns, connection.alias)
            order = _sqlite_order(columns)
            prepared = [[p(v) for p, v in zip(prepare, row, strict=True)] for row in rows]
            cursor.executemany(sql, [[values[i] for i in order] for values in prepared])
        return int(cursor.rowcount)


class _Encoder(DjangoJSONEncoder):
    """Full microseconds: Django's own cuts times to milliseconds."""

    def default(self, o: Any) -> Any:
        return o.isoformat() if hasattr(o, "isoformat") else super().default(o)


def _plain(columns: tuple[str, ...]) -> list[str]:
    return [c.rstrip("=") for c in columns if c]


def _aliases(columns: tuple[str, ...]) -> list[str]:
    return [f"new_{c[:-1]}" if c.endswith("=") else c for c in columns if c]


def _sqlite_order(columns: tuple[str, ...]) -> list[int]:
    """In an UPDATE the new values come first, the values to match last; an INSERT has no "" mark."""
    if "" not in columns:
        return list(range(len(columns)))
    matched = columns.index("")
    return [*range(matched, len(columns) - 1), *range(matched)]


@lru_cache(maxsize=256)
def _preparers(model: type[models.Model], columns: tuple[str, ...], alias: str) -> list[Any]:
    connection = connections[alias]

    def preparer(field: Any) -> Any:
        return lambda value: field.get_db_prep_save(value, connection)

    return [preparer(_field(model, c)) for c in _plain(columns)]


def _field(model: type[models.Model], name: str) -> Any:
    return next(f for f in model._meta.concrete_fields if name in (f.attname, f.name))


def _column(model: type[models.Model], name: str) -> str:
    return f'"{_field(model, name).column}"'


@lru_cache(maxsize=256)
def _insert_sql(model: type[models.Model], columns: tuple[str, ...], vendor: str, alias: str) -> str:
    into = f'INSERT INTO "{model._meta.db_table}" ({", ".join(_column(model, c) for c in columns)})'
    if vendor == "postgresql":
        picked = ", ".join(f'v."{c}"' for c in columns)
        source = _recordset(model, columns, alias)
        return f"{into} SELECT {picked} FROM {source}"  # noqa: S608 - names are our models' own
    return f"{into} VALUES ({', '.join(['%s'] * len(columns))})"


@lru_cache(maxsize=256)
def _update_sql(model: type[models.Model], columns: tuple[str, ...], vendor: str, alias: str) -> str:
    middle = columns.index("")
    match, new = columns[:middle], columns[middle + 1 :]
    table = f'"{model._meta.db_table}"'
    if vendor == "postgresql":
        sets = ", ".join(
            f'{_column(model, c.rstrip("="))} = v."{a}"' for c, a in zip(new, _aliases(new), strict=True)
        )
        where = " AND ".join(f'{table}.{_column(model, c)} = v."{c}"' for c in match)
        source = _recordset(model, columns, alias)
        return f"UPDATE {table} SET {sets} FROM {source} WHERE {where}"  # noqa: S608 - names are our models' own
    sets = ", ".join(f"{_column(model, c.rstrip('='))} = %s" for c in new)
    where = " AND ".join(f"{_column(model, c)} = %s" for c in match)
    return f"UPDATE {table} SET {sets} WHERE {where}"  # noqa: S608 - names are our models' own


def _recordset(model: type[models.Model], columns: tuple[str, ...], alias: str) -> str:
    connection = connections[alias]
    types = [_field(model, c).cast_db_type(connection) for c in _plain(columns)]
    typed = ", ".join(f'"{a}" {t}' for a, t in zip(_aliases(columns), types, strict=True))
    return f"jsonb_to_recordset(%s::jsonb) AS v({typed})"
