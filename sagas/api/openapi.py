"""The OpenAPI 3.1 document, made from the models that check what is sent and describe what comes back."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from sagas import orchestrator, searchable
from sagas.api import documents as d
from sagas.api.schemas import (
    AlertBody,
    AlertQuery,
    BatchBody,
    BatchQuery,
    BatchSagaQuery,
    BatchVerbBody,
    CallbackBody,
    EventQuery,
    ListQuery,
    QueueBody,
    StartBody,
    VerbBody,
)
from sagas.transports import signing

_REF = "#/components/schemas/{model}"
_MODELS = (
    StartBody, VerbBody, QueueBody, BatchBody, BatchVerbBody, CallbackBody, d.Saga, d.SagaPage, d.EventPage, d.Acted,
    d.Plan, d.TypeList, d.QueueList, d.QueueActed, d.QueuePlan, d.Batch, d.BatchPage, d.BatchSagaPage, d.BatchActed,
    d.BatchPlan, d.BatchVerbPlan, AlertBody, d.Alert, d.AlertPage, d.AlertDetail, d.AlertActed, d.AlertPlan, d.Told,
    d.Problem,
)  # fmt: skip

_MEANING = {
    "400": "Malformed: not JSON, or not a JSON object.",
    "401": "Nobody is known by this token or session.",
    "403": "You may not do this; or the session's CSRF token is missing.",
    "404": "There is no such saga, queue, batch or alert.",
    "409": "It does not apply, or the saga has moved on: its state now, and who moved it.",
    "413": "The body is larger than 1 MiB.",
    "415": "The body is not application/json.",
    "422": "A field cannot be accepted: which, and why.",
}
_SAGA_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
_TEXT = {"type": "string"}
_QUEUE = {"name": "queue", "in": "path", "required": True, "schema": _TEXT}
_NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer"}}
_NAMED = {"service": _TEXT, "id": _SAGA_ID["schema"], "number": {"type": "integer"}}
_SIGNED = (signing.TIMESTAMP, signing.SIGNATURE)


def document(request: HttpRequest) -> dict[str, Any]:
    """Return the OpenAPI document."""
    return _document()


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    _, schemas = models_json_schema([(model, "validation") for model in _MODELS], ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sagadesk", "version": "1", "description": "Run, watch and repair sagas."},
        "servers": [{"url": reverse("api-openapi").rstrip("/")}],
        "security": [{"token": []}, {"session": [], "csrf": []}, {"session": []}],
        "paths": _paths(),
        "components": {"schemas": schemas["$defs"], "securitySchemes": _security()},
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {
        "/sagas": {
            "get": _read("List sagas, the newest first", d.SagaPage, _list_parameters(), "422"),
            "post": _start(),
        },
        "/sagas/{id}": {"get": _read("Read a saga", d.Saga, [_SAGA_ID], "404")},
        "/sagas/{id}/events": {
            "get": _read("Read its log", d.EventPage, [_SAGA_ID, *_parameters(EventQuery)], "404", "422"),
        },
        "/callbacks/{service}/{id}/{number}": {"post": _callback()},
        "/queues": {"get": _read("List the participants' queues", d.QueueList, [])},
        "/types": {"get": _read("List the saga types", d.TypeList, [])},
    }
    paths |= {f"/sagas/{{id}}/{verb}": {"post": _verb(label)} for verb, label in orchestrator.VERBS.items()}
    paths |= {
        f"/queues/{{queue}}/{verb}": {"post": _queue_verb(label)}
        for verb, label in orchestrator.QUEUE_VERBS.items()
    }
    return paths | _batch_paths() | _alert_paths()


def _batch_paths() -> dict[str, Any]:
    sagas = [_NUMBER, *_parameters(BatchSagaQuery)]
    return {
        "/batches": {
            "get": _read("List batches, the newest first", d.BatchPage, _parameters(BatchQuery), "422"),
            "post": _start_batch(),
        },
        "/batches/{number}": {"get": _read("Read a batch", d.Batch, [_NUMBER], "404")},
        "/batches/{number}/sagas": {
            "get": _read("Read what came of its sagas", d.BatchSagaPage, sagas, "404", "422")
        },
    } | {
        f"/batches/{{number}}/{verb}": {"post": _batch_verb(label)}
        for verb, label in orchestrator.BATCH_VERBS.items()
    }


def _alert_paths() -> dict[str, Any]:
    return {
        "/alerts": {
            "get": _read("List alerts, the newest first", d.AlertPage, _parameters(AlertQuery), "422")
        },
        "/alerts/{number}": {
            "get": _read("Read an alert, and whom it was told", d.AlertDetail, [_NUMBER], "404")
        },
    } | {
        f"/alerts/{{number}}/{verb}": {"post": _alert_verb(label)}
        for verb, label in orchestrator.ALERT_VERBS.items()
    }


def _read(summary: str, model: type[BaseModel], parameters: list[Any], *problems: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": _holding(model, summary), **_problems("401", "403", *problems)},
    }


def _start() -> dict[str, Any]:
    return {
        "summary": "Start a saga",
        "requestBody": {"required": True, **_content(StartBody)},
        "responses": {
            "201": _holding(d.Saga, "It is started."),
            "200": _holding(d.Saga, "The idempotency key had started it already."),
            **_problems(*_MEANING.keys() - {"404"}),
        },
    }


def _start_batch() -> dict[str, Any]:
    return {
        "summary": "Begin a batch: one verb on many sagas, in waves",
        "requestBody": {"required": True, **_content(BatchBody)},
        "responses": {
            "201": _holding(d.BatchActed, "It is begun."),
            "200": _either(
                d.BatchActed,
                d.BatchPlan,
                "The action id had begun it already; with dry_run what would happen.",
            ),
            **_problems(*_MEANING.keys() - {"404"}),
        },
    }


def _callback() -> dict[str, Any]:
    named = [{**_SAGA_ID, "name": name, "schema": schema} for name, schema in _NAMED.items()]
    signed = [{**_SAGA_ID, "in": "header", "name": name, "schema": _TEXT} for name in _SIGNED]
    return {
        "summary": "Answer a command that was taken on with 202",
        "description": "Its address came with the command, as saga-callback. docs/participants.md says how to sign.",
        "security": [],
        "parameters": [*named, *signed],
        "requestBody": {"required": True, **_content(CallbackBody)},
        "responses": {
            "200": _holding(d.Told, "It is taken, or late, or was told before."),
            **_problems(*_MEANING.keys() - {"403"}),
        },
    }


def _verb(label: str) -> dict[str, Any]:
    return _acting(label, "saga", _SAGA_ID, VerbBody, d.Acted, d.Plan)


def _queue_verb(label: str) -> dict[str, Any]:
    return _acting(f"{label} a queue", "queue", _QUEUE, QueueBody, d.QueueActed, d.QueuePlan)


def _batch_verb(label: str) -> dict[str, Any]:
    return _acting(f"{label}: a batch", "batch", _NUMBER, BatchVerbBody, d.BatchActed, d.BatchVerbPlan)


def _alert_verb(label: str) -> dict[str, Any]:
    return _acting(f"{label}: an alert", "alert", _NUMBER, AlertBody, d.AlertActed, d.AlertPlan)


def _acting(
    label: str, what: str, named: Any, body: type[BaseModel], done: type[BaseModel], plan: type[BaseModel]
) -> dict[str, Any]:
    return {
        "summary": label,
        "parameters": [named],
        "requestBody": {"required": True, **_content(body)},
        "responses": {
            "200": _either(done, plan, f"The {what} right after it; with dry_run what would happen."),
            **_problems(*_MEANING),
        },
    }


def _problems(*statuses: str) -> dict[str, Any]:
    return {status: _holding(d.Problem, _MEANING[status]) for status in sorted(statuses)}


def _holding(model: type[BaseModel], description: str) -> dict[str, Any]:
    return {"description": description, **_content(model)}


def _either(done: type[BaseModel], plan: type[BaseModel], description: str) -> dict[str, Any]:
    schema = {"anyOf": [_schema(done), _schema(plan)]}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": _schema(model)}}}


def _schema(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _list_parameters() -> list[dict[str, Any]]:
    sought = [f"{searchable.PREFIX}{path}" for path in searchable.paths()]
    values = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in sought]
    return [*_parameters(ListQuery), *values]


def _parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    properties = query.model_json_schema()["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _security() -> dict[str, Any]:
    cookie = settings.SESSION_COOKIE_NAME
    return {
        "token": {"type": "http", "scheme": "bearer", "description": "From `manage.py saga token USER`."},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie,
            "description": "The desk's login.",
        },
        "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken", "description": "With a session."},
    }
