"""Django's admin: it shows everything, and changes nothing but through the orchestrator."""

import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.contrib.admin import site
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from sagas import models, orchestrator
from sagas.core.ids import id_range, uuid7
from sagas.models import OperatorAction, Process, Saga, Token

pytestmark = pytest.mark.django_db

LIST = "/admin/sagas/saga/"
RECORDS = (
    models.Step, models.Event, models.Due, models.LateReply, models.OperatorAction, models.Definition, models.Process,
    models.Token, models.Batch, models.BatchItem, models.Alert, models.Notice,
)  # fmt: skip


@pytest.fixture
def desk(operator: Any) -> Client:
    """A superuser's browser."""
    browser = Client()
    browser.force_login(operator)
    return browser


@pytest.fixture
def held(errand: Callable[..., Saga]) -> Saga:
    """A saga that is held at its first step."""
    saga = errand(hold=True)
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    saga.refresh_from_db()
    return saga


def as_user(*permissions: str) -> Client:
    """Return the browser of a member of the staff with these permissions only."""
    user = get_user_model().objects.create_user("otto", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def page(saga: Saga) -> str:
    return f"{LIST}{saga.pk}/change/"


def fields(response: HttpResponse) -> dict[str, str]:
    """Return the hidden fields of a page, as its form would send them."""
    found = re.findall(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"', response.content.decode())
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def said(response: HttpResponse) -> str:
    return " ".join(str(message) for message in response.context["messages"])


# Showing


@pytest.mark.parametrize("model", [Saga, *RECORDS], ids=lambda model: model.__name__)
def test_every_record_is_listed_found_and_shown_but_not_written(
    desk: Client, held: Saga, model: Any, operator: Any
) -> None:
    _one_of_each(held, operator)
    name = f"admin:sagas_{model._meta.model_name}"
    row = model.objects.first()
    assert desk.get(reverse(f"{name}_changelist")).status_code == 200
    assert desk.get(reverse(f"{name}_changelist"), {"q": "fetch"}).status_code == 200
    assert desk.get(reverse(f"{name}_changelist"), {"q": str(held.pk)[:13]}).status_code == 200
    assert desk.get(reverse(f"{name}_change", args=[row.pk])).status_code == 200
    assert desk.get(reverse(f"{name}_add")).status_code == 403
    if model is not Token:
        assert desk.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    if model is not Saga:
        assert desk.post(reverse(f"{name}_change", args=[row.pk]), {"step": "x"}).status_code == 403


def _one_of_each(saga: Saga, operator: Any) -> None:
    orchestrator.step_completed(saga.pk, "post")
    asked = orchestrator.Asked(operator=operator, via="desk", reason="x", step="fetch")
    orchestrator.act(saga.pk, "retry", asked)
    Token.issue(operator)
    at = saga.updated_at
    Process.objects.create(name="w", kind="worker", host="h", pid=1, started_at=at, seen_at=at)
    batch = models.Batch.objects.create(verb="retry", total=1, per_second=1, next_at=at, created_at=at)
    models.BatchItem.objects.create(batch=batch, position=0, saga=saga, version=saga.version)
    alert = models.Alert.objects.create(key="k", kind="clock", title="No clock is alive", opened_at=at)
    models.Notice.objects.create(alert=alert, channel="team", what="begun", number=1, made_at=at, due_at=at)
    assert all(model.objects.exists() for model in RECORDS)


@pytest.mark.parametrize("model", [Saga, *RECORDS], ids=lambda model: model.__name__)
def test_a_list_counts_no_further_than_a_bound(desk: Client, held: Saga, model: Any, operator: Any) -> None:
    _one_of_each(held, operator)
    with mock.patch("sagas.admin.reading.MOST", 0), CaptureQueriesContext(connection) as queries:
        response = desk.get(reverse(f"admin:sagas_{model._meta.model_name}_changelist"))
    assert f"0+ {model._meta.verbose_name_plural}" in response.content.decode()
    counts = [
        query["sql"] for query in queries if "COUNT(" in query["sql"] and model._meta.db_table in query["sql"]
    ]
    assert counts
    assert all("LIMIT 1" in count for count in counts)


@pytest.mark.parametrize("model", [Saga, models.Step, models.Event], ids=lambda model: model.__name__)
def test_what_a_list_can_be_filtered_by_is_known_without_reading_all_of_it(
    desk: Client, held: Saga, model: Any
) -> None:
    with CaptureQueriesContext(connection) as queries:
        text = desk.get(reverse(f"admin:sagas_{model._meta.model_name}_changelist")).content.decode()
    whole = f'SELECT DISTINCT "{model._meta.db_table}"'
    assert not [query["sql"] for query in queries if query["sql"].startswith(whole)]
    offered = {
        Saga: "?saga_type=Errand",
        models.Step: "?status__exact=",
        models.Event: "?type=StepDispatched",
    }
    assert offered[model] in text


def test_every_model_is_registered() -> None:
    resolve("/admin/")  # the addresses bring them
    assert {Saga, *RECORDS} <= set(site._registry)


def test_the_list_is_filtered_and_searched_by_the_beginning_of_an_id(desk: Client, held: Saga) -> None:
    other = orchestrator.start("Errand", {"item": "pen"}, correlation_id="mine").saga

    def listed(**query: str) -> set[Any]:
        return {saga.pk for saga in desk.get(LIST, query).context["cl"].queryset}

    assert listed() == {held.pk, other.pk}
    assert listed(attention__exact="held") == {held.pk}
    assert listed(saga_type="Nonsense") == set()
    assert listed(q="mine") == {other.pk}
    assert listed(q=str(other.pk)) == listed(q=other.pk.hex) == {other.pk}
    assert listed(q=str(held.pk)[:10]) >= {held.pk}
    assert listed(q="nothing like it") == set()


def test_a_prefix_is_a_range_of_ids() -> None:
    saga_id = uuid7()
    assert id_range(str(saga_id)) == (saga_id, saga_id)
    first, last = id_range(str(saga_id)[:13]) or (None, None)
    assert first is not None
    assert last is not None
    assert first <= saga_id <= last
    assert id_range("order-7") is id_range("") is id_range("a" * 33) is None


def test_a_saga_links_to_its_records(desk: Client, held: Saga) -> None:
    text = desk.get(page(held)).content.decode()
    links = re.findall(r'href="([^"]+\?q=[^"]+)"', text)
    assert len(links) == 4
    with CaptureQueriesContext(connection) as queries:
        assert desk.get(links[0]).context["cl"].result_count == held.sequence
    assert not [q["sql"] for q in queries if "sagas_event" in q["sql"] and "LIKE" in q["sql"]], (
        "a million are not read"
    )


def test_what_a_saga_carries_is_escaped(desk: Client, errand: Callable[..., Saga]) -> None:
    saga = errand(hold=True, note="<script>alert(1)</script>")
    orchestrator.step_failed(saga.pk, "fetch", "<script>alert(2)</script>")
    for address in (page(saga), LIST, reverse("admin:sagas_step_changelist")):
        assert "<script>alert" not in desk.get(address).content.decode()


def test_viewing_needs_the_permission(held: Saga) -> None:
    browser = as_user("view_event")
    assert browser.get(page(held)).status_code == 403
    assert browser.get(reverse("admin:sagas_event_changelist")).status_code == 200


def test_who_may_not_see_sagas_sees_none_for_being_allowed_to_change_them(held: Saga) -> None:
    blind = as_user("edit_saga", "retry_saga", "compensate_saga")
    assert blind.get(LIST).status_code == blind.get(page(held)).status_code == 403


def test_who_may_only_view_sees_the_data_and_no_form(held: Saga) -> None:
    browser = as_user("view_saga", "view_step")
    text = browser.get(page(held)).content.decode()
    assert "book" in text
    assert "seen_version" not in text
    assert browser.post(page(held), {"data": "{}"}).status_code == 403
    assert 'name="action"' not in browser.get(LIST).content.decode()


def test_a_token_is_taken_back_by_deleting_it(desk: Client, operator: Any) -> None:
    Token.issue(operator)
    desk.post(reverse("admin:sagas_token_delete", args=[Token.objects.get().pk]), {"post": "yes"})
    assert not Token.objects.exists()


# Editing


def edit(browser: Client, saga: Saga, **values: str) -> HttpResponse:
    """Open a saga's page, change its form and save it."""
    form = fields(browser.get(page(saga)))
    sent = {**form, "reason": "a typo", "data": '{"item": "pen", "hold": true}', **values}
    return browser.post(page(saga), sent, follow=True)


def test_data_is_edited_through_the_orchestrator(desk: Client, held: Saga) -> None:
    assert edit(desk, held).redirect_chain
    saga = Saga.objects.get()
    assert (saga.data["item"], saga.version) == ("pen", held.version + 1)
    audited = OperatorAction.objects.get()
    assert (audited.verb, audited.via, audited.reason, audited.operator_name) == (
        "edit",
        "admin",
        "a typo",
        "olga",
    )
    assert audited.request["before"]["item"] == "book"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"reason": ""}, "required"),
        ({"data": "{"}, "valid JSON"),
        ({"data": "[" * 100_000}, "valid JSON"),
        ({"data": '{"item": "\\ud800"}'}, "valid JSON"),
        ({"data": '{"item": ' + "9" * 5000 + "}"}, "valid JSON"),
        ({"data": "[1]"}, "must be an object"),
        ({"data": '{"item": NaN}'}, "data.item is nan"),
        ({"data": '{"item": "\\u0000"}'}, "NUL"),
        ({"data": '{"item": "book", "hold": true}'}, "as it was"),
        ({"seen_version": "one"}, "whole number"),
        ({"seen_version": "1"}, "moved on"),
        ({"action_id": "x" * 101}, "at most 100"),
    ],
)
def test_an_edit_that_is_refused_changes_nothing(
    desk: Client, held: Saga, values: dict[str, str], says: str
) -> None:
    response = edit(desk, held, **values)
    assert says in response.content.decode()
    saga = Saga.objects.get()
    assert (saga.data["item"], saga.version) == ("book", held.version)
    assert not OperatorAction.objects.exists()


def test_an_edit_of_what_has_moved_on_is_told_who_moved_it(desk: Client, held: Saga, operator: Any) -> None:
    form = fields(desk.get(page(held)))
    orchestrator.act(held.pk, "pause", orchestrator.Asked(operator=operator, via="desk", reason="hands off"))
    response = desk.post(page(held), {**form, "reason": "x", "data": '{"item": "pen"}'})
    assert "hands off" in response.content.decode()
    assert Saga.objects.get().data["item"] == "book"
    assert "pen" in response.content.decode(), "what was typed is still there"
    again = {**fields(response), "reason": "x", "data": '{"item": "pen"}'}
    assert desk.post(page(held), again).status_code == 302
    assert Saga.objects.get().data["item"] == "pen"


def test_an_edit_that_is_overtaken_between_check_and_deed_changes_nothing(desk: Client, held: Saga) -> None:
    late = orchestrator.Conflict("The saga has moved on.", orchestrator.snapshot(held))
    with mock.patch("sagas.admin.saga.orchestrator.act", side_effect=late):
        response = edit(desk, held)
    assert "moved on" in said(response)
    assert "changed successfully" not in said(response)
    assert Saga.objects.get().data["item"] == "book"


def test_a_double_click_is_one_edit(desk: Client, held: Saga) -> None:
    form = {**fields(desk.get(page(held))), "reason": "x", "data": '{"item": "pen"}'}
    for _ in range(2):
        assert desk.post(page(held), form).status_code == 302
    assert OperatorAction.objects.count() == 1


def test_nothing_but_the_data_can_be_posted(desk: Client, held: Saga) -> None:
    edit(desk, held, state="completed", version="99", paused="on", correlation_id="forged")
    saga = Saga.objects.get()
    assert (saga.state, saga.version, saga.paused) == ("pending", held.version + 1, False)
    assert saga.correlation_id == held.correlation_id


def test_a_saga_that_is_over_is_only_shown(desk: Client, errand: Callable[..., Saga]) -> None:
    saga = errand()
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    assert "seen_version" not in desk.get(page(saga)).content.decode()
    assert desk.post(page(saga), {"data": '{"item": "pen"}'}).status_code == 403


# Acting


def choose(browser: Client, action: str, *sagas: Saga) -> HttpResponse:
    """Select sagas in the list, and an action."""
    return browser.post(LIST, {"action": action, "_selected_action": [str(saga.pk) for saga in sagas]})


def confirm(browser: Client, asked: HttpResponse, reason: str = "because") -> HttpResponse:
    """Press the button of the page in between."""
    return browser.post(LIST, {**fields(asked), "reason": reason}, follow=True)


def test_the_page_in_between_says_what_each_saga_would_do(
    desk: Client, held: Saga, errand: Callable[..., Saga]
) -> None:
    fresh = errand()
    text = choose(desk, "retry_selected", held, fresh).content.decode()
    assert "FetchService.Fetch is called for fetch, under a new key." in text
    assert "Nothing will happen to this one" in text
    assert not OperatorAction.objects.exists()


def test_a_confirmed_retry_is_carried_out_and_audited(desk: Client, held: Saga) -> None:
    response = confirm(desk, choose(desk, "retry_selected", held))
    assert "retry was done" in said(response)
    held.refresh_from_db()
    assert held.attention is None
    audited = OperatorAction.objects.get()
    assert (audited.verb, audited.step, audited.via, audited.reason) == ("retry", "fetch", "admin", "because")


@pytest.fixture
def torn(errand: Callable[..., Saga]) -> Saga:
    """A saga that is held at two steps."""
    saga = errand(hold=True, branches=True)
    for step in ("fetch", "pay"):
        orchestrator.step_failed(saga.pk, step, "no")
    return saga


def test_several_steps_of_one_saga_are_retried_one_after_the_other(desk: Client, torn: Saga) -> None:
    asked = choose(desk, "retry_selected", torn)
    steps = re.findall(rf'name="step-{torn.pk}"\s+value="([^"]+)"', asked.content.decode())
    assert steps == ["fetch", "pay"]
    desk.post(LIST, {**fields(asked), f"step-{torn.pk}": steps, "reason": "x"})
    assert OperatorAction.objects.count() == 2
    assert Saga.objects.get().attention is None


def test_what_was_done_is_told_though_a_saga_moves_on_before_all_of_it_is(desk: Client, torn: Saga) -> None:
    asked = choose(desk, "retry_selected", torn)
    act = orchestrator.act

    def and_then_a_worker_is_quick(pk: Any, verb: str, how: Any) -> Any:
        answer = act(pk, verb, how)
        orchestrator.step_completed(pk, "fetch")
        return answer

    with mock.patch("sagas.orchestrator.each.act", and_then_a_worker_is_quick):
        body = {**fields(asked), f"step-{torn.pk}": ["fetch", "pay"], "reason": "x"}
        told = said(desk.post(LIST, body, follow=True))
    assert "retry of fetch was done. Then: " in told


def test_each_saga_has_its_own_result(desk: Client, errand: Callable[..., Saga], operator: Any) -> None:
    first, second = errand(), errand()
    asked = choose(desk, "compensate_selected", first, second)
    orchestrator.act(first.pk, "pause", orchestrator.Asked(operator=operator, via="desk", reason="hands off"))
    both = re.findall(r'name="_selected_action"\s+value="([^"]+)"', asked.content.decode())
    response = desk.post(LIST, {**fields(asked), "_selected_action": both, "reason": "x"}, follow=True)
    assert "hands off" in said(response)
    assert "it is failed now" in said(response)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, second.state) == ("pending", "failed")


def test_a_saga_that_has_left_the_lists_filters_is_told_of(desk: Client, torn: Saga, operator: Any) -> None:
    needing = f"{LIST}?paused__exact=0"
    chosen = {"action": "compensate_selected", "_selected_action": [str(torn.pk)]}
    asked = desk.post(needing, chosen)
    orchestrator.act(torn.pk, "pause", orchestrator.Asked(operator=operator, via="desk", reason="hands off"))
    told = said(desk.post(needing, {**fields(asked), "reason": "x"}, follow=True))
    assert f"{torn.pk}: nothing more was done" in told
    assert [act.verb for act in OperatorAction.objects.all()] == ["pause"]


def test_a_reason_is_required(desk: Client, held: Saga) -> None:
    response = confirm(desk, choose(desk, "compensate_selected", held), reason=" ")
    assert "Say why" in response.content.decode()
    assert not OperatorAction.objects.exists()


def test_a_double_click_is_one_action(desk: Client, held: Saga) -> None:
    asked = choose(desk, "retry_selected", held)
    for _ in range(2):
        assert "retry was done" in said(confirm(desk, asked))
    assert OperatorAction.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "nonsense", "says"),
    [
        ("_selected_action", "<b>", "is not a valid UUID"),
        ("version-{}", "9" * 5000, ""),
        ("reason", "x" * 2001, "2000"),
        ("reason", "a\x00b", "NUL"),
        ("step-{}", "a\x00b", "NUL"),
        ("action-{}", "x" * 200, "action_id"),
    ],
)
def test_nonsense_for_selected_sagas_is_told_and_changes_nothing(
    desk: Client, held: Saga, field: str, nonsense: str, says: str
) -> None:
    asked = fields(choose(desk, "retry_selected", held))
    sent = {**asked, "reason": "x", field.format(held.pk): nonsense}
    assert says in said(desk.post(LIST, sent, follow=True))
    assert not OperatorAction.objects.exists()


def test_too_many_are_not_acted_on(desk: Client, held: Saga, errand: Callable[..., Saga]) -> None:
    with mock.patch("sagas.admin.acting.MOST", 1):
        response = choose(desk, "compensate_selected", held, errand())
    assert "at most 1" in said(desk.get(response["Location"]))
    assert not OperatorAction.objects.exists()


def test_actions_need_their_permission(held: Saga) -> None:
    browser = as_user("view_saga", "retry_saga")
    text = browser.get(LIST).content.decode()
    assert "retry_selected" in text
    assert "compensate_selected" not in text
    choose(browser, "compensate_selected", held)
    assert "retry was done" in said(confirm(browser, choose(browser, "retry_selected", held)))
    assert OperatorAction.objects.get().verb == "retry"
