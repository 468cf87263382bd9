"""The HTTP API as a program meets it: what works, and for all else the right status, the field and the reason."""

import json
from collections.abc import Callable
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from pydantic import BaseModel, Field

from sagas import orchestrator
from sagas.api import documents
from sagas.core.ids import uuid7
from sagas.models import OperatorAction, Saga, Token
from tests.sagas import shop

pytestmark = pytest.mark.django_db

SAGAS = "/api/v1/sagas"
ERRAND = {"type": "Errand", "data": {"item": "book"}}


class Api:
    """A program with a bearer token."""

    def __init__(self, token: str) -> None:
        self.client = Client()
        self.headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str = "", **query: Any) -> HttpResponse:
        return self.client.get(f"{SAGAS}{path}", query, headers=self.headers)

    def post(self, path: str = "", body: Any = None, content_type: str = "application/json") -> HttpResponse:
        sent = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.client.post(f"{SAGAS}{path}", sent, content_type, headers=self.headers)


@pytest.fixture
def api(operator: Any) -> Api:
    return Api(Token.issue(operator))


@pytest.fixture
def as_user(db: None) -> Callable[..., Api]:
    """Be a user with these permissions only."""

    def make(*permissions: str) -> Api:
        user = get_user_model().objects.create_user("otto")
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        return Api(Token.issue(user))

    return make


@pytest.fixture
def held(errand: Callable[..., Saga]) -> Saga:
    """A saga that is held at its first step."""
    saga = errand(hold=True)
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    saga.refresh_from_db()
    return saga


def assert_problem(
    response: HttpResponse, status: int, code: str, field: str | None = None
) -> dict[str, Any]:
    body = response.json()
    assert response.status_code == status, body
    assert body["error"]["code"] == code
    assert body["error"]["message"]
    assert response["Content-Type"] == "application/json"
    documents.Problem.model_validate(body)
    if field is not None:
        assert body["field"] == body["error"]["field"] == field
        assert body["reason"] == body["error"]["reason"]
        assert body["reason"]
    return body


# Starting


def test_a_saga_is_started_and_described(api: Api) -> None:
    response = api.post("", {**ERRAND, "correlation_id": "order-7"})
    saga = response.json()
    assert response.status_code == 201
    assert (saga["type"], saga["state"], saga["correlation_id"]) == ("Errand", "pending", "order-7")
    assert saga["data"] == {"item": "book"}
    assert Saga.objects.get().pk.hex == saga["id"].replace("-", "")
    documents.Saga.model_validate(saga)


def test_the_same_key_gives_the_same_saga_and_other_data_a_conflict_that_names_it(api: Api) -> None:
    first = api.post("", {**ERRAND, "idempotency_key": "k"})
    again = api.post("", {**ERRAND, "idempotency_key": "k"})
    other = api.post("", {"type": "Errand", "data": {"item": "pen"}, "idempotency_key": "k"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    body = assert_problem(other, 409, "key_taken")
    assert body["saga_id"] == first.json()["id"]
    assert first.json()["id"] in body["error"]["message"]
    assert Saga.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"data": {}}, "type"),
        ({"type": "Errand"}, "data"),
        ({"type": "Nonsense", "data": {}}, "type"),
        ({"type": 7, "data": {}}, "type"),
        ({"type": "", "data": {}}, "type"),
        ({"type": "Errand", "data": []}, "data"),
        ({"type": "Errand", "data": None}, "data"),
        ({"type": "Errand", "data": {}}, "data.item"),
        ({**ERRAND, "typo": 1}, "typo"),
        ({**ERRAND, "correlation_id": 5}, "correlation_id"),
        ({**ERRAND, "correlation_id": "x" * 201}, "correlation_id"),
        ({**ERRAND, "idempotency_key": ""}, "idempotency_key"),
        ({**ERRAND, "idempotency_key": "a\x00b"}, "idempotency_key"),
        ({"type": "Err\x00and", "data": {}}, "type"),
        ({"type": "Errand", "data": {"item": "a\x00b"}}, "data.item"),
        ({"type": "Errand", "data": {"item": ["x", {"y": "\ud800"}]}}, "data.item.1.y"),
        ({"type": "Errand", "data": {"a\x00b": 1}}, "data"),
    ],
)
def test_a_start_that_cannot_be_accepted_names_the_field(api: Api, body: Any, field: str) -> None:
    assert_problem(api.post("", body), 422, "invalid", field)
    assert not Saga.objects.exists()


def test_all_that_is_wrong_is_listed(api: Api) -> None:
    body = assert_problem(api.post("", {"typo": 1}), 422, "invalid")
    assert {error["field"] for error in body["errors"]} == {"type", "data", "typo"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"type": "Errand", "data": {"item": NaN}}',
        b'{"type": "Errand", "data": {"item": -Infinity}}',
        b'{"type": "Errand", "data": {"item": 1e999}}',
        b'{"type": "Errand", "data": {"item": ' + b"9" * 5000 + b"}}",
        b"[" * 100_000,
        b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    ],
)
def test_what_is_not_a_json_object_is_malformed(api: Api, body: bytes) -> None:
    assert_problem(api.post("", body), 400, "malformed")
    assert not Saga.objects.exists()


def test_deep_data_is_refused(api: Api) -> None:
    deep: Any = "item"
    for _ in range(150):
        deep = [deep]
    assert_problem(api.post("", {"type": "Errand", "data": {"item": deep}}), 422, "invalid", "data")


def test_a_form_is_not_json(api: Api) -> None:
    response = api.post("", "type=Errand", "application/x-www-form-urlencoded")
    assert_problem(response, 415, "unsupported_type")
    assert_problem(api.post("", "{}", "application/json; charset=latin-1"), 415, "unsupported_type")


@pytest.mark.parametrize("size", [1024 * 1024, 10 * 1024 * 1024])
def test_a_large_body_is_refused(api: Api, size: int) -> None:
    body = json.dumps({"type": "Errand", "data": {"item": "x" * size}})
    assert_problem(api.post("", body), 413, "too_large")
    assert not Saga.objects.exists()


def test_a_large_body_that_does_not_say_so_is_refused_too(api: Api) -> None:
    with mock.patch("sagas.api.endpoint.check_length"):
        assert_problem(api.post("", b" " * (1024 * 1024 + 1)), 413, "too_large")


# Reading


def test_a_saga_is_read_as_documented(api: Api, held: Saga) -> None:
    response = api.get(f"/{held.pk}")
    saga = response.json()
    assert response.status_code == 200
    documents.Saga.model_validate(saga)
    assert (saga["attention"], saga["current"]) == ("held", "fetch")
    assert [step["name"] for step in saga["steps"]] == ["fetch", "pay", "post"]
    assert saga["steps"][0]["error"] == "sold out"
    assert response["Cache-Control"] == "no-store"


def test_the_verbs_are_those_of_who_asks(api: Api, as_user: Callable[..., Api], held: Saga) -> None:
    may = as_user("view_saga", "retry_saga", "pause_saga")
    body = {"reason": "x", "version": 0}
    documents_of = {
        "read": lambda who: who.get(f"/{held.pk}").json(),
        "listed": lambda who: who.get("").json()["items"][0],
        "refused": lambda who: who.post(f"/{held.pk}/pause", body).json()["saga"],
    }
    for how, read in documents_of.items():
        all_of_it, own = read(api), read(may)
        documents.Saga.model_validate(own)
        applies = {verb["verb"] for verb in all_of_it["verbs"] if verb["applies"]}
        assert applies == {"retry", "compensate", "skip", "resolve", "edit", "pause"}, how
        assert {verb["verb"] for verb in own["verbs"] if verb["applies"]} == {"retry", "pause"}, how
        barred = {verb["verb"]: verb["reason"] for verb in own["verbs"] if not verb["allowed"]}
        assert barred.keys() == {"compensate", "skip", "resolve", "edit"}, how
        assert barred["edit"] == "Your account lacks the permission sagas.edit_saga."
        assert [verb["verb"] for verb in own["why"]["verbs"]] == ["retry"], how
        assert all(verb["allowed"] for verb in all_of_it["verbs"]), how


@pytest.mark.parametrize("path", ["/{}", "/{}/", "/{}/events", "/{}/events/", "", "/"])
def test_every_address_works_with_and_without_a_slash(api: Api, held: Saga, path: str) -> None:
    assert api.get(path.format(held.pk)).status_code == 200
    assert api.client.head(f"{SAGAS}{path.format(held.pk)}", headers=api.headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/nonsense", f"/{uuid4()}", "/1/events", f"/{uuid4()}/events", "/a/b/c", "/%00"]
)
def test_what_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert_problem(api.get(path), 404, "not_found")


def test_the_list_is_paged_by_key_newest_first(api: Api, errand: Callable[..., Saga]) -> None:
    made = [str(errand().pk) for _ in range(5)]
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = api.get("", limit=2, **after).json()
        seen += [saga["id"] for saga in page["items"]]
        errand()  # what is started meanwhile moves no page
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == sorted(made, reverse=True)
    documents.SagaPage.model_validate(page)


def test_the_list_is_filtered(api: Api, held: Saga, errand: Callable[..., Saga]) -> None:
    other = orchestrator.start("Errand", {"item": "pen"}, correlation_id="mine").saga
    over = errand()
    for step in ("fetch", "pay", "post"):
        orchestrator.step_completed(over.pk, step)

    def ids(**query: str) -> set[str]:
        return {saga["id"] for saga in api.get("", **query).json()["items"]}

    assert ids(state="completed") == {str(over.pk)}
    assert ids(attention="any") == ids(attention="held") == {str(held.pk)}
    assert ids(attention="none") == {str(over.pk), str(other.pk)}
    assert ids(correlation_id="mine", type="Errand", state="pending") == {str(other.pk)}
    assert ids(type="Nonsense") == ids(attention="late_effect") == set()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "stuck"}, "state"),
        ({"attention": "yes"}, "attention"),
        ({"after": "7"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"attenton": "any"}, "attenton"),
        ({"correlation_id": "a\x00b"}, "correlation_id"),
        ({"state": ["pending", "failed"]}, "state"),
    ],
)
def test_a_bad_filter_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    assert_problem(api.get("", **query), 422, "invalid", field)


def test_the_event_log_is_paged(api: Api, held: Saga) -> None:
    whole = api.get(f"/{held.pk}/events").json()
    assert [event["sequence"] for event in whole["items"]] == list(range(1, held.sequence + 1))
    assert whole["next"] is None
    documents.EventPage.model_validate(whole)
    first = api.get(f"/{held.pk}/events", limit=2).json()
    rest = api.get(f"/{held.pk}/events", after=first["next"]).json()
    assert first["items"] + rest["items"] == whole["items"]
    assert_problem(api.get(f"/{held.pk}/events", after="-1"), 422, "invalid", "after")


def test_the_types_are_listed_with_their_steps(api: Api) -> None:
    response = api.client.get("/api/v1/types", headers=api.headers)
    types = {
        each["type"]: each
        for each in documents.TypeList.model_validate(response.json()).model_dump()["items"]
    }
    assert [step["name"] for step in types["Errand"]["steps"]] == ["fetch", "pay", "post"]


class Named(BaseModel):
    item: str = Field(validation_alias="thing")


def test_sample_data_is_read_by_the_types_model_wherever_its_steps_are_told(
    api: Api, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop.Errand, "data_model", Named)
    monkeypatch.setattr(shop.Errand, "sample_data", {"thing": "book"})
    monkeypatch.setattr(shop.Errand, "deadline", 60.0)
    items = api.client.get("/api/v1/types", headers=api.headers).json()["items"]
    assert [len(each["steps"]) for each in items if each["type"] == "Errand"] == [3]
    api.client.force_login(operator)
    definition = api.client.get(reverse("saga-type-detail", args=["Errand"])).context["definition"]
    assert definition.names == ("fetch", "pay", "post")
    assert definition.digest == orchestrator.sample_definition(shop.Errand()).digest


# Acting


def test_a_verb_acts_and_answers_with_the_new_state(api: Api, held: Saga) -> None:
    body = {"step": "fetch", "reason": "restocked", "version": held.version, "action_id": "a1"}
    response = api.post(f"/{held.pk}/retry", body)
    saga = response.json()
    assert response.status_code == 200
    documents.Acted.model_validate(saga)
    assert (saga["attention"], saga["version"]) == (None, held.version + 1)
    assert saga["action"] == {"verb": "retry", "repeated": False, "created": None}
    audited = OperatorAction.objects.get()
    assert (audited.operator_name, audited.via, audited.reason) == ("olga", "api", "restocked")


def test_the_same_action_id_gives_the_stored_answer(api: Api, held: Saga) -> None:
    body = {"step": "fetch", "reason": "restocked", "version": held.version, "action_id": "a1"}
    first, again = (api.post(f"/{held.pk}/retry/", body).json() for _ in range(2))
    assert again.pop("action")["repeated"]
    first.pop("action")
    assert again == first
    assert OperatorAction.objects.count() == 1


def test_a_dry_run_of_an_edit_tells_what_it_changes(api: Api, held: Saga) -> None:
    data = {**held.data, "item": "lamp"}
    body = api.post(f"/{held.pk}/edit", {"data": data, "dry_run": True}).json()
    assert body["changes"] == [{"path": "item", "kind": "changed", "before": "book", "after": "lamp"}]


def test_a_dry_run_gives_the_preview_and_changes_nothing(api: Api, held: Saga) -> None:
    response = api.post(f"/{held.pk}/retry", {"step": "fetch", "dry_run": True})
    plan = documents.Plan.model_validate(response.json())
    assert [call.command for call in plan.calls] == ["FetchService.Fetch"]
    held.refresh_from_db()
    assert (held.attention, OperatorAction.objects.count()) == ("held", 0)


def test_a_stale_version_is_told_the_state_and_who_moved_it(api: Api, held: Saga) -> None:
    api.post(f"/{held.pk}/pause", {"reason": "hands off"})
    body = assert_problem(
        api.post(f"/{held.pk}/compensate", {"reason": "x", "version": held.version}), 409, "conflict"
    )
    assert (body["state"], body["version"]) == ("pending", held.version + 1)
    assert (body["moved_by"]["operator"], body["moved_by"]["verb"]) == ("olga", "pause")
    assert body["saga"]["paused"]


def test_a_verb_that_does_not_apply_is_a_conflict(api: Api, held: Saga) -> None:
    body = assert_problem(api.post(f"/{held.pk}/resume", {"reason": "x"}), 409, "conflict")
    assert "not paused" in body["error"]["message"]
    assert body["state"] == "pending"
    assert_problem(api.post(f"/{held.pk}/resume", {"dry_run": True}), 409, "conflict")


def test_a_step_may_be_left_out_where_only_one_can_be_meant(api: Api, held: Saga) -> None:
    body = {"reason": "x", "action_id": "a1"}
    done = api.post(f"/{held.pk}/retry", body)
    assert (done.status_code, done.json()["attention"]) == (200, None)
    again = api.post(f"/{held.pk}/retry", body)
    assert (again.status_code, again.json()["action"]["repeated"]) == (200, True)
    none = api.post(f"/{held.pk}/retry", {"reason": "x"})
    assert none.status_code == 409
    assert "fetch" in none.content.decode()
    several = api.post(f"/{held.pk}/skip", {"reason": "x"})
    assert_problem(several, 422, "invalid", "step")
    assert "it could be fetch, pay, post" in several.content.decode()
    stale = api.post(f"/{held.pk}/skip", {"reason": "x", "version": held.version})
    assert (stale.status_code, stale.json()["saga"]["version"]) == (409, held.version + 1)
    assert "moved on" in stale.content.decode()


def test_of_a_saga_that_is_over_no_step_need_be_named_to_hear_that(
    api: Api, errand: Callable[..., Saga]
) -> None:
    over = errand()
    for step in ("fetch", "pay", "post"):
        orchestrator.step_completed(over.pk, step)
    for verb in ("retry", "approve", "skip"):
        refused = api.post(f"/{over.pk}/{verb}", {"reason": "x"})
        assert (refused.status_code, refused.json()["saga"]["state"]) == (409, "completed")


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("pause", {}, "reason"),
        ("pause", {"reason": "  "}, "reason"),
        ("pause", {"reason": 3}, "reason"),
        ("pause", {"reason": "\x00"}, "reason"),
        ("retry", {"reason": "x", "step": "nowhere"}, "step"),
        ("pause", {"reason": "x", "version": "1"}, "version"),
        ("pause", {"reason": "x", "version": True}, "version"),
        ("pause", {"reason": "x", "version": -1}, "version"),
        ("pause", {"reason": "x", "action_id": ""}, "action_id"),
        ("pause", {"reason": "x", "dry_run": "yes"}, "dry_run"),
        ("resolve", {"reason": "x", "step": "fetch"}, "outcome"),
        ("resolve", {"reason": "x", "step": "fetch", "outcome": "maybe"}, "outcome"),
        ("edit", {"reason": "x"}, "data"),
        ("edit", {"reason": "x", "data": [1]}, "data"),
        ("edit", {"reason": "x", "data": {"a": "\x00"}}, "data.a"),
        ("pause", {"reason": "x", "force": True}, "force"),
    ],
)
def test_a_request_that_makes_no_sense_names_the_field(
    api: Api, held: Saga, verb: str, body: dict[str, Any], field: str
) -> None:
    assert_problem(api.post(f"/{held.pk}/{verb}", body), 422, "invalid", field)
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize("path", ["/{}/explode", "/nonsense/pause", f"/{uuid7()}/pause"])
def test_no_such_verb_or_saga(api: Api, held: Saga, path: str) -> None:
    assert_problem(api.post(path.format(held.pk), {"reason": "x"}), 404, "not_found")


def test_restart_names_the_new_saga(api: Api, errand: Callable[..., Saga]) -> None:
    saga = errand()
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    action = api.post(f"/{saga.pk}/restart", {"reason": "again"}).json()["action"]
    assert api.get(f"/{action['created']}").json()["origin"] == str(saga.pk)


# Methods, identity, permission, faults


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("delete", "", "GET, HEAD, POST"),
        ("put", "/{}", "GET, HEAD"),
        ("post", "/{}/events", "GET, HEAD"),
        ("get", "/{}/retry", "POST"),
        ("options", "", "GET, HEAD, POST"),
    ],
)
def test_other_methods_are_told_which_work(
    api: Api, held: Saga, method: str, path: str, allowed: str
) -> None:
    response = getattr(api.client, method)(f"{SAGAS}{path.format(held.pk)}", headers=api.headers)
    assert_problem(response, 405, "method_not_allowed")
    assert response["Allow"] == allowed


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer sd_wrong", "bearer \x7f", "Basic b2xnYTp4"])
def test_a_stranger_is_not_let_in(held: Saga, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    for response in (
        Client().get(f"{SAGAS}/{held.pk}", headers=headers),
        Client().post(SAGAS, ERRAND, "application/json", headers=headers),
    ):
        assert_problem(response, 401, "unauthenticated")
        assert response["WWW-Authenticate"].startswith("Bearer")
    assert Saga.objects.count() == 1


def test_the_token_of_an_inactive_user_is_worth_nothing(api: Api, operator: Any) -> None:
    operator.is_active = False
    operator.save()
    assert_problem(api.get(), 401, "unauthenticated")


def test_a_deleted_token_is_worth_nothing(api: Api) -> None:
    Token.objects.all().delete()
    assert_problem(api.get(), 401, "unauthenticated")


def test_the_session_reads_and_needs_its_csrf_token_to_write(operator: Any, held: Saga) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)
    assert browser.get(f"{SAGAS}/{held.pk}").status_code == 200
    assert_problem(browser.post(SAGAS, ERRAND, "application/json"), 403, "csrf_failed")
    assert_problem(
        browser.post(f"{SAGAS}/{held.pk}/pause", {"reason": "x"}, "application/json"), 403, "csrf_failed"
    )
    browser.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    headers = {"X-CSRFToken": "a" * 32}
    assert browser.post(SAGAS, ERRAND, "application/json", headers=headers).status_code == 201


def test_a_wrong_token_is_not_made_good_by_a_session(operator: Any) -> None:
    browser = Client()
    browser.force_login(operator)
    assert_problem(browser.get(SAGAS, headers={"Authorization": "Bearer no"}), 401, "unauthenticated")


def test_a_bearer_needs_no_csrf_token(api: Api) -> None:
    api.client = Client(enforce_csrf_checks=True)
    assert api.post("", ERRAND).status_code == 201


def test_each_permission_opens_its_own_door(as_user: Callable[..., Api], held: Saga) -> None:
    reader = as_user("view_saga", "pause_saga")
    assert reader.get(f"/{held.pk}").status_code == 200
    assert_problem(reader.post("", ERRAND), 403, "forbidden")
    body = assert_problem(reader.post(f"/{held.pk}/compensate", {"reason": "x"}), 403, "forbidden")
    assert "sagas.compensate_saga" in body["error"]["message"]
    assert reader.post(f"/{held.pk}/pause", {"reason": "x"}).status_code == 200


def test_who_may_not_see_a_saga_is_not_shown_it_for_trying_a_verb(
    as_user: Callable[..., Api], held: Saga
) -> None:
    blind = as_user("pause_saga")
    body = assert_problem(blind.post(f"/{held.pk}/pause", {"reason": "x", "version": 0}), 403, "forbidden")
    assert "sagas.view_saga" in body["error"]["message"]
    assert "saga" not in body


def test_what_django_refuses_of_a_request_is_malformed(api: Api, operator: Any) -> None:
    assert_problem(api.get("", **{f"p{n}": "" for n in range(1001)}), 400, "malformed")
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)
    browser.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32
    forms = {"multipart/form-data": b"x", "application/x-www-form-urlencoded": b"&".join([b"a=1"] * 1001)}
    for kind, form in forms.items():
        assert_problem(browser.post(SAGAS, form, kind), 400, "malformed")


def test_without_permission_nothing_can_be_read(as_user: Callable[..., Api], held: Saga) -> None:
    nobody = as_user()
    for path in ("", f"/{held.pk}", f"/{held.pk}/events"):
        assert_problem(nobody.get(path), 403, "forbidden")


def test_a_fault_of_ours_is_logged_and_not_shown(api: Api, held: Saga, caplog: Any) -> None:
    with mock.patch("sagas.api.views.orchestrator.snapshot", side_effect=RuntimeError("the secret")):
        response = api.get(f"/{held.pk}")
    assert_problem(response, 500, "internal")
    assert "secret" not in response.content.decode()
    assert "the secret" in caplog.text


def test_a_database_that_is_away_is_said_to_be_away(api: Api, held: Saga) -> None:
    with mock.patch("sagas.api.views.orchestrator.snapshot", side_effect=OperationalError("locked")):
        response = api.get(f"/{held.pk}")
    assert_problem(response, 503, "unavailable")
    assert response["Retry-After"]


# The OpenAPI document


@pytest.mark.parametrize("path", ["openapi.json", "openapi.json/", ""])
def test_the_openapi_document_covers_every_verb_and_refers_to_what_exists(path: str) -> None:
    document = Client().get(f"/api/v1/{path}").json()
    assert document["openapi"].startswith("3.1")
    for verb in orchestrator.VERBS:
        assert "post" in document["paths"][f"/sagas/{{id}}/{verb}"]
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]
    query = {p["name"]: p["schema"] for p in document["paths"]["/sagas"]["get"]["parameters"]}
    assert query["limit"]["maximum"] == 200


def test_there_is_nothing_elsewhere(api: Api) -> None:
    response = api.client.get("/api/v1/nothing/here", headers=api.headers)
    assert "openapi.json" in assert_problem(response, 404, "not_found")["error"]["message"]
