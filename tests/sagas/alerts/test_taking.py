"""Taking an alert and giving it back: who may, who was first, and what is recorded."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.urls import set_script_prefix

from sagas.alerts import alert_documents
from sagas.clock import database_now
from sagas.models import Alert, OperatorAction
from sagas.orchestrator import (
    Asked,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    act_on_alert,
    preview_alert,
)

pytestmark = pytest.mark.django_db

Ask = Callable[..., Asked]


@pytest.fixture
def alert(db: None) -> Alert:
    now = database_now()
    return Alert.objects.create(
        key="k",
        kind="behind",
        about={"queue": "pay"},
        title="pay is behind",
        hint="look",
        opened_at=now,
        told=1,
        tell_at=now + timedelta(hours=1),
    )


@pytest.fixture
def mia(db: None) -> Any:
    user = get_user_model().objects.create_user("mia")
    user.user_permissions.add(Permission.objects.get(codename="take_alert"))
    return get_user_model().objects.get(pk=user.pk)


def test_who_takes_it_is_named_and_it_is_recorded(alert: Alert, asked: Ask) -> None:
    act_on_alert(alert.pk, "take", asked(reason="calling the bank"))
    alert.refresh_from_db()
    assert (alert.taken_name, alert.taken_note, alert.tell_at) == ("olga", "calling the bank", None)
    deed = OperatorAction.objects.get()
    assert (deed.verb, deed.request, deed.reason) == ("take_alert", {"alert": alert.pk}, "calling the bank")
    assert (deed.version_before, deed.version_after) == (0, 1)
    assert deed.answer["alert"]["title"] == "pay is behind"


def test_for_some_hours(alert: Alert, asked: Ask) -> None:
    act_on_alert(alert.pk, "take", asked(), hours=4)
    alert.refresh_from_db()
    assert alert.tell_at is not None
    assert timedelta(hours=3.9) < alert.tell_at - database_now() <= timedelta(hours=4)


def test_given_back_it_is_told_again_at_once(alert: Alert, asked: Ask) -> None:
    act_on_alert(alert.pk, "take", asked())
    act_on_alert(alert.pk, "give_back", asked())
    alert.refresh_from_db()
    assert (alert.taken_name, alert.taken_at, alert.taken_note) == ("", None, "")
    assert alert.tell_at is not None
    assert alert.tell_at <= database_now()


def test_the_second_of_two_hears_who_was_first(alert: Alert, asked: Ask, mia: Any) -> None:
    act_on_alert(alert.pk, "take", asked(reason="mine", version=0))
    with pytest.raises(Refused, match=r"olga has had it since .* UTC: mine"):
        act_on_alert(alert.pk, "take", asked(operator=mia, version=0))
    act_on_alert(alert.pk, "take", asked(operator=mia, version=1))
    alert.refresh_from_db()
    assert alert.taken_name == "mia"
    act_on_alert(alert.pk, "give_back", asked(version=2))
    with pytest.raises(Refused, match="nobody has it any more"):
        act_on_alert(alert.pk, "take", asked(version=2))


def test_a_double_click_is_one_action(alert: Alert, asked: Ask) -> None:
    first = act_on_alert(alert.pk, "take", asked(action_id="once"), hours=1)
    second = act_on_alert(alert.pk, "take", asked(action_id="once"), hours=1)
    assert (first.repeated, second.repeated) == (False, True)
    assert OperatorAction.objects.count() == 1
    took = f"was already used, to take alert {alert.pk}"
    for verb, hours, says in (("take", 2, f"{took}, and not as"), ("give_back", None, f"{took}$")):
        with pytest.raises(Invalid, match=says):
            act_on_alert(alert.pk, verb, asked(action_id="once"), hours=hours)


def test_what_is_over_is_nobodys(alert: Alert, asked: Ask) -> None:
    Alert.objects.update(resolved_at=database_now())
    for verb in ("take", "give_back"):
        with pytest.raises(Refused, match=r"It has been over since .* UTC"):
            act_on_alert(alert.pk, verb, asked())


def test_what_nobody_has_is_not_given_back(alert: Alert, asked: Ask) -> None:
    with pytest.raises(Refused, match="Nobody is on it"):
        act_on_alert(alert.pk, "give_back", asked())


@pytest.mark.parametrize("hours", [0, -1, 24 * 7 + 1, float("nan"), float("inf")])
def test_impossible_hours(alert: Alert, asked: Ask, hours: float) -> None:
    with pytest.raises(Invalid, match="hours: must be more than 0, and at most 168"):
        act_on_alert(alert.pk, "take", asked(), hours=hours)


def test_nonsense_is_refused(alert: Alert, asked: Ask) -> None:
    with pytest.raises(Invalid, match="'mend' is not for alerts; there are take, give_back"):
        act_on_alert(alert.pk, "mend", asked())
    with pytest.raises(Invalid, match="hours: is not taken by give_back"):
        act_on_alert(alert.pk, "give_back", asked(), hours=1)
    with pytest.raises(Invalid, match="reason: is required"):
        act_on_alert(alert.pk, "take", asked(reason=" "))
    with pytest.raises(NotFound, match="There is no alert 999"):
        act_on_alert(999, "take", asked())
    assert not OperatorAction.objects.exists()


def test_it_wants_a_permission(alert: Alert, asked: Ask, mia: Any) -> None:
    stranger = get_user_model().objects.create_user("stan")
    with pytest.raises(Forbidden, match=r"it needs the permission sagas\.take_alert"):
        act_on_alert(alert.pk, "take", asked(operator=stranger))
    with pytest.raises(Forbidden, match="Nobody is logged in"):
        act_on_alert(alert.pk, "take", asked(operator=None))
    act_on_alert(alert.pk, "take", asked(operator=mia))


def test_the_preview_says_what_it_would_do_and_does_nothing(alert: Alert, asked: Ask) -> None:
    forever = " ".join(preview_alert(alert.pk, "take", asked(reason="")))
    assert "nobody is told of it again until it is over" in forever
    assert "mends nothing" in forever
    assert "for 4 hours" in " ".join(preview_alert(alert.pk, "take", asked(reason=""), hours=4))
    assert not OperatorAction.objects.exists()
    act_on_alert(alert.pk, "take", asked())
    assert "You are on it already" in " ".join(preview_alert(alert.pk, "take", asked(reason="")))
    Alert.objects.update(taken_name="mia")
    assert "from mia" in " ".join(preview_alert(alert.pk, "take", asked(reason="")))
    assert "it is told again at once" in " ".join(preview_alert(alert.pk, "give_back", asked(reason="")))


@pytest.mark.parametrize(
    ("kind", "about", "path"),
    [
        (
            "attention",
            {"attention": "held", "type": "A B", "step": "s"},
            "/sagas/?attention=held&step=s&type=A+B",
        ),
        ("batch", {"batch": 7}, "/batches/7/"),
        ("behind", {"queue": "pay"}, "/queues/"),
        ("unserved", {"queue": "pay"}, "/queues/"),
        ("undelivered", {"called": "x"}, "/queues/"),
        ("workers", {}, "/"),
        ("clock", {}, "/"),
        ("channel", {"channel": "x"}, "/alerts/"),
    ],
)
def test_it_leads_to_where_it_is_seen(
    alert: Alert, settings: Any, kind: str, about: dict[str, Any], path: str
) -> None:
    settings.SAGAS = {"DESK_URL": "https://desk.example/"}
    alert.kind, alert.about = kind, about
    assert alert_documents([alert])[0]["url"] == f"https://desk.example{path}"


@pytest.mark.parametrize(
    ("desk", "prefix", "url"),
    [
        ("https://desk.example", "/", "https://desk.example/queues/"),
        ("https://desk.example/ops", "/", "https://desk.example/ops/queues/"),
        ("https://desk.example/ops/", "/ops/", "https://desk.example/ops/queues/"),
        ("", "/", None),
    ],
)
def test_under_a_proxys_prefix_a_link_is_the_same_wherever_it_is_made(
    alert: Alert, settings: Any, desk: str, prefix: str, url: str | None
) -> None:
    settings.SAGAS = {"DESK_URL": desk}
    set_script_prefix(prefix)
    try:
        assert alert_documents([alert])[0]["url"] == url
    finally:
        set_script_prefix("/")


def test_one_that_is_pruned_meanwhile_is_not_there(
    alert: Alert, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    Alert.objects.all().delete()
    with pytest.raises(NotFound):
        act_on_alert(alert.pk, "take", asked())


def test_what_was_over_for_long_is_pruned(alert: Alert, asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    from sagas.orchestrator import retention

    monkeypatch.setattr(retention, "ALERTS", 2)
    now = database_now()
    for number in range(5):
        Alert.objects.create(
            key=f"{number}", kind="clock", title="t", opened_at=now, resolved_at=now - timedelta(days=number)
        )
    assert list(retention.prune(timedelta(days=2.5), 100, asked())) == []
    assert Alert.objects.count() == 4


def test_a_project_without_the_desks_pages_has_alerts_all_the_same(alert: Alert, settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"
    assert alert_documents([alert])[0]["url"] is None
