"""What waits, on the desk and in the API: for what, since when, until when, and who may answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models import F
from django.test import Client
from django.urls import reverse

from sagas import orchestrator
from sagas.models import Event, Saga
from sagas.orchestrator import Asked
from tests.sagas import waits
from tests.sagas.test_waits import begin, pump, run  # noqa: F401 - pump is a fixture

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boss(client: Client) -> Any:
    """A superuser who is logged in, and has started nothing."""
    user = get_user_model().objects.create_superuser("boss")
    client.force_login(user)
    return user


@pytest.fixture
def asking(pump: Any) -> Saga:  # noqa: F811
    """A saga that waits for two approvals."""
    return run(pump, begin("file", "ok", "hand", ask={"people": 2, "show": ["amount", "nothing"]}))


def page(client: Client, saga: Saga) -> str:
    return client.get(reverse("saga-detail", args=[saga.pk])).content.decode()


@pytest.mark.usefixtures("boss")
def test_a_page_says_for_whom_it_waits(client: Client, asking: Saga) -> None:
    shown = page(client, asking)
    assert "waits for an approval" in shown
    assert (
        "ok has been waiting for the approvals of 2 people of the group managers, 0 of them given, since"
        in shown
    )
    assert "ok asks the group managers to approve." in shown


@pytest.mark.usefixtures("boss")
def test_who_answers_sees_what_is_asked_and_nothing_of_it_is_html(client: Client, pump: Any) -> None:  # noqa: F811
    saga = run(pump, begin("ok", amount="<b>much</b>", ask={"show": "Pay {amount}?"}))
    shown = client.get(reverse("saga-verb", args=[saga.pk, "approve"]) + "?step=ok").content.decode()
    assert "Pay &lt;b&gt;much&lt;/b&gt;?" in shown
    assert "ok is approved, and the saga goes on." in shown


@pytest.mark.usefixtures("boss")
def test_the_desk_approves_and_says_who_has(client: Client, asking: Saga) -> None:
    address = reverse("saga-verb", args=[asking.pk, "approve"])
    body = {"step": "ok", "reason": "fine", "version": asking.version, "action_id": "a1"}
    shown = client.post(address, body, follow=True).content.decode()
    assert "so far nobody approved" not in shown
    assert "1 of them given" in page(client, asking)
    shown = client.get(f"{address}?step=ok").content.decode()
    assert "boss has approved ok already; it takes another person" in shown
    client.force_login(get_user_model().objects.create_superuser("chief"))
    assert "so far boss approved" in client.get(f"{address}?step=ok").content.decode()


@pytest.mark.usefixtures("boss")
def test_a_list_is_filtered_by_what_sagas_wait_for(client: Client, asking: Saga, pump: Any) -> None:  # noqa: F811
    timed = run(pump, begin("rest"))
    done = run(pump, begin("hand"))
    delayed = begin("hand", start={"at": datetime.now(UTC) + timedelta(days=1)})
    for query, expected in {
        "waiting=any": {asking, timed, delayed},
        "waiting=approval": {asking},
        "waiting=timer": {timed, delayed},
        "waiting=reply": set(),
        "waiting=godot": set(),
    }.items():
        shown = client.get(f"{reverse('saga-list')}?{query}").content.decode()
        found = {saga for saga in (asking, timed, done, delayed) if str(saga.pk) in shown}
        assert found == expected, query
    listed = client.get(reverse("saga-list")).content.decode()
    assert "ok: waits for an approval" in listed
    assert "rest: waits for its time until" in listed
    assert "begins at" in listed


@pytest.mark.usefixtures("boss")
def test_the_overview_counts_what_waits(client: Client, asking: Saga) -> None:
    shown = client.get("/").content.decode()
    assert "?waiting=any" in shown


@pytest.mark.usefixtures("boss")
def test_the_timeline_draws_a_promise_as_a_wait(
    client: Client,
    pump: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(waits.answers, "FilingService.File", waits.later())
    saga = run(pump, begin("file", "hand"))
    past = F("at") - timedelta(seconds=5)  # what is over in no time is not drawn
    Event.objects.filter(saga=saga).update(at=past)
    Saga.objects.filter(pk=saga.pk).update(created_at=F("created_at") - timedelta(seconds=5))
    shown = page(client, saga)
    assert "bar--waiting" in shown
    assert "file is taken on; its reply comes later" in shown


@pytest.mark.usefixtures("boss")
def test_the_times_in_a_log_s_sentences_are_told_in_the_reader_s_zone(client: Client, pump: Any) -> None:  # noqa: F811
    shown = page(client, run(pump, begin("ok", ask={"deadline": 3600})))
    assert "to approve, until <time" in shown
    assert "</time> at the latest" in shown


@pytest.mark.usefixtures("boss")
def test_a_saga_behind_its_deadline_is_overdue(client: Client, pump: Any) -> None:  # noqa: F811
    saga = run(pump, begin("ok", deadline=60))
    assert "</svg>overdue" not in page(client, saga)
    Saga.objects.update(deadline_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert "</svg>overdue" in page(client, saga)


def test_the_api_starts_later_lists_what_waits_and_approves(client: Client, boss: Any, pump: Any) -> None:  # noqa: F811
    body = {"type": "Permit", "data": {"steps": ["ok"], "amount": 1}}
    wrong = client.post("/api/v1/sagas", {**body, "at": "soon"}, content_type="application/json")
    assert (wrong.status_code, wrong.json()["field"]) == (422, "at")
    assert "must be a moment with a time zone" in wrong.json()["reason"]
    later = {**body, "at": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
    started = client.post("/api/v1/sagas", later, content_type="application/json").json()
    assert (started["state"], started["waiting"]["kind"], started["started_by"]) == (
        "started",
        "timer",
        str(boss.pk),
    )
    saga = run(pump, begin("ok"))
    found = client.get("/api/v1/sagas?waiting=approval").json()["items"]
    assert [each["id"] for each in found] == [str(saga.pk)]
    address = f"/api/v1/sagas/{saga.pk}/approve"
    answer = client.post(address, {"step": "ok", "reason": "fine"}, content_type="application/json")
    assert answer.json()["state"] == "completed"
    own = client.post("/api/v1/sagas", body, content_type="application/json").json()
    refused = client.post(
        f"/api/v1/sagas/{own['id']}/approve", {"step": "ok", "reason": "x"}, content_type="application/json"
    )
    assert refused.status_code == 403
    assert "boss started this saga" in refused.json()["error"]["message"]


def test_a_timer_that_a_rollback_passes_leaves_nothing_standing(client: Client, pump: Any, boss: Any) -> None:  # noqa: F811
    saga = run(pump, begin("rest", "ok", wait=0.0, ask={"by": "perm:sagas.approve_saga"}))
    asked = Asked(operator=boss, via="desk", reason="no", step="ok")
    plan = orchestrator.preview(saga.pk, "reject", asked)
    assert plan.standing == ()
    orchestrator.act(saga.pk, "reject", asked)
    saga.refresh_from_db()
    assert saga.state == "failed"
    shown = page(client, saga)
    assert "left standing" not in shown
    assert shown.count("nothing to undo") == 2
