"""A verb on the sagas that were selected in the list: one preview, one reason, and an answer for each."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from sagas import orchestrator
from sagas.engine import Pump
from sagas.models import OperatorAction, Saga
from tests.sagas import shop
from tests.sagas.pages import text
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)

RETRY, ROLL_BACK = "/sagas/selected/retry/", "/sagas/selected/compensate/"


@pytest.fixture
def held(errand: Any, pump: Pump, world: shop.World) -> list[Saga]:
    """Two sagas that an outage left."""
    world.behaviour["PayService.Pay"] = shop.reject("broke")
    return [rest(pump, errand(hold=True)) for _ in range(2)]


def form(page: Any, **more: Any) -> dict[str, Any]:
    """Return what the preview's form would send, all being ticked."""
    html = page.content.decode()
    html = html[html.index('id="verb"') :]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", html):
        name, value = re.search(r'name="([^"]+)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and name[1] != "csrfmiddlewaretoken":
            found.setdefault(name[1], []).append(value[1] if value else "")
    return {**found, "reason": "the bank is back", **more}


def preview(desk: Client, address: str, *sagas: Saga) -> Any:
    return desk.get(address, {"saga": [saga.pk for saga in sagas]})


def by(name: str, *permissions: str) -> Client:
    user = get_user_model().objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    browser = Client()
    browser.force_login(user)
    return browser


def acted(saga: Saga) -> list[tuple[str, str | None, str]]:
    return list(OperatorAction.objects.filter(saga=saga).values_list("verb", "step", "reason"))


def test_one_page_says_of_each_what_will_happen_under_which_key(
    desk: Client, held: list[Saga], errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour.clear()
    done = rest(pump, errand())
    page = text(preview(desk, RETRY, *held, done))
    for saga in held:
        assert f"{saga.pk}:pay:do:2" in page
    assert "PayService.Pay is called for pay, under a new key." in page
    assert "Nothing would happen to these" in page
    assert "No step can be acted on: It is completed" in page
    assert not OperatorAction.objects.exists(), "looking changes nothing"


@pytest.mark.parametrize(
    ("address", "step", "state"), [(RETRY, "pay", "pending"), (ROLL_BACK, None, "compensating")]
)
def test_each_is_done_with_the_one_reason_and_told_of(
    desk: Client, held: list[Saga], address: str, step: str | None, state: str
) -> None:
    answer = text(desk.post(address, form(preview(desk, address, *held))))
    assert "2 of 2 done" in answer
    assert answer.count(f"was done; it is {state} now.") == 2
    for saga in held:
        assert [(s, reason) for _, s, reason in acted(saga)] == [(step, "the bank is back")]
        assert Saga.objects.get(pk=saga.pk).attention is None
    assert set(OperatorAction.objects.values_list("via", "operator_name")) == {("desk", "olga")}


def test_what_has_moved_on_is_refused_and_the_others_are_done(
    desk: Client, held: list[Saga], operator: Any
) -> None:
    first, second = held
    sent = form(preview(desk, RETRY, *held))
    asked = orchestrator.Asked(operator=operator, via="desk", reason="hands off")
    orchestrator.act(first.pk, "pause", asked)
    answer = text(desk.post(RETRY, sent))
    assert "1 of 2 done" in answer
    assert "The saga has moved on: you saw version" in answer
    assert "hands off" in answer
    assert [verb for verb, _, _ in acted(first)] == ["pause"]
    assert [verb for verb, _, _ in acted(second)] == ["retry"]
    (again,) = re.findall(r'href="([^"]*)">Look at what was refused', answer)
    assert str(first.pk) in again
    assert str(second.pk) not in again
    assert f"{first.pk}:pay:do:2" in text(desk.get(again.replace("&amp;", "&")))


def test_what_was_left_out_of_the_page_is_left_alone(desk: Client, held: list[Saga]) -> None:
    first, second = held
    desk.post(RETRY, form(preview(desk, RETRY, *held), saga=[str(second.pk)]))
    assert not acted(first)
    assert acted(second)


def test_a_double_click_counts_once_for_each(desk: Client, held: list[Saga]) -> None:
    sent = form(preview(desk, RETRY, *held))
    desk.post(RETRY, sent)
    assert text(desk.post(RETRY, sent)).count("was done already") == 2
    assert OperatorAction.objects.count() == 2


def test_a_saga_s_steps_are_retried_one_after_the_other(desk: Client, errand: Any) -> None:
    torn = errand(hold=True, branches=True)
    for step in ("fetch", "pay"):
        orchestrator.step_failed(torn.pk, step, "no")
    desk.post(RETRY, form(preview(desk, RETRY, torn)))
    assert {step for _, step, _ in acted(torn)} == {"fetch", "pay"}


def test_a_saga_that_is_paused_is_said_to_be_so_still(desk: Client, held: list[Saga], operator: Any) -> None:
    asked = orchestrator.Asked(operator=operator, via="desk", reason="hands off")
    orchestrator.act(held[0].pk, "pause", asked)
    answer = text(desk.post(RETRY, form(preview(desk, RETRY, held[0]))))
    assert "and paused: nothing is called until it is resumed" in answer


@pytest.mark.parametrize(
    ("reason", "says"),
    [(" ", "A reason is required"), ("x" * 2001, "at most 2000 characters"), ("a\x00b", "NUL")],
)
def test_without_a_reason_nothing_is_done_and_what_was_typed_stays(
    desk: Client, held: list[Saga], reason: str, says: str
) -> None:
    answer = desk.post(RETRY, form(preview(desk, RETRY, *held), reason=reason))
    assert answer.status_code == 422
    assert says in text(answer)
    assert f"{held[0].pk}:pay:do:2" in text(answer)
    assert not OperatorAction.objects.exists()


def test_another_look_keeps_the_reason_and_does_nothing(desk: Client, held: list[Saga]) -> None:
    answer = desk.post(RETRY, form(preview(desk, RETRY, *held), preview="1"))
    assert "the bank is back" in text(answer)
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ([], "Select the sagas first."),
        (["<b>"], "is not a saga&#x27;s id; an id is a UUID."),
        ([uuid4() for _ in range(51)], "Select at most 50 sagas."),
    ],
)
def test_nonsense_leads_back_to_the_list_and_says_what_was_wrong(
    desk: Client, held: list[Saga], chosen: list[UUID], says: str
) -> None:
    back = {"list": "attention=held&after=nonsense&what=ever"}
    for answer in (
        desk.get(RETRY, {"saga": chosen, **back}, follow=True),
        desk.post(RETRY, {"saga": chosen, "reason": "x", **back}, follow=True),
    ):
        assert says in text(answer)
        assert answer.request["QUERY_STRING"] == "attention=held&after=nonsense"


@pytest.mark.parametrize("version", ["", "9" * 5000, "²", "-1"])
def test_without_a_version_that_was_seen_nothing_is_done(
    desk: Client, held: list[Saga], version: str
) -> None:
    sent = form(preview(desk, RETRY, held[0]), **{f"version-{held[0].pk}": version})
    assert "0 of 0 done" in text(desk.post(RETRY, sent))
    assert not OperatorAction.objects.exists()


def test_a_saga_that_is_not_there_is_named(desk: Client, held: list[Saga]) -> None:
    nobody = uuid4()
    page = text(desk.get(RETRY, {"saga": [nobody, held[0].pk]}))
    assert f"There is no saga {nobody}." in page
    assert f"{held[0].pk}:pay:do:2" in page


def test_a_verb_that_wants_to_know_something_of_each_is_not_for_several(
    desk: Client, held: list[Saga]
) -> None:
    assert preview(desk, "/sagas/selected/resolve/", *held).status_code == 404


def test_who_may_not_is_not_offered_it_and_refused(held: list[Saga]) -> None:
    listed = reverse("saga-list")
    looker = by("lena", "view_saga")
    page = text(looker.get(listed))
    assert "sagas--pick" not in page
    assert 'id="selected"' not in page
    assert preview(looker, RETRY, *held).status_code == 403
    assert looker.post(RETRY, {"saga": [held[0].pk], "reason": "x"}).status_code == 403
    retrier = by("rita", "view_saga", "retry_saga")
    page = text(retrier.get(listed))
    assert RETRY in page
    assert ROLL_BACK not in page
    assert preview(by("nora", "retry_saga"), RETRY, *held).status_code == 403
