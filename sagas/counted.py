"""Counts up to a bound: any number of them in one statement, which is made once and asked again and again.

Django takes longer to make such a statement than a database to answer it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import QuerySet


class Counts:
    """How many rows some querysets find, each up to so many; what they ask for must not change."""

    def __init__(self, most: int, querysets: Callable[[], Sequence[QuerySet[Any]]]) -> None:
        """Take what returns the querysets, at least one and all of one database; it is called at the first count."""
        self._most = most
        self._querysets = querysets
        self._statement: tuple[str, str, list[Any]] | None = None

    def __call__(self) -> tuple[int, ...]:
        """Return what each of them finds at this moment."""
        if self._statement is None:
            self._statement = self._made()
        alias, sql, parameters = self._statement
        with connections[alias].cursor() as cursor:
            cursor.execute(sql, parameters)
            counted: tuple[int, ...] = cursor.fetchone()
        return counted

    def _made(self) -> tuple[str, str, list[Any]]:
        querysets = self._querysets()
        alias = querysets[0].db
        counts: list[str] = []
        parameters: list[Any] = []
        for queryset in querysets:
            bounded = queryset.order_by().values("pk")[: self._most]
            try:
                sql, given = bounded.query.get_compiler(using=alias).as_sql()
            except EmptyResultSet:  # as Django knows without asking
                counts.append("0")
                continue
            counts.append(f"(SELECT count(*) FROM ({sql}) AS found)")  # noqa: S608 - Django's own words
            parameters += given
        return alias, f"SELECT {', '.join(counts)}", parameters
