"""What stands beside a saga on its page: what operators did, late replies, relatives. Read for many sagas at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from sagas.models import LateReply, OperatorAction, Saga

#: Of one saga, at most.
ACTIONS, LATE, SUCCESSORS = 200, 50, 20


@dataclass
class Beside:
    """What is shown beside one saga."""

    actions: list[OperatorAction] = field(default_factory=list)
    """Newest first."""
    late: list[LateReply] = field(default_factory=list)
    related: list[tuple[str, Saga]] = field(default_factory=list)
    """How each belongs to it."""


def beside(sagas: Sequence[Saga]) -> dict[UUID, Beside]:
    """Return what stands beside sagas; the number of queries does not depend on how many they are."""
    found = {saga.pk: Beside() for saga in sagas}
    for action in _first(OperatorAction.objects.defer("answer"), "saga_id", found, ("-at", "-id"), ACTIONS):
        found[action.saga_id].actions.append(action)
    for late in _first(LateReply.objects.all(), "saga_id", found, ("-id",), LATE):
        found[late.saga_id].late.append(late)
    origins = _origins(sagas)
    for saga in sagas:
        if saga.origin_id in origins:
            found[saga.pk].related.append((kind_of(saga, "origin"), origins[saga.origin_id]))
    successors = Saga.objects.only("id", "origin_id", "origin_kind", "state")
    for successor in _first(successors, "origin_id", found, ("id",), SUCCESSORS):
        found[successor.origin_id].related.append((kind_of(successor, "successor"), successor))
    return found


def _first(
    rows: QuerySet[Any], key: str, sagas: dict[UUID, Beside], order: Sequence[str], most: int
) -> QuerySet[Any]:
    """Return the first so many rows of each saga."""
    if len(sagas) == 1:  # as on a page: asking for places costs it more than the answer
        return rows.filter(**{key: next(iter(sagas))}).order_by(*order)[:most]
    place = Window(RowNumber(), partition_by=F(key), order_by=order)
    chosen = rows.filter(**{f"{key}__in": list(sagas)}).annotate(place=place)
    return chosen.filter(place__lte=most).order_by(*order)


def _origins(sagas: Sequence[Saga]) -> dict[UUID | None, Saga]:
    ids = [saga.origin_id for saga in sagas if saga.origin_id]
    return {each.pk: each for each in Saga.objects.filter(pk__in=ids).only("id", "state")} if ids else {}


def kind_of(saga: Saga, side: str) -> str:
    """Say how two sagas belong together."""
    words = {
        "restart": ("restart of", "restarted as"),
        "repair": ("repair of", "repaired by"),
        "child": ("child of", "child"),
        "undo": ("undoes", "undone by"),
    }
    return words.get(saga.origin_kind, ("follows", "followed by"))[side == "successor"]
