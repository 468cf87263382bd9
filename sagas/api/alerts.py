"""Alerts: what asks for a person, whom it was told, and taking one or giving it back."""

from typing import Any

from django.http import HttpRequest

from sagas import alerts, orchestrator
from sagas.api.endpoint import needs
from sagas.api.paging import paged
from sagas.api.problems import not_found
from sagas.api.reading import read_body, read_query
from sagas.api.schemas import AlertBody, AlertQuery
from sagas.models import Alert


@needs("view_saga")
def alert_list(request: HttpRequest) -> dict[str, Any]:
    """Return a page of alerts, newest first, and where the next one begins."""
    query = AlertQuery.model_validate(read_query(request))
    found = Alert.objects.all()
    if query.open is not None:
        found = found.filter(resolved_at__isnull=query.open)
    if query.kind is not None:
        found = found.filter(kind=query.kind)
    page, following = paged(found, query)
    return {"items": alerts.alert_documents(page), "next": following}


@needs("view_saga")
def alert_detail(request: HttpRequest, number: str) -> dict[str, Any]:
    """Return one alert, and whom it was told."""
    return alerts.alert_detail(orchestrator.alert_numbered(int(number)))


@needs("view_saga")
def alert_verb(request: HttpRequest, number: str, verb: str) -> dict[str, Any]:
    """Take an alert or give it back, or say what that would do. Its permission is checked by the orchestrator."""
    if verb not in orchestrator.ALERT_VERBS:
        known = ", ".join(orchestrator.ALERT_VERBS)
        raise not_found(f"There is no verb {verb[:50]!r} for alerts; there are {known}.")
    body = AlertBody.model_validate(read_body(request))
    asked = orchestrator.Asked(
        operator=request.user, via="api", reason=body.reason, version=body.version, action_id=body.action_id
    )
    if body.dry_run:
        sentences = orchestrator.preview_alert(int(number), verb, asked, body.hours)
        alert = _document(orchestrator.alert_numbered(int(number)))
        return {"verb": verb, "alert": alert, "sentences": list(sentences)}
    answer = orchestrator.act_on_alert(int(number), verb, asked, body.hours)
    return {**_document(answer.alert), "action": {"verb": verb, "repeated": answer.repeated}}


def _document(alert: Alert) -> dict[str, Any]:
    return alerts.alert_documents([alert])[0]
