"""Which sagas answer a saga's steps, as its snapshot tells: read for many at once."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sagas.core.words import TERMINAL
from sagas.models import Child, Saga

_NOW = ("state", "attention", "paused")


class Family:
    """The children of sagas, by the keys of the commands that start them."""

    def __init__(self, links: Mapping[str, Child], sagas: Mapping[UUID, Saga]) -> None:
        self._links, self._sagas = links, sagas

    def of(self, key: str | None) -> dict[str, Any]:
        """Return what a step tells of its child; nulls for a step that has none."""
        link = self._links.get(key) if key is not None else None
        child, undo = (link.child_id, link.undo_id) if link is not None else (None, None)
        latest = undo or child
        awaited = self._sagas.get(latest) if latest else None
        now = {f"child_{name}": getattr(awaited, name) if awaited else None for name in _NOW}
        over = awaited is None or awaited.state in {state.value for state in TERMINAL}
        return {
            "child": str(child) if child else None,
            "undone_by": str(undo) if undo else None,
            "awaits": None if awaited is None or over else str(awaited.pk),
            **now,
        }


def family_of(keys: Iterable[Iterable[str]]) -> Family:
    """Return the children that commands with these keys have; asks nothing where there are no such commands."""
    wanted = [key for some in keys for key in some]
    links = Child.objects.in_bulk(wanted) if wanted else {}
    ids = {pk for link in links.values() for pk in (link.child_id, link.undo_id) if pk}
    return Family(links, Saga.objects.only("id", *_NOW).in_bulk(ids) if ids else {})
