"""Pages of lists: what is on one, and where the next one begins."""

from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any, Protocol, TypeVar

from django.db.models import Model, QuerySet

_Row = TypeVar("_Row")
_Stored = TypeVar("_Stored", bound=Model)


class Query(Protocol):
    """What was asked for: ``after`` is the ``next`` of the page before."""

    @property
    def after(self) -> Any: ...

    @property
    def limit(self) -> int: ...


def paged(rows: QuerySet[_Stored], query: Query, key: str = "-pk") -> tuple[list[_Stored], Any]:
    """Return the rows of a page, in the order of a unique column, and the ``next``; None: there are no more."""
    name = key.removeprefix("-")
    if query.after is not None:
        rows = rows.filter(**{f"{name}__{'gt' if key == name else 'lt'}": query.after})
    return cut(rows.order_by(key)[: query.limit + 1], query, attrgetter(name))


def cut(found: Iterable[_Row], query: Query, key: Callable[[_Row], Any]) -> tuple[list[_Row], Any]:
    """Do so with what was found, which is one more than a page holds if there are more."""
    listed = list(found)
    page = listed[: query.limit]
    return page, key(page[-1]) if len(listed) > query.limit else None
