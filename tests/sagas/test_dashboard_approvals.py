"""The inbox of approvals: only what this person may answer, and the answers themselves."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from sagas import orchestrator
from sagas.dashboard import approvals as dashboard
from sagas.dashboard.fragments import DeskFragments, rendered_pages
from sagas.engine import Pump
from sagas.models import OperatorAction, Saga
from tests.sagas import waits

pytestmark = pytest.mark.django_db(transaction=True)

INBOX = "approvals"


def person(name: str, *may: str, manager: bool = True) -> Any:
    user = get_user_model().objects.create_user(name)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_saga", *may]))
    if manager:
        user.groups.add(Group.objects.get_or_create(name="managers")[0])
    return user


@pytest.fixture
def boss(db: None) -> Any:
    return person("boss", "approve_saga")


@pytest.fixture
def desk(client: Client, boss: Any) -> Client:
    client.force_login(boss)
    return client


def asking(amount: Any = 12, starter: Any = None, **ask: Any) -> Saga:
    saga = waits.Permit().start({"steps": ["ok"], "amount": amount, "ask": ask}, started_by=starter)
    Pump(("filing", "waits"), "test-worker").run(30)
    saga.refresh_from_db()
    return saga


def shown(client: Client, query: str = "") -> str:
    response = client.get(reverse("saga-approvals") + query)
    assert response.status_code == 200
    return response.content.decode()


def test_the_inbox_says_what_is_asked_and_offers_both_answers(desk: Client) -> None:
    saga = asking("240.00", show="Pay {amount}?", deadline=3600, otherwise="reject", people=2)
    page = shown(desk)
    assert "Pay 240.00?" in page
    assert "0 of 2 people have approved" in page
    assert "If nobody answers, it is rejected" in page
    assert "the group managers" in page
    for verb in ("approve", "reject"):
        assert f"{reverse('saga-verb', args=[saga.pk, verb])}?step=ok&amp;from=approvals" in page


def test_the_sagas_page_says_what_is_asked(desk: Client) -> None:
    saga = asking("240.00", show="Pay {amount}?")
    page = desk.get(reverse("saga-detail", args=[saga.pk])).content.decode()
    assert '<p class="asked">Pay 240.00?</p>' in page


def test_values_are_shown_by_their_paths_and_never_as_html(desk: Client) -> None:
    asking("<b>12</b>", show=["amount"])
    page = shown(desk)
    assert "<dt>amount</dt><dd>&lt;b&gt;12&lt;/b&gt;</dd>" in page


def test_a_value_may_be_called_items(desk: Client) -> None:
    waits.Permit().start(
        {
            "steps": ["ok"],
            "items": [{"sku": "a", "quantity": 2}],
            "amount": 7,
            "ask": {"show": ["items", "amount"]},
        }
    )
    Pump(("filing", "waits"), "test-worker").run(30)
    page = shown(desk)
    assert "<dt>items</dt>" in page
    assert "quantity" in page
    assert "<dt>amount</dt><dd>7</dd>" in page


def test_only_what_the_person_may_answer_is_there_and_counted(desk: Client, boss: Any) -> None:
    asking("for the boss", show="{amount}")
    asking("for others", show="{amount}", by="group:directors")
    asking("his own", show="{amount}", starter=boss)
    page = shown(desk)
    assert "for the boss" in page
    assert "for others" not in page
    assert "his own" not in page
    assert '<b class="rail__count" title="1 wait for your answer">1' in page


def test_an_empty_inbox_says_what_would_be_there(desk: Client) -> None:
    page = shown(desk)
    assert "Nothing waits for you" in page
    assert "rail__count" not in page


def test_who_may_not_answer_is_told_which_permission_that_takes(client: Client) -> None:
    asking()
    client.force_login(person("reader"))
    page = shown(client)
    assert "sagas.approve_saga" in page
    assert "Approve…" not in page


def test_strangers_see_nothing(client: Client) -> None:
    assert client.get(reverse("saga-approvals")).status_code == 302
    client.force_login(get_user_model().objects.create_user("visitor"))
    assert client.get(reverse("saga-approvals")).status_code == 403


@pytest.mark.parametrize("after", ["?after=nonsense", "?after=-1", "?after=99999999999", "?after=1"])
def test_whatever_page_is_asked_for_there_is_one(after: str, desk: Client) -> None:
    asking()
    shown(desk, after)


@pytest.mark.parametrize(("verb", "state"), [("approve", "completed"), ("reject", "failed")])
def test_an_answer_is_previewed_given_and_leads_back_to_the_inbox(
    verb: str, state: str, desk: Client, boss: Any
) -> None:
    saga = asking("240.00", show="Pay {amount}?")
    path = reverse("saga-verb", args=[saga.pk, verb])
    page = desk.get(path, {"step": "ok", "from": INBOX}).content.decode()
    assert "Pay 240.00?" in page
    assert "What this will do" in page
    fields = {"step": "ok", "from": INBOX, "version": saga.version, "reason": "as agreed"}
    answer = desk.post(path, fields)
    assert answer["Location"] == reverse("saga-approvals")
    saga.refresh_from_db()
    assert saga.state == state
    assert OperatorAction.objects.get().reason == "as agreed"
    assert "Nothing waits for you" in shown(desk)


def test_an_answer_from_the_sagas_page_leads_back_there(desk: Client) -> None:
    saga = asking()
    fields = {
        "step": "ok",
        "version": saga.version,
        "reason": "as agreed",
        "from": "https://elsewhere.example/",
    }
    answer = desk.post(reverse("saga-verb", args=[saga.pk, "approve"]), fields)
    assert answer["Location"] == reverse("saga-detail", args=[saga.pk])


def test_a_push_says_the_same_as_the_page(desk: Client, boss: Any) -> None:
    asking("240.00", show="Pay {amount}?")
    render = async_to_sync(DeskFragments().approvals)
    whole = render(boss.pk, True)
    assert whole.keys() == {"approvals", "approvals-count"}
    assert "Pay 240.00?" in whole["approvals"]
    assert render(boss.pk, False).keys() == {"approvals-count"}
    assert render(-1, True) == {}


def offered(client: Client, saga: Saga) -> tuple[set[str], str]:
    """Return the answers that a saga's page offers, and the page."""
    page = client.get(reverse("saga-detail", args=[saga.pk])).content.decode()
    urls = {verb: f'{reverse("saga-verb", args=[saga.pk, verb])}?step=ok"' for verb in ("approve", "reject")}
    return {verb for verb, url in urls.items() if url in page}, page.replace("&#x27;", "'")


def test_a_sagas_page_offers_an_answer_to_who_may_give_it_and_says_to_others_why_not(
    desk: Client, boss: Any
) -> None:
    assert offered(desk, asking())[0] == {"approve", "reject"}
    buttons, page = offered(desk, asking(by="group:directors"))
    assert buttons == set()
    assert "Only the group directors may approve ok; you may not." in page
    assert "has been waiting for the approval of the group directors" in page
    buttons, page = offered(desk, asking(starter=boss))
    assert buttons == {"reject"}
    assert "You started this saga, and may not approve ok: it takes another of the group managers." in page
    twice = asking(people=2)
    orchestrator.act(
        twice.pk, "approve", orchestrator.Asked(operator=boss, via="desk", reason="ok", step="ok")
    )
    buttons, page = offered(desk, twice)
    assert buttons == {"reject"}
    assert "You have approved ok already, and it takes another person of the group managers." in page


def test_a_push_offers_an_answer_to_whom_the_page_offers_it(boss: Any) -> None:
    saga, other = asking(starter=boss), person("other", "approve_saga")
    barred = orchestrator.bars([boss, other], [saga.pk])
    assert set(barred) == {(boss.pk, saga.pk)}
    for who, shown in ((boss, False), (other, True)):
        bars = barred.get((who.pk, saga.pk), frozenset())
        regions = rendered_pages([saga.pk], orchestrator.permitted(who), bars)[saga.pk]["regions"]
        assert ("/approve/?step=ok" in regions["verbs"]) is shown
        assert ("/approve/?step=ok" in regions["why"]) is shown


def test_where_nobody_is_asked_nobody_is_looked_up(
    boss: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    saga = waits.Permit().start({"steps": ["rest"]})
    with django_assert_num_queries(1):
        assert orchestrator.bars([boss], [saga.pk]) == {}


def test_the_api_offers_an_answer_to_whom_the_page_offers_it(boss: Any) -> None:
    def answers(saga: Saga) -> dict[str, str | None]:
        (seen,) = orchestrator.seen_by(boss, [orchestrator.snapshot(saga)])
        helpful = {verb["verb"] for verb in seen["why"]["verbs"]}
        offered = {v["verb"]: v for v in seen["verbs"] if v["verb"] in {"approve", "reject"}}
        assert {name for name, verb in offered.items() if verb["applies"]} == helpful & {"approve", "reject"}
        return {name: verb["reason"] for name, verb in offered.items()}

    assert answers(asking()) == {"approve": None, "reject": None}
    others = "Only the group directors may {} ok; you may not."
    assert answers(asking(by="group:directors")) == {v: others.format(v) for v in ("approve", "reject")}
    own = answers(asking(starter=boss))
    assert own["reject"] is None
    assert "You started this saga" in str(own["approve"])


def test_who_may_answer_is_asked_in_as_many_queries_however_many_ask(
    boss: Any, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    boss.get_all_permissions()
    for saga in [asking(), *(asking(by="group:directors") for _ in range(3))]:
        shown = [orchestrator.snapshot(saga)] * 3
        with django_assert_num_queries(2):
            orchestrator.seen_by(boss, shown)


@pytest.mark.parametrize(
    ("members", "by", "says"),
    [
        (None, "group:directors", "there is no group directors"),
        (0, "group:directors", "nobody is in the group directors"),
        (None, "perm:shop.refnd", "there is no permission shop.refnd"),
    ],
)
def test_an_approval_that_nobody_can_give_says_so_where_people_look(
    members: int | None, by: str, says: str, desk: Client, boss: Any
) -> None:
    dashboard.unanswered.forget()
    if members is not None:
        Group.objects.create(name="directors")
        get_user_model().objects.create_user("former", is_active=False).groups.set(Group.objects.all())
    saga = asking(by=by)
    why = orchestrator.snapshot(saga)["why"]
    assert why["kind"] == "unanswerable"
    assert f"Nobody can answer: {says}." in why["text"]
    assert f"Nobody can answer: {says}." in offered(desk, saga)[1]
    assert f"1 approval waits for nobody</b>: {says}" in shown(desk)
    get_user_model().objects.filter(pk=boss.pk).update(is_superuser=True)
    assert f"It is up to you: {says}" in shown(desk)


def test_an_approval_that_somebody_can_give_says_nothing_of_the_kind(desk: Client) -> None:
    dashboard.unanswered.forget()
    saga = asking()
    assert orchestrator.snapshot(saga)["why"]["kind"] == "waiting"
    assert "waits for nobody" not in shown(desk)
    assert "It is up to you" not in shown(desk)
