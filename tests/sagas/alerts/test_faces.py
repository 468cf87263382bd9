"""Alerts by the API and on the command line, in the admin and the figures: the same door behind each."""

import json
import sys
from datetime import timedelta
from itertools import count
from types import ModuleType
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pydantic import BaseModel

from sagas import alerts, models, orchestrator
from sagas.alerts import documents as alert_documents
from sagas.alerts import telling
from sagas.api import documents
from sagas.core.words import AlertKind
from sagas.management.commands._saga.speaking import Desk
from sagas.models import Alert, Notice, OperatorAction, Token
from tests.sagas.callers import assert_problem, user_with
from tests.shell import Run

pytestmark = pytest.mark.django_db

_keys = count()


def opened(**more: Any) -> Alert:
    """Make an alert that is open, and was told once."""
    given: dict[str, Any] = {
        "key": f"key {next(_keys)}",
        "kind": "unserved",
        "about": {"queue": "pay"},
        "title": "No worker serves <pay>",
        "hint": "start `manage.py saga worker pay`",
        "opened_at": timezone.now(),
        "told": 1,
    }
    return Alert.objects.create(**{**given, **more})


def over(**more: Any) -> Alert:
    """Make an alert that is over."""
    return opened(resolved_at=timezone.now(), **more)


def noticed(alert: Alert, channel: str = "team", **more: Any) -> Notice:
    """Make a notice that waits to be sent."""
    now = timezone.now()
    given = {"what": "begun", "number": 1, "made_at": now, "due_at": now}
    return Notice.objects.create(alert=alert, channel=channel, **{**given, **more})


def taken(alert: Alert) -> tuple[str, str]:
    """Return who is on it, and what he wrote."""
    alert.refresh_from_db()
    return alert.taken_name, alert.taken_note


def document(alert: Alert) -> Any:
    """Return the alert as it is told of."""
    alert.refresh_from_db()
    return alerts.alert_documents([alert])[0]


class Api:
    """A program with a bearer token."""

    def __init__(self, user: Any) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {Token.issue(user)}"})

    def get(self, path: Any = "", **query: Any) -> Any:
        return self.client.get(f"/api/v1/alerts{path}", query)

    def post(self, path: str = "", **body: Any) -> Any:
        return self.client.post(f"/api/v1/alerts{path}", json.dumps(body), "application/json")

    def listed(self, **query: Any) -> list[int]:
        return [alert["id"] for alert in told(self.get(**query), documents.AlertPage)["items"]]


@pytest.fixture
def api(operator: Any) -> Api:
    return Api(operator)


def told(response: Any, model: type[BaseModel]) -> Any:
    """Return what was answered, which is as the OpenAPI document has it, and nothing beside that."""
    assert response.status_code == 200, response.json()
    model.model_validate(response.json())
    assert model.model_fields.keys() == response.json().keys()
    return response.json()


# --- the API: looking


def test_alerts_are_listed_the_newest_first_and_by_page(api: Api) -> None:
    first, second, third = opened(), over(kind="clock", about={}), opened(kind="workers", about={})
    assert api.listed() == [third.pk, second.pk, first.pk]
    assert api.listed(open="true") == [third.pk, first.pk]
    assert api.listed(open="false") == [second.pk]
    assert api.listed(kind="unserved") == [first.pk]
    assert api.listed(kind="clock", open="true") == []
    page = api.get(limit=2).json()
    assert ([alert["id"] for alert in page["items"]], page["next"]) == ([third.pk, second.pk], second.pk)
    rest = api.get(limit=2, after=page["next"]).json()
    assert ([alert["id"] for alert in rest["items"]], rest["next"]) == ([first.pk], None)
    assert api.get("/").json() == api.get().json(), "a slash at the end changes nothing"


def test_the_list_asks_the_database_as_often_for_many_as_for_one(
    api: Api, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        noticed(opened())
    with django_assert_num_queries(2):  # the token with its user, and the page
        api.get()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"open": "maybe"}, "open"),
        ({"open": ""}, "open"),
        ({"kind": "sagas"}, "kind"),
        ({"after": "-1"}, "after"),
        ({"after": str(2**63)}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "201"}, "limit"),
        ({"state": "open"}, "state"),
        ({"open": ["true", "false"]}, "open"),
    ],
)
def test_a_query_that_is_wrong_is_named(api: Api, query: dict[str, Any], field: str) -> None:
    assert_problem(api.get(**query), 422, field)


def test_one_says_whom_it_was_told(api: Api, settings: Any) -> None:
    settings.SAGAS = {"DESK_URL": "https://desk.example/"}
    alert = opened()
    noticed(alert, attempt=3, error="nobody listens")
    noticed(alert, "chat", sent_at=timezone.now(), attempt=1)
    noticed(opened())
    answer = told(api.get(f"/{alert.pk}"), documents.AlertDetail)
    chat, team = answer.pop("notices")
    assert answer == document(alert)
    assert answer["url"] == "https://desk.example/queues/"
    assert documents.Notice.model_fields.keys() == team.keys()
    assert (team["channel"], team["what"], team["number"], team["attempt"]) == ("team", "begun", 1, 3)
    assert (team["error"], team["sent_at"], team["given_up"]) == ("nobody listens", None, False)
    assert (chat["channel"], chat["error"], chat["sent_at"] is None) == ("chat", None, False)


def test_of_many_notices_the_latest_are_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_documents, "LATEST", 2)
    alert = opened()
    for number in (1, 2, 3):
        noticed(alert, number=number)
    shown = api.get(f"/{alert.pk}").json()["notices"]
    assert [notice["number"] for notice in shown] == [3, 2]


@pytest.mark.parametrize("number", ["4711", "9" * 18])
def test_one_that_is_not_there_is_not_found(api: Api, number: str) -> None:
    says = f"There is no alert {number}"
    assert_problem(api.get(f"/{number}"), 404, says=says)
    assert_problem(api.post(f"/{number}/take", reason="because"), 404, says=says)
    assert_problem(api.post(f"/{number}/take", dry_run=True), 404, says=says)


# --- the API: taking and giving back


def test_a_program_takes_one_and_gives_it_back(api: Api) -> None:
    alert = opened()
    done = told(api.post(f"/{alert.pk}/take", reason="I look"), documents.AlertActed)
    assert done.pop("action") == {"verb": "take", "repeated": False}
    assert done == document(alert)
    assert (done["taken_by"], done["taken_note"], done["tell_at"], done["version"]) == (
        "olga",
        "I look",
        None,
        1,
    )
    done = told(api.post(f"/{alert.pk}/give_back", reason="I leave", version=1), documents.AlertActed)
    assert (done["taken_by"], done["taken_at"], done["taken_note"]) == (None, None, None)
    assert done["tell_at"] is not None
    assert list(OperatorAction.objects.order_by("pk").values_list("verb", "via")) == [
        ("take_alert", "api"),
        ("give_back_alert", "api"),
    ]


def test_it_is_taken_for_some_hours(api: Api) -> None:
    alert = opened()
    done = api.post(f"/{alert.pk}/take", reason="I look", hours=1.5).json()
    assert done["tell_at"] is not None
    alert.refresh_from_db()
    assert alert.tell_at is not None
    assert alert.taken_at is not None
    assert alert.tell_at - alert.taken_at == timedelta(hours=1.5)


def test_the_same_action_id_takes_it_once(api: Api) -> None:
    alert, body = opened(), {"reason": "I look", "hours": 2, "action_id": "a"}
    assert api.post(f"/{alert.pk}/take", **body).json()["action"]["repeated"] is False
    again = told(api.post(f"/{alert.pk}/take", **body), documents.AlertActed)
    assert (again.pop("action"), again) == ({"verb": "take", "repeated": True}, document(alert))
    assert OperatorAction.objects.count() == 1
    for path, more in ((f"/{alert.pk}/take", {"hours": 3}), (f"/{opened().pk}/take", {})):
        assert_problem(api.post(path, **{**body, **more}), 422, "action_id", says="already used")


def test_a_dry_run_says_what_would_happen_and_changes_nothing(api: Api) -> None:
    alert = opened(taken_name="mia", taken_at=timezone.now(), taken_note="mine")
    plan = told(api.post(f"/{alert.pk}/take", dry_run=True, hours=2), documents.AlertPlan)
    assert (plan["verb"], plan["alert"]) == ("take", document(alert))
    assert "for 2 hours" in plan["sentences"][0]
    assert "You take it over from mia." in plan["sentences"]
    plan = told(api.post(f"/{alert.pk}/give_back", dry_run=True), documents.AlertPlan)
    assert (plan["verb"], len(plan["sentences"])) == ("give_back", 1)
    assert taken(alert) == ("mia", "mine")
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_does_not_apply_is_a_conflict(api: Api, dry_run: bool) -> None:
    body = {"reason": "because", "dry_run": dry_run}
    alert = opened(version=3, taken_name="mia", taken_at=timezone.now(), taken_note="mine")
    for path, more, says in (
        (f"/{opened().pk}/give_back", {}, "Nobody is on it"),
        (f"/{over().pk}/take", {}, "It has been over since"),
        (f"/{alert.pk}/take", {"version": 2}, "You saw it as it is no more: mia has had it since"),
    ):
        assert_problem(api.post(path, **body, **more), 409, says=says)
    assert taken(alert) == ("mia", "mine")
    assert api.post(f"/{alert.pk}/take", **body, version=3).status_code == 200


@pytest.mark.parametrize(
    ("verb", "body", "field"),
    [
        ("take", {}, "reason"),
        ("take", {"reason": " "}, "reason"),
        ("take", {"reason": 7}, "reason"),
        ("take", {"reason": "x" * 2001}, "reason"),
        ("take", {"reason": "because", "hours": "2"}, "hours"),
        ("take", {"reason": "because", "hours": True}, "hours"),
        ("take", {"reason": "because", "hours": 0}, "hours"),
        ("take", {"reason": "because", "hours": 169}, "hours"),
        ("take", {"reason": "because", "hours": 10**400}, "hours"),
        ("take", {"hours": 0, "dry_run": True}, "hours"),
        ("take", {"reason": "because", "version": -1}, "version"),
        ("take", {"reason": "because", "version": "0"}, "version"),
        ("take", {"reason": "because", "action_id": ""}, "action_id"),
        ("take", {"reason": "because", "dry_run": 1}, "dry_run"),
        ("take", {"reason": "because", "note": "mine"}, "note"),
        ("give_back", {"reason": "because", "hours": 2}, "hours"),
    ],
)
def test_what_is_asked_wrongly_is_named_and_does_nothing(
    api: Api, verb: str, body: dict[str, Any], field: str
) -> None:
    alert = opened()
    assert_problem(api.post(f"/{alert.pk}/{verb}", **body), 422, field)
    assert taken(alert) == ("", "")


def test_no_other_verbs_and_methods_are_for_alerts(api: Api) -> None:
    alert = opened()
    says = "no verb 'resolve' for alerts; there are take, give_back."
    assert_problem(api.post(f"/{alert.pk}/resolve", reason="because"), 404, says=says)
    assert_problem(api.post(), 405)
    assert_problem(api.post(f"/{alert.pk}"), 405)
    assert_problem(api.get(f"/{alert.pk}/take"), 405)
    assert_problem(api.get("/x"), 404)


# --- the API: who may


def test_strangers_and_who_may_see_nothing_are_kept_out() -> None:
    alert = opened()
    assert Client().get("/api/v1/alerts").status_code == 401
    blind = Api(user_with("take_alert"))
    for response in (
        blind.get(),
        blind.get(f"/{alert.pk}"),
        blind.post(f"/{alert.pk}/take", reason="because"),
    ):
        assert_problem(response, 403, says="sagas.view_saga")


@pytest.mark.parametrize("dry_run", [False, True])
def test_who_may_only_look_does_not_act(dry_run: bool) -> None:
    alert, visitor = opened(), Api(user_with("view_saga"))
    assert visitor.get().status_code == visitor.get(f"/{alert.pk}").status_code == 200
    for verb in orchestrator.ALERT_VERBS:
        refused = visitor.post(f"/{alert.pk}/{verb}", reason="because", dry_run=dry_run)
        assert_problem(refused, 403, says="sagas.take_alert")
    assert taken(alert) == ("", "")
    assert (
        Api(user_with("view_saga", "take_alert")).post(f"/{alert.pk}/take", reason="because").status_code
        == 200
    )


def test_the_document_tells_of_alerts(client: Client) -> None:
    found = client.get("/api/v1/openapi.json").json()
    paths, schemas = found["paths"], found["components"]["schemas"]
    assert {"/alerts", "/alerts/{number}"} <= paths.keys()
    assert all(f"/alerts/{{number}}/{verb}" in paths for verb in orchestrator.ALERT_VERBS)
    named = {each["name"]: each["schema"] for each in paths["/alerts"]["get"]["parameters"]}
    assert list(named) == ["open", "kind", "after", "limit"]
    assert list(AlertKind) == named["kind"]["anyOf"][0]["enum"]
    assert {"403", "404", "409", "422"} <= paths["/alerts/{number}/take"]["post"]["responses"].keys()
    assert {"hours", "version", "reason", "action_id", "dry_run"} == schemas["AlertBody"]["properties"].keys()


# --- the command line


def test_alerts_are_listed_on_the_command_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = opened(), over(), opened(taken_name="mia")
    assert run("alert", "list").out.split() == [str(third.pk), str(first.pk)]
    assert run("alert", "list", "--all").out.split() == [str(third.pk), str(second.pk), str(first.pk)]
    page = run("alert", "list", "--limit", "1", "--json").json
    assert page == {"items": [document(third)], "next": third.pk}
    rest = run("alert", "list", "--after", third.pk, "--json").json
    assert rest == {"items": [document(first)], "next": None}
    assert f"There are more: --after {second.pk}" in run("alert", "list", "--all", "--limit", "2").err
    monkeypatch.setattr(Desk, "seen", True)
    lines = run("alert", "list", "--all").out.splitlines()
    assert [line.rpartition("(")[2] for line in lines] == ["mia is on it)", "over)", "nobody is on it)"]
    assert "unserved" in lines[0]


def test_one_is_shown_on_the_command_line(run: Run, api: Api) -> None:
    alert = opened(taken_name="mia", taken_at=timezone.now(), taken_note="mine", earlier=2)
    noticed(alert, attempt=2, error="nobody listens")
    noticed(alert, "chat", sent_at=timezone.now(), attempt=1)
    noticed(alert, "pager", given_up=True, attempt=9, error="gone")
    shown = run("alert", "show", alert.pk).out
    for words in (
        "No worker serves <pay>  (mia is on it)",
        "start `manage.py saga worker pay`",
        "2 times in the day before",
        "taken by mia",
        "mine",
        "team: begun 1, not sent yet, attempt 2: nobody listens",
        "chat: begun 1, sent 2",
        "pager: begun 1, given up, attempt 9: gone",
    ):
        assert words in shown
    assert run("alert", "show", alert.pk, "--json").json == api.get(f"/{alert.pk}").json()
    assert ", over 2" in run("alert", "show", over().pk).out


def test_the_command_line_takes_one_and_gives_it_back(run: Run) -> None:
    alert = opened()
    told = run("alert", "take", alert.pk, "--dry-run", "--hours", "2", "--json")
    assert "Everybody sees that you are on it" in told.err
    assert told.json["alert"] == document(alert)
    assert "for 2 hours" in told.json["sentences"][0]
    assert taken(alert) == ("", "")
    words = ("alert", "take", alert.pk, "--reason", "I look", "--hours", "2", "--action-id", "a")
    done = run(*words)
    assert (done.code, done.out) == (0, f"{alert.pk}\n")
    assert f"alert {alert.pk} was taken: No worker serves <pay>" in done.err
    assert "was known" not in done.err
    assert taken(alert)[1] == "I look"
    again = run(*words, "--json")
    assert "This action id was known; then, alert" in again.err
    assert again.json == document(alert)
    dry = run("alert", "give-back", alert.pk, "--dry-run")
    assert (dry.code, dry.out, "Nobody is on it any more" in dry.err) == (0, "", True)
    stale = run("alert", "give-back", alert.pk, "--reason", "I leave", "--version", "0")
    assert (stale.code, "You saw it as it is no more" in stale.err) == (1, True)
    done = run("alert", "give-back", alert.pk, "--reason", "I leave", "--version", "1")
    assert (done.code, "was given back" in done.err, taken(alert)) == (0, True, ("", ""))
    assert set(OperatorAction.objects.values_list("via", flat=True)) == {"command"}


def test_it_is_taken_as_a_user_who_may(run: Run, operator: Any) -> None:
    alert, visitor = opened(), user_with("view_saga")
    words = ("alert", "take", alert.pk, "--reason", "because", "--as")
    for more in ((), ("--dry-run",)):
        refused = run(*words, visitor.get_username(), *more)
        assert (refused.code, "sagas.take_alert" in refused.err) == (1, True)
    assert run(*words, "nobody").code == 1
    assert run(*words, "olga", "--json").json["taken_by"] == "olga"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("list --limit 0", 2, "from 1 to 1000"),
        ("list --after -1", 2, "must not be negative"),
        ("show x", 2, "invalid"),
        ("show 4711", 1, "There is no alert 4711"),
        (f"show {10**30}", 1, "There is no alert"),
        (f"take {10**30} --reason because", 1, "There is no alert"),
        ("take 4711 --reason because", 1, "There is no alert 4711"),
        ("take 4711 --dry-run", 1, "There is no alert 4711"),
        ("take 1", 2, "--reason is required"),
        ("give-back 1", 2, "--reason is required"),
        ("give_back 1 --reason because", 2, "invalid choice"),
        ("give-back 1 --reason because --hours 2", 2, "unrecognized arguments"),
        ("take 1 --reason because --hours x", 2, "invalid float"),
        ("take 1 --reason because --hours nan", 1, "hours: must be more than 0"),
        ("take 1 --reason because --hours 0", 1, "hours: must be more than 0"),
        ("take 1 --reason because --version -1", 2, "must not be negative"),
        ("resolve 1 --reason because", 2, "invalid choice"),
    ],
)
def test_what_the_command_line_is_asked_wrongly(run: Run, words: str, code: int, says: str) -> None:
    ended = run("alert", *words.split())
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert not OperatorAction.objects.exists()


def test_a_page_begins_after_any_number(run: Run) -> None:
    assert run("alert", "list", "--after", 10**30).code == 0


# --- trying channels


@pytest.fixture
def channels(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Two channels that take what they are told and one that does not; what the second was told."""

    def fails(message: Any) -> None:
        raise OSError("no line")

    heard: list[Any] = []
    module = ModuleType("pager")
    vars(module).update(page=heard.append, fails=fails)
    monkeypatch.setitem(sys.modules, "pager", module)
    settings.SAGAS = {
        "ALERTS": {
            "team": {"email": ["team@shop.example"]},
            "own": {"call": "pager.page"},
            "dead": {"call": "pager.fails"},
        }
    }
    return heard


def test_channels_are_tried_by_name(run: Run, channels: list[Any]) -> None:
    ended = run("alert", "try", "team", "own", "team")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.split("\n")[:2] == ["team took it.", "own took it."]
    (sent,) = mail.outbox
    assert "A trial of the channel team" in sent.subject
    assert [message["alerts"][0]["what"] for message in channels] == ["trial"]
    assert not Notice.objects.exists()


def test_all_channels_are_tried_if_none_is_named(run: Run, channels: list[Any]) -> None:
    ended = run("alert", "try")
    assert ended.code == 1
    for says in (
        "team took it.",
        "own took it.",
        "dead did not take it: OSError: no line",
        "Not told: dead.",
    ):
        assert says in ended.err
    assert (len(mail.outbox), len(channels)) == (1, 1)


def test_a_name_that_is_no_channel_is_bad_usage_and_nothing_is_sent(run: Run, channels: list[Any]) -> None:
    ended = run("alert", "try", "team", "toam")
    assert ended.code == 2
    assert "There is no channel 'toam'. There are team, own, dead." in ended.err
    assert mail.outbox == []


def test_where_no_channel_is_there_it_says_how_one_comes_to_be(run: Run) -> None:
    for words, code in (((), 1), (("team",), 2)):
        ended = run("alert", "try", *words)
        assert (ended.code, 'Name one in SAGAS["ALERTS"]' in ended.err) == (code, True)


# --- the admin and the figures


def test_the_admin_shows_alerts_and_notices_and_changes_nothing(
    client: Client, operator: Any, channels: Any
) -> None:
    client.force_login(operator)
    notice = noticed(opened(), error="nobody <listens>")
    over()
    listed = client.get(
        reverse("admin:sagas_alert_changelist"), {"resolved_at__isempty": "1"}
    ).content.decode()
    assert listed.count("No worker serves &lt;pay&gt;") == 1
    notices = client.get(reverse("admin:sagas_notice_changelist")).content.decode()
    assert "nobody &lt;listens&gt;" in notices
    assert "?channel=dead" in notices, "channels are known from the settings"
    for search, found in (("team", True), (str(notice.alert_id), True), ("chat", False)):
        page = client.get(reverse("admin:sagas_notice_changelist"), {"q": search}).content.decode()
        assert ("nobody &lt;listens&gt;" in page) == found
    for name in ("alert", "notice"):
        assert client.get(reverse(f"admin:sagas_{name}_add")).status_code == 403


def test_the_admin_reads_no_alert_for_each_notice(
    client: Client, operator: Any, django_assert_max_num_queries: Any
) -> None:
    client.force_login(operator)
    for _ in range(20):
        noticed(opened())
    with django_assert_max_num_queries(12):
        client.get(reverse("admin:sagas_notice_changelist"))


def test_the_figures_tell_what_is_open_and_whom_nobody_can_tell(
    client: Client, operator: Any, settings: Any
) -> None:
    channel = {"call": "tests.sagas.alerts.listening.listen"}
    settings.SAGAS = {**settings.SAGAS, "ALERTS": {"team": channel, "chat": channel}}
    client.force_login(operator)
    alert = opened()
    opened(taken_name="mia")
    over(kind="clock")
    noticed(alert, attempt=telling.FAILED, error="nobody listens")
    noticed(alert, "chat", attempt=1, error="nobody listens")
    page = client.get(reverse("saga-metrics")).content.decode()
    for line in (
        'sagadesk_alerts_open{kind="unserved"} 2',
        'sagadesk_alerts_open{kind="clock"} 0',
        "sagadesk_alerts_untaken 1",
        'sagadesk_alert_channel_failing{channel="team"} 1',
    ):
        assert line in page.splitlines()
    assert 'channel="chat"' not in page
    assert models.Watch.objects.count() == 0, "to be asked is not to look"
