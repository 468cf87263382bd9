"""A handler per address and method: each reads, calls one verb or one queryset, and returns plain data."""

from dataclasses import asdict
from operator import itemgetter
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from sagas import orchestrator
from sagas.api.endpoint import needs
from sagas.api.paging import cut, paged
from sagas.api.problems import invalid, not_found
from sagas.api.reading import read_body, read_query
from sagas.api.schemas import EventQuery, ListQuery, StartBody, VerbBody
from sagas.models import Saga


@needs("view_saga")
def saga_list(request: HttpRequest) -> dict[str, Any]:
    """Return a page of sagas, newest first, and where the next one begins."""
    query = ListQuery.model_validate(read_query(request))
    page, following = paged(query.wanted().sagas(), query)
    return {
        "items": orchestrator.seen_by(request.user, orchestrator.snapshots(page)),
        "next": following,
    }


@needs("start_saga")
def saga_start(request: HttpRequest) -> tuple[int, dict[str, Any]]:
    """Start a saga: 201, or 200 if its idempotency key already has."""
    body = StartBody.model_validate(read_body(request))
    try:
        started = orchestrator.start(
            body.type,
            body.data,
            correlation_id=body.correlation_id,
            idempotency_key=body.idempotency_key,
            at=body.at,
            started_by=request.user,
        )
    except orchestrator.NotFound as unknown:  # the address is right: it is the body that is wrong
        raise invalid("type", str(unknown)) from unknown
    return 201 if started.created else 200, _seen(request, orchestrator.snapshot(started.saga))


@needs("view_saga")
def saga_detail(request: HttpRequest, saga_id: str) -> dict[str, Any]:
    """Return one saga."""
    return _seen(request, orchestrator.snapshot(_saga(saga_id)))


@needs("view_saga")
def saga_events(request: HttpRequest, saga_id: str) -> dict[str, Any]:
    """Return a page of a saga's event log, oldest first."""
    query = EventQuery.model_validate(read_query(request))
    saga = _saga(saga_id)
    found = orchestrator.events(saga.pk, query.after, query.limit + 1)
    page, following = cut(found, query, itemgetter("sequence"))
    return {"items": page, "next": following}


@needs("view_saga")
def saga_verb(request: HttpRequest, saga_id: str, verb: str) -> dict[str, Any]:
    """Act on a saga, or say what that would do. Each verb has its own permission, which the orchestrator checks."""
    if verb not in orchestrator.VERBS:
        raise not_found(f"There is no verb {verb[:50]!r}; there are {', '.join(orchestrator.VERBS)}.")
    values = VerbBody.model_validate(read_body(request)).model_dump()
    dry_run = values.pop("dry_run")
    asked = orchestrator.Asked(operator=request.user, via="api", **values)
    try:
        asked = orchestrator.about_its_step(saga_id, verb, asked)
        if dry_run:
            return asdict(orchestrator.preview(saga_id, verb, asked))
        answer = orchestrator.act(saga_id, verb, asked)
    except orchestrator.Conflict as no:
        no.saga = _seen(request, no.saga)
        raise
    created = str(answer.created) if answer.created else None
    action = {"verb": verb, "repeated": answer.repeated, "created": created}
    return {**_seen(request, answer.saga), "action": action}


def _seen(request: HttpRequest, saga: dict[str, Any]) -> dict[str, Any]:
    return orchestrator.seen_by(request.user, [saga])[0]


def _saga(saga_id: str) -> Saga:
    saga = Saga.objects.filter(pk=orchestrator.as_uuid(saga_id)).first()
    if saga is None:
        raise not_found(f"There is no saga {saga_id}.")
    return saga


def nothing_here(request: HttpRequest, **_: str) -> dict[str, Any]:
    """Answer for every address that is not one of ours, in JSON."""
    raise not_found(f"There is nothing at {request.path[:200]}; see {reverse('api-openapi')}openapi.json.")
