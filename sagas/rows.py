"""Rows by the hundred: one statement inserts, updates, deletes or reads any number of them.

The ORM builds an object per row and a parameter per value; under load that is most of the work.
PostgreSQL takes a whole :class:`Batch` as one statement that it plans once: each part's rows are one
JSON document, and what many rows share is another. SQLite, which has no wire to cross, takes one prepared
statement many times.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import orjson
from django.db import DataError, connection, connections, models, router, transaction
from django.db.models.constants import OnConflict
from django.db.models.expressions import DatabaseDefault

Model = type[models.Model]
Row = tuple[Any, ...]


#: From so many rows on, a value that all of them share is sent once: reading it is most of what a row costs.
MANY = 6
#: PostgreSQL's code for what no row or no index can hold: that is one row's fault, and not the database's.
TOO_LARGE = "54000"
#: And for a lock that somebody keeps for longer than is waited for.
LOCKED = "55P03"
#: And for transactions that wait for each other, of which it has ended this one.
DEADLOCKED = "40P01"


class Stale(RuntimeError):
    """A row was not as it was matched. Nothing was written."""


def wait_at_most(milliseconds: int) -> None:
    """Have this transaction wait no longer than that for a lock, where the database can: on PostgreSQL."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {milliseconds}")


class Batch:
    """Changes that are written together, in the order in which they were added: all of them, or none.

    The parts of a batch must not touch the same row twice. Columns are field attribute names.
    """

    def __init__(self, model: Model) -> None:
        """Write to the database of this model; the others must live there, too."""
        self._alias = router.db_for_write(model)
        self._parts: list[_Part] = []

    def insert(
        self, model: Model, columns: tuple[str, ...], rows: Sequence[Row], told: tuple[str, ...] = ()
    ) -> list[Row]:
        """Insert rows, each a tuple in the order of ``columns``.

        :meth:`write` fills the list that is returned with what the new rows have in the columns ``told``, in any order.
        """
        return self._add(_insert, model, columns, rows, told)

    def update(
        self, model: Model, match: tuple[str, ...], columns: tuple[str, ...], rows: Sequence[Row]
    ) -> None:
        """Update rows, each a tuple of the values to match, then the new ones; each must be there.

        The values to match are the row's key and whatever must not have changed: compare and set.
        A field that is matched and set stands twice: match it under its own name, set it as ``name=``.
        """
        self._add(_update, model, (*match, "", *columns), rows)

    def delete(self, model: Model, column: str, values: Sequence[Any]) -> None:
        """Delete the rows that have one of these values."""
        self._add(_delete, model, (column,), [(value,) for value in values])

    def write(self) -> None:
        """Write it all; raises :class:`Stale` if a row to update is not there as it was matched."""
        if not self._parts:
            return
        connection = connections[self._alias]
        if connection.vendor == "postgresql":
            self._write_at_once(connection)
        else:
            with transaction.atomic(using=self._alias), connection.cursor() as cursor:
                for part in self._parts:
                    part.execute(cursor, connection)

    def _add(
        self,
        build: Any,
        model: Model,
        columns: tuple[str, ...],
        rows: Sequence[Row],
        told: tuple[str, ...] = (),
    ) -> list[Row]:
        part = _Part(build, model, columns, rows, told)
        if rows:
            self._parts.append(part)
        return part.found

    def _write_at_once(self, connection: Any) -> None:
        from psycopg.errors import DivisionByZero  # only here is it sure to be there

        statement = _together(tuple(part.kind for part in self._parts), connection.alias)
        parameters = [document for part in self._parts for document in part.documents]
        expected = [len(part.rows) for part in self._parts if part.exact]
        try:
            with prepared(connection) as cursor:
                cursor.execute(statement, [*parameters, *expected])
                telling = [part for part in self._parts if part.told]
                if telling:
                    for part, text in zip(telling, cursor.fetchone()[1:], strict=True):
                        part.hear(orjson.loads(text))
        except DataError as fault:
            if isinstance(fault.__cause__, DivisionByZero):
                raise Stale from None
            raise


class _Part:
    """Rows that one verb does one thing with."""

    def __init__(
        self, build: Any, model: Model, columns: tuple[str, ...], rows: Sequence[Row], told: tuple[str, ...]
    ) -> None:
        self.kind = (build, model, columns, len(rows) >= MANY and build is not _delete, told)
        self.rows = rows
        self.told = told
        self.found: list[Row] = []
        """What is told of the rows, once they are written."""

    @property
    def exact(self) -> bool:
        """Whether every row must be there."""
        return self.kind[0] is _update

    @property
    def documents(self) -> list[str]:
        """Return what PostgreSQL gets: the rows; of many, those without what they share, and that."""
        _, model, columns, many, _ = self.kind
        names = _aliases(columns)
        if not many:
            return [_encode([dict(zip(names, row, strict=True)) for row in self.rows])]
        values, shared = dict(zip(names, zip(*self.rows, strict=True), strict=True)), {}
        for name in _sharable(model, columns):
            first = values[name][0]
            if values[name].count(first) == len(self.rows):
                shared[name] = first
                del values[name]
        own = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
        return [_encode(own), _encode(shared)]

    def hear(self, listed: Iterable[list[Any]]) -> None:
        """Take what PostgreSQL tells of the rows."""
        _, model, *_ = self.kind
        self.found += [tuple(from_json(model, self.told, values)) for values in listed]

    def execute(self, cursor: Any, connection: Any) -> None:
        build, model, columns, *_ = self.kind
        prepare = _preparers(model, columns, connection.alias)
        order = _sqlite_order(columns)
        values = [[p(v) for p, v in zip(prepare, row, strict=True)] for row in self.rows]
        statement = build(model, columns, connection.alias, False)
        ordered = [[v[i] for i in order] for v in values]
        if self.told:
            self._execute_telling(cursor, statement, ordered, _readers(model, self.told, connection.alias))
            return
        cursor.executemany(statement, ordered)
        if self.exact and cursor.rowcount != len(self.rows):
            raise Stale

    def _execute_telling(self, cursor: Any, statement: str, ordered: Any, readers: Any) -> None:
        """Insert row by row: of many at a time, SQLite's driver does not say what was found."""
        for values in ordered:
            cursor.execute(statement + _returning(self.kind[1], self.told), values)
            self.found += [_read(row, readers) for row in cursor.fetchall()]


def array(keys: Iterable[Any]) -> str:
    """Write keys, which are numbers or UUIDs, as PostgreSQL's text of an array."""
    return "{" + ",".join(map(str, keys)) + "}"


#: A connection's cursor: one that is new costs more than a whole statement does on its way, since it has to learn
#: anew how each parameter is written.
_cursors: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


@contextmanager
def prepared(connection: Any) -> Iterator[Any]:
    """A cursor of PostgreSQL whose statements are planned once, where the connection's settings allow it.

    A connection has one for all: what a statement found is to be read before the next.
    """
    import psycopg  # only here is it sure to be there

    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor = _cursors.get(connection)
    if cursor is None or cursor.connection is not connection.connection:
        cursor = _cursors[connection] = psycopg.Cursor(connection.connection)
    with connection.wrap_database_errors:
        yield cursor


def select(
    model: Model, columns: tuple[str, ...], key: str, values: Collection[Any], order: str
) -> list[Row]:
    """Read the columns of the rows whose ``key`` is one of these values, in the order of one column."""
    connection = connections[router.db_for_read(model)]
    wanted = list(values)
    if not wanted:
        return []
    if connection.vendor == "postgresql":
        sql = _select_sql(model, columns, key, order, f"= ANY(%s::{_type(model, key, connection)}[])")
        with prepared(connection) as cursor:
            found = cursor.execute(sql, [array(wanted)]).fetchall()
    else:
        sql = _select_sql(model, columns, key, order, f"IN ({', '.join(['%s'] * len(wanted))})")
        with connection.cursor() as cursor:
            cursor.execute(sql, [_field(model, key).get_db_prep_save(value, connection) for value in wanted])
            found = cursor.fetchall()
    readers = _readers(model, columns, connection.alias)
    return [_read(row, readers) for row in found]


def firsts(
    model: Model,
    columns: tuple[str, ...],
    condition: str,
    order: str,
    limit: int,
    asked: Iterable[Sequence[Any]],
) -> list[Row]:
    """Read, for each set of the condition's parameters, the first rows by one column: on SQLite, which is next door.

    The statement is prepared once; the ORM would make a query anew for each set, which takes ten times as long.
    """
    connection = connections[router.db_for_write(model)]
    listed = ", ".join(_column(model, c) for c in columns)
    sql = (
        f'SELECT {listed} FROM "{model._meta.db_table}" WHERE {condition}'  # noqa: S608 - names are our models' own
        f" ORDER BY {_column(model, order)} LIMIT {int(limit)}"
    )
    found: list[Any] = []
    with connection.cursor() as cursor:
        for parameters in asked:
            cursor.execute(sql, parameters)
            found += cursor.fetchall()
    readers = _readers(model, columns, connection.alias)
    return [_read(row, readers) for row in found]


def insert_unless_there(new: models.Model) -> bool:
    """Insert a row, unless its key is there already or being inserted, which is waited for; return whether it was.

    ``bulk_create`` does not say, and its caller has to look. For any database: it is in the backend's own words.
    """
    alias = router.db_for_write(type(new))
    connection = connections[alias]
    values = {field: field.pre_save(new, True) for field in new._meta.concrete_fields if not field.generated}
    values = {field: value for field, value in values.items() if not isinstance(value, DatabaseDefault)}
    with connection.cursor() as cursor:
        cursor.execute(
            _insert_unless_there(type(new), tuple(values), alias),
            [field.get_db_prep_save(value, connection) for field, value in values.items()],
        )
        inserted = bool(cursor.rowcount)
    new._state.adding, new._state.db = not inserted, alias
    return inserted


@lru_cache(maxsize=256)
def _insert_unless_there(model: Model, fields: tuple[Any, ...], alias: str) -> str:
    ops, unique = connections[alias].ops, (model._meta.pk,)
    words = ops.insert_statement(on_conflict=OnConflict.IGNORE)
    suffix = ops.on_conflict_suffix_sql(fields, OnConflict.IGNORE, (), unique)
    columns = ", ".join(ops.quote_name(field.column) for field in fields)
    placeholders = ", ".join(["%s"] * len(fields))
    return f"{words} {ops.quote_name(model._meta.db_table)} ({columns}) VALUES ({placeholders}) {suffix}"


def latest(model: Model, name: str, moment: datetime) -> str:
    """Return how SQLite writes that moment in that column, at its longest: what is not later is not greater.

    Times are compared as texts there, and a full second is written with its fraction by ``Now()``, without by Python.
    """
    text = str(_field(model, name).get_db_prep_save(moment, connections[router.db_for_write(model)]))
    return text if moment.microsecond else f"{text}.000000"


def as_json(model: Model, columns: tuple[str, ...], table: str) -> str:
    """Return PostgreSQL's expression for these columns of a row, as a JSON array; :func:`from_json` reads it."""
    listed = ", ".join(f"{table}.{_column(model, c)}" for c in columns)
    return f"json_build_array({listed})"


def from_json(model: Model, columns: tuple[str, ...], values: list[Any]) -> list[Any]:
    """Turn the values of such an array into ours, in place; JSON knows no UUIDs and no times."""
    for index, reader in _json_readers(model, columns):
        if values[index] is not None:
            values[index] = reader(values[index])
    return values


@lru_cache(maxsize=256)
def _json_readers(model: Model, columns: tuple[str, ...]) -> list[tuple[int, Callable[[Any], Any]]]:
    readers: dict[type, Callable[[Any], Any]] = {
        models.UUIDField: UUID,
        models.DateTimeField: datetime.fromisoformat,
    }
    kinds = [_kind(model, c) for c in columns]
    return [(index, readers[kind]) for index, kind in enumerate(kinds) if kind in readers]


def _read(row: Row, readers: Sequence[tuple[int, Callable[[Any], Any]]]) -> Row:
    values = list(row)
    for index, reader in readers:
        values[index] = reader(values[index])
    return tuple(values)


def _encode(document: list[dict[str, Any]] | dict[str, Any]) -> str:
    try:
        return orjson.dumps(document).decode()
    except TypeError:  # a number of more than 64 bits, which is plain JSON all the same
        return json.dumps(document, default=lambda o: o.isoformat() if isinstance(o, datetime) else str(o))


def _plain(columns: tuple[str, ...]) -> list[str]:
    return [c.rstrip("=") for c in columns if c]


@lru_cache(maxsize=256)
def _aliases(columns: tuple[str, ...]) -> list[str]:
    return [f"new_{c[:-1]}" if c.endswith("=") else c for c in columns if c]


@lru_cache(maxsize=256)
def _sharable(model: Model, columns: tuple[str, ...]) -> list[str]:
    """Return the columns of which many rows may share a value; never the first, so that each row is told of.

    Not what is matched, which is looked up row by row; nor JSON, where 1 equals true and is something else; nor keys
    and tokens, of which no two rows have the same.
    """
    new = columns[columns.index("") + 1 if "" in columns else 1 :]
    kinds = [_kind(model, c.rstrip("=")) for c in new]
    return [n for n, kind in zip(_aliases(new), kinds, strict=True) if not issubclass(kind, _OWN)]


_OWN = (models.JSONField, models.UUIDField)


@lru_cache(maxsize=256)
def _sqlite_order(columns: tuple[str, ...]) -> list[int]:
    """In an UPDATE the new values come first, the values to match last; an INSERT has no "" mark."""
    if "" not in columns:
        return list(range(len(columns)))
    matched = columns.index("")
    return [*range(matched, len(columns) - 1), *range(matched)]


@lru_cache(maxsize=256)
def _preparers(model: Model, columns: tuple[str, ...], alias: str) -> list[Any]:
    connection = connections[alias]

    def preparer(field: Any) -> Any:
        return lambda value: field.get_db_prep_save(value, connection)

    return [preparer(_field(model, c)) for c in _plain(columns)]


@lru_cache(maxsize=256)
def _readers(model: Model, columns: tuple[str, ...], alias: str) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return what turns the database's values into ours, for the columns that need it."""
    connection = connections[alias]

    def reader(expression: Any) -> Callable[[Any], Any] | None:
        backend = connection.ops.get_db_converters(expression)
        converters = [*backend, *expression.get_db_converters(connection)]

        def convert(value: Any) -> Any:
            for converter in converters:
                value = converter(value, expression, connection)
            return value

        return convert if converters else None

    found = [reader(_field(model, c).get_col(model._meta.db_table)) for c in columns]
    return [(index, read) for index, read in enumerate(found) if read]


def _field(model: Model, name: str) -> Any:
    return next(f for f in model._meta.concrete_fields if name in (f.attname, f.name))


def _kind(model: Model, name: str) -> type:
    """Return what kind of value a field has; one that refers to another row has that row's key."""
    field = _field(model, name)
    return type(field.target_field if field.is_relation else field)


def _column(model: Model, name: str) -> str:
    return f'"{_field(model, name).column}"'


@lru_cache(maxsize=256)
def _together(kinds: tuple[Any, ...], alias: str) -> str:
    """Return one statement that does what all the parts do, and fails, dividing by zero, if a row was not there."""
    parts = [
        f"p{n} AS ({build(model, columns, alias, many)}{_returning(model, told)})"
        for n, (build, model, columns, many, told) in enumerate(kinds)
    ]
    whole = [f"(SELECT count(*) FROM p{n}) = %s" for n, kind in enumerate(kinds) if kind[0] is _update]  # noqa: S608
    told = [
        f", (SELECT json_agg({as_json(model, told, f'p{n}')})::text FROM p{n})"  # noqa: S608
        for n, (_, model, _, _, told) in enumerate(kinds)
        if told
    ]
    return f"WITH {', '.join(parts)} SELECT 1 / ({' AND '.join(whole) or 'true'})::int{''.join(told)}"


def _returning(model: Model, told: tuple[str, ...]) -> str:
    return f" RETURNING {', '.join(_column(model, c) for c in told)}" if told else ""


@lru_cache(maxsize=256)
def _insert(model: Model, columns: tuple[str, ...], alias: str, many: bool) -> str:
    into = f'INSERT INTO "{model._meta.db_table}" ({", ".join(_column(model, c) for c in columns)})'
    if connections[alias].vendor == "postgresql":
        # In the order of the columns. Listed once more, they would make a statement that psycopg reads anew each time.
        return f"{into} SELECT * FROM {_recordset(model, columns, alias, many)}"  # noqa: S608
    return f"{into} VALUES ({', '.join(['%s'] * len(columns))})"


#: How a row is found by its key. Written as a plain equation, it could be found by reading the whole table as well, and
#: is, where a plan was made while the table was nearly empty: that plan is kept when a hundred thousand rows wait.
_LOOKED_UP = "{} = ANY (ARRAY[{}])"


@lru_cache(maxsize=256)
def _update(model: Model, columns: tuple[str, ...], alias: str, many: bool) -> str:
    middle = columns.index("")
    match, new = columns[:middle], columns[middle + 1 :]
    table = f'"{model._meta.db_table}"'
    if connections[alias].vendor == "postgresql":
        sets = ", ".join(
            f'{_column(model, c.rstrip("="))} = v."{a}"' for c, a in zip(new, _aliases(new), strict=True)
        )
        where = " AND ".join(_LOOKED_UP.format(f"{table}.{_column(model, c)}", f'v."{c}"') for c in match)
        return f"UPDATE {table} SET {sets} FROM {_recordset(model, columns, alias, many)} WHERE {where} RETURNING 1"  # noqa: S608
    sets = ", ".join(f"{_column(model, c.rstrip('='))} = %s" for c in new)
    where = " AND ".join(f"{_column(model, c)} = %s" for c in match)
    return f"UPDATE {table} SET {sets} WHERE {where}"  # noqa: S608


@lru_cache(maxsize=256)
def _delete(model: Model, columns: tuple[str, ...], alias: str, many: bool) -> str:
    table, column = f'"{model._meta.db_table}"', _column(model, columns[0])
    if connections[alias].vendor == "postgresql":
        source = _recordset(model, columns, alias, many)
        where = _LOOKED_UP.format(f"{table}.{column}", f'v."{columns[0]}"')
        return f"DELETE FROM {table} USING {source} WHERE {where}"  # noqa: S608
    return f"DELETE FROM {table} WHERE {column} = %s"  # noqa: S608


@lru_cache(maxsize=256)
def _select_sql(model: Model, columns: tuple[str, ...], key: str, order: str, condition: str) -> str:
    listed = ", ".join(_column(model, c) for c in columns)
    table = model._meta.db_table
    where = f"{_column(model, key)} {condition}"
    return f'SELECT {listed} FROM "{table}" WHERE {where} ORDER BY {_column(model, order)}'  # noqa: S608


def _type(model: Model, name: str, connection: Any) -> str:
    return str(_field(model, name).cast_db_type(connection))


def _recordset(model: Model, columns: tuple[str, ...], alias: str, many: bool) -> str:
    """Return the rows as PostgreSQL reads them; of many, each with what they share."""
    connection = connections[alias]
    types = {a: _type(model, c, connection) for a, c in zip(_aliases(columns), _plain(columns), strict=True)}
    rows = f"json_to_recordset(%s::json) AS {{}}({_typed(types)})"
    if not many:
        return rows.format("v")
    shared = {name: types[name] for name in _sharable(model, columns)}
    listed = ", ".join(f'COALESCE(r."{n}", s."{n}") AS "{n}"' if n in shared else f'r."{n}"' for n in types)
    one = f"json_to_record(%s::json) AS s({_typed(shared)})"
    return f"(SELECT {listed} FROM {rows.format('r')}, {one}) AS v"  # noqa: S608


def _typed(types: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in types.items())
