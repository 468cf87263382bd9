"""A check: a question for rows that are not as they should be, and what is said of each.

The questions are always the same. Django takes several times as long to put one into words as the database takes to
answer it, so it does so once.
"""

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, NamedTuple, TypeVarTuple

from django.db import connections, router
from django.db.models import Model, QuerySet

from participants.audit.finding import Finding

Ts = TypeVarTuple("Ts")
Told = Callable[[Any], Finding]
#: The rows that are off, and what is said of one.
Asked = tuple[QuerySet[Any], Told]


class _Worded(NamedTuple):
    """A question in the database's words."""

    model: type[Model]
    sql: str
    parameters: tuple[Any, ...]
    told: Told


def check(asked: Callable[[*Ts], Asked]) -> Callable[[*Ts], Iterator[Finding]]:
    """Turn a function into one that asks what it returns, and yields what is told of each row that is found.

    Its arguments are all that the question may depend on.
    """
    worded: dict[tuple[Any, ...], _Worded] = {}

    @wraps(asked)
    def ask(*args: *Ts) -> Iterator[Finding]:
        if args not in worded:
            worded[args] = _word(*asked(*args))
        model, sql, parameters, told = worded[args]
        for row in model._base_manager.raw(sql, parameters):
            yield told(row)

    return ask


def _word(rows: QuerySet[Any], told: Told) -> _Worded:
    connection = connections[router.db_for_read(rows.model)]
    sql, parameters = rows.query.get_compiler(connection=connection).as_sql()
    return _Worded(rows.model, sql, tuple(parameters), told)
