"""A saga as a document: whole, without values unless asked, and in another installation a record that never runs."""

import copy
import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from sagas import orchestrator
from sagas.core import redaction
from sagas.core.events import EVENT_TYPES
from sagas.core.messages import Pause
from sagas.engine import Pump, reap
from sagas.models import Due, Event, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Asked, Conflict, Invalid, exporting, importing, ledger
from sagas.orchestrator.exporting import documents
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "canary-4711"
SHELL = Asked(operator=None, via="command", reason="to look at it")


@pytest.fixture
def rich(world: shop.World, pump: Pump, operator: Any) -> Saga:
    """A saga about which everything was said: a retry, an edit, a rejection, an undo that is stuck, a late reply."""
    world.behaviour["PayService.Pay"] = shop.reject(CANARY)
    world.behaviour["FetchService.Fetch"] = lambda _: {"shelf": CANARY}
    world.behaviour["FetchService.Return"] = shop.reject(CANARY)
    saga = orchestrator.start("Errand", {"item": CANARY, "hold": True}, idempotency_key=CANARY).saga
    pump.run(budget=30)
    act(saga, "edit", operator, data={"item": CANARY, "hold": True})
    act(saga, "compensate", operator, reason=f"because {CANARY}")
    for _ in range(5):
        pump.run(budget=30)
    orchestrator.step_completed(saga.pk, "post", {"late": CANARY})
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("compensating", "compensation_failed")
    return saga


def act(saga: Saga, verb: str, operator: Any, **more: Any) -> Any:
    asked = Asked(**{"operator": operator, "via": "desk", "reason": "because", **more})
    return orchestrator.act(saga.pk, verb, asked)


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document))


def exported(saga: Saga, *, reveal: bool = False) -> Any:
    return through_json(orchestrator.export(saga.pk, reveal=reveal))


def forget(saga: Saga) -> None:
    """Make this another installation, which has never seen the saga."""
    for model in (Due, Event, Step, LateReply, OperatorAction):
        model.objects.filter(saga_id=saga.pk).delete()
    Saga.objects.filter(pk=saga.pk).delete()


def moved(saga: Saga, *, reveal: bool = False) -> Saga:
    document = exported(saga, reveal=reveal)
    forget(saga)
    orchestrator.import_saga(document, SHELL)
    return Saga.objects.get(pk=saga.pk)


# The document


@pytest.mark.parametrize("reveal", [False, True])
def test_exported_imported_and_exported_again_it_is_the_same(rich: Saga, reveal: bool) -> None:
    there = exported(rich, reveal=reveal)
    here = moved(rich, reveal=reveal)
    assert exported(here, reveal=True) == exported(here, reveal=reveal) == there
    assert_rows_are_the_fold(here)


def test_a_restart_keeps_its_origin_and_its_key_through_a_move(
    errand: Callable[..., Saga], operator: Any
) -> None:
    first = orchestrator.start("Errand", {"item": "book"}, idempotency_key="k").saga
    orchestrator.step_failed(first.pk, "fetch", "sold out")
    again = Saga.objects.get(pk=act(first, "restart", operator).created)
    there = exported(again, reveal=True)
    assert (there["saga"]["origin"], there["saga"]["origin_kind"]) == (str(first.pk), "restart")
    assert exported(moved(again, reveal=True), reveal=True) == there
    there = exported(first, reveal=True)
    assert there["saga"]["idempotency_key"] == "k"
    assert exported(moved(first, reveal=True), reveal=True) == there


def test_a_document_has_no_values_unless_they_are_revealed(rich: Saga) -> None:
    assert CANARY in json.dumps(exported(rich, reveal=True))
    assert CANARY not in json.dumps(exported(rich))
    assert exported(rich)["revealed"] is False
    assert redaction.document(exported(rich)) == exported(rich)


def test_no_event_has_a_value_that_redaction_overlooks() -> None:
    for event in EVENT_TYPES.values():
        data = {f.name: CANARY for f in fields(event) if f.name not in redaction._OPEN}
        assert CANARY not in json.dumps(redaction._event_data(data))


def test_what_tells_nothing_stays_as_it_is() -> None:
    assert [redaction.value(v) for v in (None, {"redacted": "text"})] == [None, {"redacted": "text"}]
    assert [redaction.text(v) for v in (None, "", "x")] == [None, "", redaction.TEXT]
    kinds = [redaction.value(v)["redacted"] for v in ({"a": 1}, [1], "x", True, 1, 1.5)]
    assert kinds == ["object", "array", "text", "boolean", "number", "number"]


def test_many_documents_take_as_many_queries_as_one(errand: Callable[..., Saga], rich: Saga) -> None:
    ids = [errand().pk for _ in range(9)]
    counted = []
    for some in ([rich.pk], [rich.pk, *ids]):
        with CaptureQueriesContext(connection) as queries:
            assert len(documents(some)) == len(some)
        counted.append(len(queries))
    assert counted[0] == counted[1]


# A record that never runs


@pytest.mark.parametrize("finished", [False, True])
def test_nothing_of_an_imported_saga_ever_runs(
    errand: Callable[..., Saga], pump: Pump, world: shop.World, operator: Any, finished: bool
) -> None:
    saga = errand()
    if finished:
        orchestrator.step_failed(saga.pk, "fetch", "sold out")
    here = moved(saga, reveal=True)
    there = exported(here, reveal=True)
    assert orchestrator.step_completed(here.pk, "fetch", {"from": "outside"}) is False
    for verb in orchestrator.VERBS:
        step = {"step": "fetch"} if verb in orchestrator.STEP_VERBS else {}
        more = {"resolve": {"outcome": "done"}, "edit": {"data": {"item": "pen"}}}.get(verb, {})
        asked = Asked(operator=operator, via="desk", reason="x", **step, **more)
        for door in (orchestrator.act, orchestrator.preview):
            with pytest.raises(Conflict, match="imported"):
                door(here.pk, verb, asked)
    reap()
    pump.run(budget=5)
    assert not Due.objects.exists()
    assert not world.calls
    assert LateReply.objects.get().kind == "completed", "what came from outside is recorded apart"
    LateReply.objects.all().delete()
    assert exported(Saga.objects.get(pk=here.pk), reveal=True) == there


def test_no_door_decides_about_an_imported_saga(errand: Callable[..., Saga]) -> None:
    here = moved(errand())
    group = ledger.Group()
    with transaction.atomic():
        group.lock([here.pk])
        with pytest.raises(orchestrator.Refused, match="imported"):
            group.decide(group.sagas[here.pk], Pause())


def test_an_imported_saga_is_shown_as_one(rich: Saga, client: Any, operator: Any) -> None:
    here = moved(rich)
    shown = orchestrator.snapshot(here)
    assert shown["origin_kind"] == "import"
    assert "imported" in shown["why"]["text"]
    assert not [verb for verb in shown["verbs"] if verb["applies"]]
    client.force_login(operator)
    assert "imported" in client.get(f"/sagas/{here.pk}/").content.decode()
    assert "to look at it" in client.get("/audit/").content.decode()


def test_an_imported_saga_is_nobody_s_work_here(rich: Saga) -> None:
    here = moved(rich)
    assert here not in Saga.objects.active()
    assert here not in Saga.objects.at_attention()


def test_the_key_of_an_imported_saga_is_free(errand: Callable[..., Saga]) -> None:
    there = orchestrator.start("Errand", {"item": "book"}, idempotency_key="k").saga
    moved(there, reveal=True)
    assert orchestrator.start("Errand", {"item": "pen"}, idempotency_key="k").created


def test_who_imported_it_stands_in_the_audit_trail(rich: Saga) -> None:
    here = moved(rich)
    deed = OperatorAction.objects.get(saga=here, verb="import")
    assert (deed.reason, deed.via, deed.version_before) == ("to look at it", "command", here.version)
    assert OperatorAction.objects.filter(saga=here).count() == 3


# What is refused


def test_the_same_saga_again_changes_nothing(rich: Saga) -> None:
    for reveal in (False, True):
        again = orchestrator.import_saga(exported(rich, reveal=reveal), SHELL)
        assert (again.created, again.here, again.saga_id) == (False, True, rich.pk)
    assert not OperatorAction.objects.filter(verb="import").exists()


def test_another_saga_of_its_id_is_refused(rich: Saga, operator: Any) -> None:
    document = exported(rich)
    act(rich, "pause", operator)
    with pytest.raises(importing.Known, match=str(rich.pk)):
        orchestrator.import_saga(document, SHELL)


def test_a_dry_run_writes_nothing(rich: Saga) -> None:
    document = exported(rich)
    forget(rich)
    tried = orchestrator.import_saga(document, SHELL, dry_run=True)
    assert (tried.created, tried.unfinished) == (False, True)
    assert not Saga.objects.exists()


def test_an_action_id_that_another_saga_has_is_refused_and_nothing_is_written(
    rich: Saga, errand: Callable[..., Saga], operator: Any
) -> None:
    document = exported(rich)
    forget(rich)
    other = errand()
    act(other, "pause", operator, action_id=document["actions"][0]["action_id"])
    with pytest.raises(Invalid, match="action id"):
        orchestrator.import_saga(document, SHELL)
    assert not Saga.objects.filter(pk=rich.pk).exists()


def test_an_action_of_there_is_no_action_of_here(rich: Saga, operator: Any) -> None:
    document = exported(rich)
    there = document["actions"][0]
    forget(rich)
    orchestrator.import_saga(document, SHELL)
    with pytest.raises(Invalid, match=r"before saga .* was imported"):
        act(rich, there["verb"], operator, action_id=there["action_id"], step=there["step"])


def test_a_saga_does_not_move_on_while_it_is_exported(rich: Saga, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look(ids: Any) -> Any:
        asked.append([q["sql"] for q in connection.queries_log])
        return documents(ids)

    monkeypatch.setattr(exporting, "documents", look)
    with CaptureQueriesContext(connection):
        orchestrator.export(rich.pk)
    locking = "FOR NO KEY UPDATE" if connection.vendor == "postgresql" else "BEGIN IMMEDIATE"
    assert any(locking in sql for sql in asked[0])


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def tamper(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return tamper


def _drop(*path: Any) -> Callable[[Any], None]:
    def tamper(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return tamper


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (_set("format", to="other"), "format"),
        (_set("version", to=2), "version"),
        (_drop("events"), "events"),
        (_set("extra", to=1), "extra"),
        (_set("saga", "state", to="completed"), "saga.state"),
        (_set("saga", "state", to="happy"), "saga.state"),
        (_set("saga", "version", to=99), "saga.version"),
        (_set("saga", "data", to={"item": "gold"}), "saga.data"),
        (_set("saga", "id", to="7"), "saga.id"),
        (_set("saga", "created_at", to="2020-01-01T00:00:00"), "saga.created_at"),
        (_set("saga", "correlation_id", to="a\x00b"), "NUL"),
        (_set("steps", 0, "status", to="pending"), "steps.0.status"),
        (_set("steps", 0, "result", to={"shelf": 9}), "steps.0.result"),
        (_drop("steps", 0), "steps"),
        (_drop("events", 0), "events.0"),
        (_drop("events", 3), "events.3"),
        (_set("events", to=[]), "events"),
        (_set("events", 1, "version", to=7), "events.1"),
        (_set("events", 1, "type", to="SagaExploded"), "events.1"),
        (_set("events", 1, "type", to="StepCompensated"), "events.1"),
        (_set("events", 1, "step", to="nowhere"), "events.1"),
        (_set("events", 1, "data", "budget", to="many"), "events.1"),
        (_set("events", 1, "data", "budget", to="3"), "events.1"),
        (_set("events", 1, "data", "more", to=1), "events.1"),
        (_set("definition", "steps", 0, "name", to="other"), "events.1"),
        (_set("definition", "steps", 0, "needs", to=["nowhere"]), "definition"),
        (_set("definition", "steps", 0, "pivot", to="maybe"), "definition.steps.0.pivot"),
        (_set("definition", "steps", 0, "hold", to=False), "definition"),
        (_set("definition", "saga_type", to="Other"), "definition"),
        (_set("actions", 0, "reason", to=None), "actions.0.reason"),
        (_set("actions", 0, "verb", to="import"), "actions.0.verb"),
        (_set("late_replies", 0, "number", to=-1), "late_replies.0.number"),
        (_set("late_replies", 0, "number", to=2**64), "late_replies.0.number"),
        (_set("actions", 0, "version_before", to=2**64), "actions.0.version_before"),
    ],
)
def test_a_document_that_was_changed_is_refused(rich: Saga, tamper: Callable[[Any], None], says: str) -> None:
    document = exported(rich, reveal=True)
    forget(rich)
    tampered = copy.deepcopy(document)
    tamper(tampered)
    assert tampered != document
    with pytest.raises(Invalid) as refused:
        orchestrator.import_saga(tampered, SHELL)
    assert says in str(refused.value)
    assert not Saga.objects.exists()


@pytest.mark.parametrize("given", [None, [], "x", 7, {}, {"format": "sagadesk.saga"}])
def test_what_is_no_document_is_refused(db: None, given: Any) -> None:
    with pytest.raises(Invalid):
        orchestrator.import_saga(given, SHELL)
