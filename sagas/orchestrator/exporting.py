"""Sagas as documents, read from their rows: many at once, by queries whose number does not depend on how many."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from django.db import transaction

from sagas.core import redaction
from sagas.models import IMPORT, Definition, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator.asked import NotFound
from sagas.orchestrator.loading import PROGRESS_COLUMNS, STEP_COLUMNS
from sagas.orchestrator.portable import FORMAT, VERSION
from sagas.orchestrator.replies import as_uuid

_SAGA = (
    "id", "saga_type", "correlation_id", "idempotency_key", "origin_id", "origin_kind", "attention", "waiting",
    *PROGRESS_COLUMNS, "definition_id",
)  # fmt: skip
_STEP = ("saga_id", "name", *STEP_COLUMNS)
_EVENT = ("saga_id", "sequence", "version", "type", "step", "at", "data")
_LATE = ("saga_id", "step", "number", "kind", "payload", "at")
_ACTION = (
    "saga_id", "action_id", "verb", "step", "operator_name", "via", "reason", "request", "version_before",
    "version_after", "at",
)  # fmt: skip
#: Column -> what documents call it.
_NAMES = {"saga_type": "type", "origin_id": "origin", "operator_name": "operator"}
#: What an import could not leave in the saga's row, and recorded with its deed.
ELSEWHERE = ("idempotency_key", "origin", "origin_kind")


def export(saga_id: UUID | str, *, reveal: bool = False) -> dict[str, Any]:
    """Return a saga's document, without values unless they are to be revealed. Raises NotFound."""
    pk = as_uuid(saga_id)
    with transaction.atomic():
        if Saga.objects.select_for_update(no_key=True).filter(pk=pk).first() is None:
            raise NotFound(f"There is no saga {pk}.")
        (found,) = documents([pk])  # under its lock: it does not move on between two looks
    return found if reveal else redaction.document(found)


def documents(ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Return these sagas' documents, values and all, in the order of their ids."""
    sagas = list(Saga.objects.filter(pk__in=ids).order_by("pk").values(*_SAGA))
    pinned = dict(
        Definition.objects.filter(pk__in={saga["definition_id"] for saga in sagas}).values_list(
            "pk", "document"
        )
    )
    steps = _by_saga(Step.objects.filter(saga_id__in=ids).order_by("saga_id", "position").values(*_STEP))
    events = _by_saga(Event.objects.filter(saga_id__in=ids).order_by("saga_id", "sequence").values(*_EVENT))
    late = _by_saga(LateReply.objects.filter(saga_id__in=ids).order_by("saga_id", "pk").values(*_LATE))
    acts = OperatorAction.objects.filter(saga_id__in=ids).order_by("saga_id", "pk")
    actions = _by_saga(acts.values(*_ACTION))
    return [
        _document(
            saga,
            pinned[saga.pop("definition_id")],
            *(rows.get(saga["id"], []) for rows in (steps, events, late, actions)),
        )
        for saga in sagas
    ]


def _document(
    saga: dict[str, Any],
    pinned: Mapping[str, Any],
    steps: list[dict[str, Any]],
    events: list[dict[str, Any]],
    late: list[dict[str, Any]],
    actions: list[dict[str, Any]],
) -> dict[str, Any]:
    own = _plain(saga)
    imported = [action for action in actions if action["verb"] == IMPORT]
    if own["origin_kind"] == IMPORT and imported:
        own |= {name: imported[0]["request"][name] for name in ELSEWHERE}
    return {
        "format": FORMAT,
        "version": VERSION,
        "revealed": all(action["request"]["revealed"] for action in imported),
        "saga": own,
        "definition": pinned,
        "steps": steps,
        "events": events,
        "late_replies": late,
        "actions": [action for action in actions if action["verb"] != IMPORT],
    }


def _by_saga(found: Iterable[dict[str, Any]]) -> dict[UUID, list[dict[str, Any]]]:
    return {
        saga_id: [_plain({k: v for k, v in row.items() if k != "saga_id"}) for row in rows]
        for saga_id, rows in groupby(found, key=itemgetter("saga_id"))
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {_NAMES.get(name, name): _plain_value(value) for name, value in row.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value
