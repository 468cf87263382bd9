"""Keyset paging by id, newest first: no page is counted, and a page stays where it was while rows arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Model, QuerySet

#: Rows on a page.
SIZE = 50


@dataclass(frozen=True)
class Page:
    """One page of rows, and the query strings of its neighbours."""

    rows: Sequence[Any]
    newer: str | None
    older: str | None
    first: bool
    """Whether it is the newest page, where new rows would appear."""


def keyset(rows: QuerySet[Any], query: Mapping[str, Any], kept: Mapping[str, str]) -> Page:
    """Return the page that a query string's ``after`` (older than) or ``before`` (newer than) asks for."""
    after, before = cursor(rows.model, query.get("after")), cursor(rows.model, query.get("before"))
    if before is not None:
        found = list(rows.filter(pk__gt=before).order_by("pk")[: SIZE + 1])
        more_newer, more_older = len(found) > SIZE, True
        found = found[:SIZE][::-1]
    else:
        rows = rows.filter(pk__lt=after) if after is not None else rows
        found = list(rows.order_by("-pk")[: SIZE + 1])
        more_newer, more_older = after is not None, len(found) > SIZE
        found = found[:SIZE]
    return Page(
        rows=found,
        newer=_link(kept, "before", _key(found[0]) if found else after) if more_newer else None,
        older=_link(kept, "after", _key(found[-1]) if found else before) if more_older else None,
        first=not more_newer,
    )


def cursor(model: type[Model], value: Any) -> Any:
    """Read a cursor as the model's key; None for none, or for nonsense."""
    if not value:
        return None
    try:
        key = model._meta.pk.to_python(value)
    except Exception:  # a link that somebody edited shows the newest page
        return None
    return key if isinstance(key, UUID) or 0 <= key < 1 << 63 else None


def _key(row: Any) -> Any:
    return row.pk if isinstance(row, Model) else row


def _link(kept: Mapping[str, str], name: str, key: Any) -> str:
    return "?" + urlencode({**kept, name: str(key)})
