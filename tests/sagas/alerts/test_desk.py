"""The page of alerts, the page on which one is taken, and what the overview says of them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.staticfiles import finders
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sagas.alerts import look
from sagas.clock import database_now
from sagas.dashboard import alerts
from sagas.models import Alert, Notice, OperatorAction, Saga
from tests.sagas.alerts.conftest import Time

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("alive")]

Stuck = Callable[..., Saga]


def an_alert(number: int = 1, **more: Any) -> Alert:
    now = database_now()
    values: dict[str, Any] = {
        "key": f"key {number}",
        "kind": "behind",
        "about": {"queue": "pay"},
        "title": f"matter {number} <b>",
        "hint": "look at it",
        "opened_at": now,
        "tell_at": now + timedelta(seconds=30),
        **more,
    }
    return Alert.objects.create(**values)


def page(desk: Client) -> str:
    answer = desk.get(reverse("saga-alerts"))
    assert answer.status_code == 200
    return answer.content.decode()


def verb(alert: Alert, name: str = "take") -> str:
    return reverse("saga-alert-verb", args=[alert.pk, name])


def test_without_any_the_page_says_so_and_how_people_are_told(desk: Client, settings: Any) -> None:
    content = page(desk)
    assert "Nothing asks for a person" in content
    assert "no channel is set up" in content
    settings.SAGAS = {"ALERTS": {"oncall": {"email": ["a@desk.example"]}}}
    content = page(desk)
    assert "<b>oncall</b> (mail)" in content
    assert "a@desk.example" not in content


def test_an_open_one_says_what_since_when_and_whom_it_was_told(desk: Client, settings: Any) -> None:
    channel = {"email": ["a@desk.example"]}
    settings.SAGAS = {"ALERTS": {"pager": channel, "chat": channel}}
    alert = an_alert(count=3, earlier=1)
    now = database_now()
    common: dict[str, Any] = {"alert": alert, "what": "begun", "number": 1, "made_at": now, "due_at": now}
    Notice.objects.create(channel="pager", sent_at=now, **common)
    Notice.objects.create(channel="chat", error="it answered 500: <oops>", attempt=2, **common)
    content = page(desk)
    assert "matter 1 &lt;b&gt;" in content
    assert "2 times within a day" in content
    assert "pager: told" in content
    assert "chat: does not take it, in 2 attempts: <q>it answered 500: &lt;oops&gt;</q>" in content
    assert f'href="{verb(alert)}"' in content


def test_when_it_is_told_is_said_only_where_it_will_be(desk: Client, settings: Any) -> None:
    settings.SAGAS = {"ALERTS": {"oncall": {"email": ["a@desk.example"], "kinds": ["behind"]}}}
    alert = an_alert()
    assert " · is told " in page(desk)
    for values in ({"gone_at": database_now()}, {"told": 1}, {"taken_name": "mia"}, {"kind": "clock"}):
        Alert.objects.filter(pk=alert.pk).update(**values)
        assert " · is told " not in page(desk), values
        Alert.objects.filter(pk=alert.pk).update(gone_at=None, told=0, taken_name="", kind="behind")


def test_what_is_over_stands_below(desk: Client) -> None:
    now = database_now()
    an_alert(resolved_at=now, opened_at=now - timedelta(minutes=12), taken_name="mia")
    content = page(desk)
    assert "12 min" in content
    assert "mia" in content
    assert "Take" not in content


def test_it_is_taken(desk: Client) -> None:
    alert = an_alert()
    content = desk.get(verb(alert)).content.decode()
    assert "nobody is told of it again until it is over" in content
    sent = {"reason": "calling <them>", "version": "0", "action_id": "a1", "hours": ""}
    answer = desk.post(verb(alert), sent, follow=True)
    content = answer.content.decode()
    assert "You are on it: matter 1 &lt;b&gt;" in content
    assert "<b>olga</b> has been on it since" in content
    assert "calling &lt;them&gt;" in content
    assert "Take over" in content
    again = desk.post(verb(alert), sent, follow=True).content.decode()
    assert "This was already done." in again
    assert OperatorAction.objects.count() == 1


def test_a_term_is_previewed_and_what_was_typed_stays(desk: Client) -> None:
    alert = an_alert()
    content = desk.post(verb(alert), {"term": "4", "reason": "calling", "version": "0"}).content.decode()
    assert "nobody is told of it again for 4 hours" in content
    assert "calling</textarea>" in content
    assert "Take for 4 h" in content
    assert not OperatorAction.objects.exists()
    desk.post(verb(alert), {"hours": "4", "reason": "calling", "version": "0"})
    alert.refresh_from_db()
    assert alert.tell_at is not None
    assert alert.tell_at > database_now() + timedelta(hours=3)


def test_the_second_is_told_who_was_first_and_loses_nothing(desk: Client) -> None:
    alert = an_alert(taken_name="mia", taken_at=database_now(), taken_note="mine", version=1)
    answer = desk.post(verb(alert), {"reason": "also mine", "version": "0"})
    content = answer.content.decode()
    assert answer.status_code == 409
    assert "<b>Nothing was done.</b> You saw it as it is no more: mia has had it since" in content
    assert "also mine</textarea>" in content
    assert 'name="version" value="1"' in content
    assert "You take it over from mia" in content


def test_it_is_given_back(desk: Client) -> None:
    alert = an_alert(taken_name="mia", taken_at=database_now(), taken_note="mine", version=1)
    assert "For how long?" not in desk.get(verb(alert, "give_back")).content.decode()
    desk.post(verb(alert, "give_back"), {"reason": "going home", "version": "1"})
    alert.refresh_from_db()
    assert alert.taken_name == ""


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"reason": ""}, "A reason is required"),
        ({"reason": "x", "version": "one"}, "<b>version</b> must be a number"),
        ({"reason": "x", "hours": "1000"}, "<b>hours</b> must be more than 0, and at most 168"),
        ({"term": "soon"}, "<b>hours</b> must be a number"),
    ],
)
def test_what_is_wrong_is_said(desk: Client, sent: dict[str, str], says: str) -> None:
    answer = desk.post(verb(an_alert()), sent)
    assert answer.status_code == 422
    content = answer.content.decode()
    assert says in content
    assert sent.get("reason", "") in content
    assert not OperatorAction.objects.exists()


def test_what_is_over_cannot_be_taken(desk: Client) -> None:
    alert = an_alert(resolved_at=database_now())
    answer = desk.get(verb(alert))
    assert answer.status_code == 409
    assert "It has been over since" in answer.content.decode()
    assert desk.get(reverse("saga-alert-verb", args=[999, "take"])).status_code == 404


def test_of_very_many_those_are_shown_that_nobody_is_on(
    desk: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "SHOWN", 3)
    for number in range(5):
        an_alert(number, taken_name="" if number < 2 else "mia", taken_at=database_now())
    content = page(desk)
    assert "matter 0" in content
    assert "matter 1" in content
    assert content.count("alert__title") == 3
    assert "And 2 more." in content


def test_one_that_was_pruned_is_not_there_whatever_is_sent(desk: Client) -> None:
    address = reverse("saga-alert-verb", args=[999, "take"])
    assert desk.post(address, {"version": "x"}).status_code == 404


def test_who_may_only_look_may_not_take(client: Client) -> None:
    user = get_user_model().objects.create_user("vera")
    user.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(user)
    alert = an_alert()
    content = page(client)
    assert "to take it, you need <code>sagas.take_alert</code>" in content
    assert "Take…" not in content
    answer = client.get(verb(alert))
    assert answer.status_code == 403
    assert "sagas.take_alert" in answer.content.decode()
    # The overview's regions are the same for all who look: its frame says what this one lacks.
    overview = client.get(reverse("saga-overview")).content.decode()
    assert 'data-overview data-lacks="take_alert"' in overview
    assert f'<a class="group__take" data-act href="{verb(alert)}">' in overview
    style = finders.find("sagas/overview.css")
    assert '[data-lacks="take_alert"] .group__take {\n  display: none;' in Path(style).read_text()


def test_the_overview_says_who_is_on_what(desk: Client, told: Any, time: Time, stuck: Stuck) -> None:
    stuck()
    overview = reverse("saga-overview")
    assert "Take…" not in desk.get(overview).content.decode()
    look()
    alert = Alert.objects.get()
    content = desk.get(overview).content.decode()
    assert f'href="{verb(alert)}">Take…' in content
    assert "data-lacks" not in content
    desk.post(verb(alert), {"reason": "mine"})
    content = desk.get(overview).content.decode()
    assert "Take…" not in content
    assert ">olga</a>" in content


def test_the_overview_shows_what_it_has_no_other_line_for(desk: Client) -> None:
    an_alert()
    an_alert(2, kind="workers", title="no worker at all")
    an_alert(3, kind="clock", title="no clock at all", gone_at=database_now())
    content = desk.get(reverse("saga-overview")).content.decode()
    assert "Somebody has to look" in content
    assert "matter 1 &lt;b&gt;" in content
    assert "no worker at all" in content
    assert "no clock at all" not in content


def test_the_audit_trail_tells_of_it(desk: Client) -> None:
    alert = an_alert()
    desk.post(verb(alert), {"reason": "mine", "hours": "4"})
    content = desk.get(reverse("saga-audit"), {"verb": "take_alert"}).content.decode()
    assert f">alert {alert.pk}</a>" in content
    assert "for 4 h" in content


def test_the_most_urgent_comes_first_then_what_nobody_is_on_then_the_newest(desk: Client) -> None:
    wanted = [
        ("workers", "", "mia"),
        ("attention", "late_effect", ""),
        ("attention", "held", ""),
        ("attention", "held", ""),
        ("attention", "held", "mia"),
        ("behind", "", ""),
    ]
    made = {}
    for place in (4, 5, 3, 0, 2, 1):
        kind, code, who = wanted[place]
        about = {"attention": code} if code else {}
        made[place] = an_alert(place, kind=kind, about=about, taken_name=who, taken_at=database_now())
    content = page(desk)
    places = [content.index(f"matter {place} ") for place in range(6)]
    assert places == sorted(places)
    assert "6 open, 2 of them taken" in content
    assert [alert.pk for alert in alerts.others(9)] == [made[0].pk, made[5].pk]


def test_more_alerts_are_no_more_queries(desk: Client) -> None:
    an_alert(1)
    an_alert(2, resolved_at=database_now())
    page(desk)
    with CaptureQueriesContext(connection) as few:
        page(desk)
    for number in range(3, 23):
        an_alert(number, resolved_at=database_now() if number % 2 else None)
    with CaptureQueriesContext(connection) as many:
        page(desk)
    assert len(many) == len(few)
