"""Finding sagas by their data: a path that the setting SEARCHABLE names has an index, and so may be asked for.

Only those: a look into every saga's data would read the whole table.
"""

import hashlib
import logging
import re
from typing import Any

from django.db import connections
from django.db.models import TextField
from django.db.models.expressions import RawSQL

from sagas.conf import settings
from sagas.models import Saga, SagaQuerySet

log = logging.getLogger(__name__)

#: So many characters of a value are in its index: PostgreSQL takes no more than 2,700 bytes of it all.
INDEXED = 200

#: What a query calls a path: ``data.order_id=17``.
PREFIX = "data."


class NotSearchable(LookupError):
    """A path that has no index. Its text says which have one."""


def paths() -> tuple[str, ...]:
    """Return the paths that may be asked for, dots between their keys."""
    return settings().SEARCHABLE


def check(path: str) -> None:
    """Raise NotSearchable unless a path may be asked for."""
    if path not in paths():
        known = ", ".join(paths()) or "none"
        raise NotSearchable(f"is not searchable; the setting SEARCHABLE names {known}")


def with_value(sagas: SagaQuerySet, path: str, value: str) -> SagaQuerySet:
    """Return the sagas that have this value, as a text, at a path of their data. Raises NotSearchable."""
    check(path)
    vendor, alias = connections[sagas.db].vendor, f"sought_{paths().index(path)}"
    whole = RawSQL(_expression(path, vendor), (), TextField())  # noqa: S611 - the path is one of ours
    begun = RawSQL(_indexed(path, vendor), (), TextField())  # noqa: S611
    named = sagas.alias(**{alias: whole, f"{alias}_begun": begun})
    return named.filter(**{alias: value, f"{alias}_begun": value[:INDEXED]})


def make_indexes(using: str) -> None:
    """Make the indexes that are missing; writers are not held up. Drop those of paths that are no longer named."""
    connection = connections[using]
    table = Saga._meta.db_table
    wanted = {_name(_indexed(path, connection.vendor)): path for path in paths()}
    with connection.cursor() as cursor:
        present = {
            name
            for name in connection.introspection.get_constraints(cursor, table)
            if re.fullmatch(r"saga_data_[0-9a-f]{12}", name)
        }
        meanwhile = "CONCURRENTLY" if connection.vendor == "postgresql" else ""
        for name in sorted(wanted.keys() - present):
            log.info("making the index for data.%s", wanted[name])
            indexed = _indexed(wanted[name], connection.vendor)
            cursor.execute(f"CREATE INDEX {meanwhile} {name} ON {table} (({indexed}), id DESC)")
        for name in sorted(present - wanted.keys()):  # last: who searches has an index all the time
            cursor.execute(f"DROP INDEX {meanwhile} {name}")


def _name(indexed: str) -> str:
    return f"saga_data_{hashlib.sha256(indexed.encode()).hexdigest()[:12]}"


def _indexed(path: str, vendor: str) -> str:
    """Return how the value at a path begins, in words that query and index must share."""
    return f"substr({_expression(path, vendor)}, 1, {INDEXED})"


def _expression(path: str, vendor: str) -> str:
    """Return the value at a path as a text."""
    keys = path.split(".")
    if vendor == "postgresql":
        return f"data #>> '{{{','.join(keys)}}}'"
    quoted = "".join(f'."{key}"' for key in keys)
    return f"CAST(json_extract(data, '${quoted}') AS TEXT)"


def on_migrated(*, using: str, **_: Any) -> None:
    """Bring the indexes in line with the setting. Listens to Django's ``post_migrate``."""
    if Saga._meta.db_table in connections[using].introspection.table_names():
        make_indexes(using)
