"""Finding sagas by their data: a path that the setting SEARCHABLE names has an index, and so may be asked for.

Only those: a look into every saga's data would read the whole table.
"""

import hashlib
import logging
import re
from typing import Any

from django.db import connections
from django.db.models import QuerySet, TextField
from django.db.models.expressions import RawSQL

from sagas.conf import settings
from sagas.models import Saga

log = logging.getLogger(__name__)

#: What a query calls a path: ``data.order_id=17``.
PREFIX = "data."


class NotSearchable(LookupError):
    """A path that has no index. Its text says which have one."""


def paths() -> tuple[str, ...]:
    """Return the paths that may be asked for, dots between their keys."""
    return settings().SEARCHABLE


def with_value(sagas: QuerySet[Saga], path: str, value: str) -> QuerySet[Saga]:
    """Return the sagas that have this value, as a text, at a path of their data. Raises NotSearchable."""
    if path not in paths():
        known = ", ".join(paths()) or "none"
        raise NotSearchable(f"is not searchable; the setting SEARCHABLE names {known}")
    sql = _expression(path, connections[sagas.db].vendor)
    alias = f"sought_{paths().index(path)}"
    return sagas.alias(**{alias: RawSQL(sql, (), TextField())}).filter(**{alias: value})  # noqa: S611 - checked


def make_indexes(using: str) -> None:
    """Make the indexes that are missing; writers are not held up. Drop those of paths that are no longer named."""
    connection = connections[using]
    table = Saga._meta.db_table
    wanted = {_name(path): path for path in paths()}
    with connection.cursor() as cursor:
        present = {
            name
            for name in connection.introspection.get_constraints(cursor, table)
            if re.fullmatch(r"saga_data_[0-9a-f]{12}", name)
        }
        meanwhile = "CONCURRENTLY" if connection.vendor == "postgresql" else ""
        for name in sorted(present - wanted.keys()):
            cursor.execute(f"DROP INDEX {meanwhile} {name}")
        for name in sorted(wanted.keys() - present):
            log.info("making the index for data.%s", wanted[name])
            expression = _expression(wanted[name], connection.vendor)
            cursor.execute(f"CREATE INDEX {meanwhile} {name} ON {table} (({expression}), id DESC)")


def _name(path: str) -> str:
    return f"saga_data_{hashlib.sha256(path.encode()).hexdigest()[:12]}"


def _expression(path: str, vendor: str) -> str:
    """Return the value at a path as a text, in words that query and index must share."""
    keys = path.split(".")
    if vendor == "postgresql":
        return f"data #>> '{{{','.join(keys)}}}'"
    quoted = "".join(f'."{key}"' for key in keys)
    return f"CAST(json_extract(data, '${quoted}') AS TEXT)"


def on_migrated(*, using: str, **_: Any) -> None:
    """Bring the indexes in line with the setting. Listens to Django's ``post_migrate``."""
    if Saga._meta.db_table in connections[using].introspection.table_names():
        make_indexes(using)
