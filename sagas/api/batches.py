"""Batches: one verb on many sagas. Beginning one, how it goes, and pausing, resuming, releasing or cancelling it."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from sagas import orchestrator
from sagas.api.endpoint import needs
from sagas.api.paging import paged
from sagas.api.problems import not_found
from sagas.api.reading import read_body, read_query
from sagas.api.schemas import BatchBody, BatchQuery, BatchSagaQuery, BatchVerbBody
from sagas.models import Batch


@needs("view_saga")
def batch_list(request: HttpRequest) -> dict[str, Any]:
    """Return a page of batches, newest first, and where the next one begins."""
    query = BatchQuery.model_validate(read_query(request))
    page, following = paged(_in_state(Batch.objects.all(), query.state), query)
    return {"items": orchestrator.batch_documents(page), "next": following}


@needs("view_saga")
def batch_start(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Begin a batch: 201, or 200 if its action id already has; or say what it would do.

    The permissions for it, and for its verb, are checked by the orchestrator.
    """
    body = BatchBody.model_validate(read_body(request))
    wanted, asked = body.filter.wanted(), _asked(request, body)
    course = orchestrator.Course(body.waves, body.per_second, body.stop_above)
    if body.dry_run:
        return 200, orchestrator.preview_batch(body.verb, wanted.sagas(), asked, course).document()
    answer = orchestrator.start_batch(
        body.verb,
        wanted.sagas(),
        asked,
        course,
        filters=wanted.named(),
        seen_at=body.seen_at,
        at_most=body.at_most,
    )
    return 200 if answer.repeated else 201, _acted(answer)


@needs("view_saga")
def batch_detail(request: HttpRequest, number: str) -> dict[str, Any]:
    """Return one batch."""
    return _document(orchestrator.batch_numbered(int(number)))


@needs("view_saga")
def batch_sagas(request: HttpRequest, number: str) -> dict[str, Any]:
    """Return a page of a batch's sagas, in the order of their turns, and where the next one begins."""
    query = BatchSagaQuery.model_validate(read_query(request))
    batch = orchestrator.batch_numbered(int(number))
    page, following = paged(_in_state(batch.items.all(), query.state), query, "position")
    return {"items": [orchestrator.item_document(item) for item in page], "next": following}


@needs("view_saga")
def batch_verb(request: HttpRequest, number: str, verb: str) -> dict[str, Any]:
    """Act on a batch, or say what that would do. Its own permission is checked by the orchestrator."""
    if verb not in orchestrator.BATCH_VERBS:
        known = ", ".join(orchestrator.BATCH_VERBS)
        raise not_found(f"There is no verb {verb[:50]!r} for batches; there are {known}.")
    body = BatchVerbBody.model_validate(read_body(request))
    asked = _asked(request, body)
    if body.dry_run:
        says = orchestrator.preview_batch_verb(int(number), verb, asked)
        batch = _document(orchestrator.batch_numbered(int(number)))
        return {"verb": verb, "batch": batch, "sentences": [says]}
    return _acted(orchestrator.act_on_batch(int(number), verb, asked))


def _in_state(rows: QuerySet[Any], state: str | None) -> QuerySet[Any]:
    return rows if state is None else rows.filter(state=state)


def _asked(request: HttpRequest, body: BatchBody | BatchVerbBody) -> orchestrator.Asked:
    return orchestrator.Asked(operator=request.user, via="api", reason=body.reason, action_id=body.action_id)


def _document(batch: Batch) -> dict[str, Any]:
    return orchestrator.batch_documents([batch])[0]


def _acted(answer: orchestrator.BatchAnswer) -> dict[str, Any]:
    action = {"verb": answer.verb, "repeated": answer.repeated}
    return {**_document(answer.batch), "action": action}
