"""Pausing a queue on the desk, by the API and on the command line: the same door behind each."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from sagas import orchestrator
from sagas.api import documents
from sagas.engine import Pump
from sagas.models import Due, OperatorAction, PausedQueue, Process, Token
from tests.sagas import shop
from tests.sagas.pages import text
from tests.shell import Run

pytestmark = pytest.mark.django_db


Ask = Callable[..., orchestrator.Asked]


@pytest.fixture
def visitor(client: Client) -> Client:
    """A browser in which somebody is logged in who may look, and pause no queue."""
    otto = get_user_model().objects.create_user("otto")
    otto.user_permissions.set(Permission.objects.filter(codename__in=["view_saga", "pause_saga"]))
    client.force_login(otto)
    return client


@pytest.fixture
def paused(asked: Ask, world: shop.World) -> PausedQueue:
    orchestrator.act_on_queue("pay", "pause", asked(reason="their <database> moves"))
    return PausedQueue.objects.get()


def at(verb: str, name: str = "pay") -> str:
    return reverse("saga-queue-verb", args=[name, verb])


# --- the desk


def test_the_page_of_queues_leads_to_a_pause_and_back(desk: Client, world: shop.World, errand: Any) -> None:
    errand()
    assert f'href="{at("pause", "fetch")}"' in text(desk.get(reverse("saga-queues")))
    assert at("pause", "waits") not in text(desk.get(reverse("saga-queues")))
    shown = desk.get(at("pause", "fetch"))
    assert shown.status_code == 200
    assert "no worker begins anything on fetch any more" in text(shown)
    assert not PausedQueue.objects.exists()
    sent = {"action_id": str(uuid4()), "reason": "their database moves"}
    done = desk.post(at("pause", "fetch"), sent, follow=True)
    assert "fetch is paused: within a second" in text(done)
    assert f'href="{at("resume", "fetch")}"' in text(done)
    again = desk.post(at("pause", "fetch"), sent, follow=True)
    assert "fetch: this was already done." in text(again)
    assert OperatorAction.objects.count() == 1


def test_the_numbers_lead_to_the_sagas_that_wait(desk: Client, errand: Any, api: "Api") -> None:
    here, there = errand(), errand()
    Due.objects.filter(saga=there).update(queue="far & away")
    shown = text(desk.get(reverse("saga-queues")))
    assert "?queue=fetch" in shown
    assert "?queue=far%20%26%20away" in shown
    listed = text(desk.get(reverse("saga-list"), {"queue": "far & away"}))
    assert str(there.pk) in listed
    assert str(here.pk) not in listed
    answer = api.client.get("/api/v1/sagas", {"queue": "fetch"}).json()
    assert [each["id"] for each in answer["items"]] == [str(here.pk)]


def test_every_page_says_what_is_paused_by_whom_and_why(desk: Client, paused: PausedQueue) -> None:
    for name in ("saga-overview", "saga-list", "saga-audit", "saga-queues"):
        shown = text(desk.get(reverse(name)))
        assert "has been paused since" in shown
        assert "by olga: their &lt;database&gt; moves" in shown
    assert "pause queue" in text(desk.get(reverse("saga-audit")))


def test_it_is_resumed_at_once_or_slowly(desk: Client, paused: PausedQueue) -> None:
    shown = text(desk.get(at("resume")))
    assert "Workers begin with what is due on pay, the longest due first" in shown
    assert "<q>their &lt;database&gt; moves</q>" in shown
    slowly = text(desk.post(at("resume"), {"pace": "5", "per_second": "", "reason": "it has moved"}))
    assert "5 a second, the longest due first" in slowly
    assert 'name="per_second" value="5"' in slowly
    assert ">it has moved</textarea>" in slowly
    assert PausedQueue.objects.exists(), "that was only looked at"
    assert 'value="0.0125"' in text(desk.get(at("resume"), {"per_second": "0.0125"}))
    sent = {"pause": paused.pk, "per_second": "5", "reason": "it has moved"}
    assert "pay is resumed: of what is due on it, 5 a second begin." in text(
        desk.post(at("resume"), sent, follow=True)
    )
    assert OperatorAction.objects.latest("pk").request == {"queue": "pay", "per_second": 5.0}
    assert "resume queue, 5 a second" in text(desk.get(reverse("saga-audit")))


def test_who_is_second_is_told_and_keeps_his_words(desk: Client, paused: PausedQueue, asked: Ask) -> None:
    response = desk.post(at("pause"), {"reason": "mine"})
    assert response.status_code == 409
    assert "Nothing was done." in text(response)
    assert "paused already: olga" in text(response)
    assert "<q>mine</q>" in text(response)
    orchestrator.act_on_queue("pay", "resume", asked())
    orchestrator.act_on_queue("pay", "pause", asked(reason="again"))
    response = desk.post(at("resume"), {"reason": "mine", "pause": paused.pk})
    assert response.status_code == 409
    assert "It is another pause than you saw" in text(response)
    assert ">mine</textarea>" in text(response), "below is what it would do to the pause of now"
    assert PausedQueue.objects.exists()


def test_what_is_wrong_is_said_at_its_field(desk: Client, paused: PausedQueue) -> None:
    response = desk.post(at("resume"), {"reason": " ", "pause": paused.pk})
    assert response.status_code == 422
    assert "A reason is required" in text(response)
    for sent in ({"pause": "x"}, {"per_second": "x"}, {"per_second": "0"}, {"per_second": "nan"}):
        response = desk.post(at("resume"), {"reason": "because", **sent})
        assert response.status_code == 422
        assert f"<b>{next(iter(sent)).replace('_', ' ')}</b> must be" in text(response)
    assert desk.get(at("resume"), {"per_second": "many"}).status_code == 422
    assert desk.get(at("pause", "nowhere")).status_code == 404
    assert desk.get(at("pause")).status_code == 409
    assert desk.get("/queues/pay/skip/").status_code == 404


def test_who_may_not_is_told_what_is_lacking(visitor: Client, world: shop.World) -> None:
    assert "Your account lacks the permission sagas.pause_queue." in text(visitor.get(reverse("saga-queues")))
    assert visitor.get(at("pause")).status_code == 403
    assert visitor.post(at("pause"), {"reason": "because"}).status_code == 403
    assert not PausedQueue.objects.exists()


def test_strangers_are_asked_to_log_in(client: Client) -> None:
    assert client.get(at("pause")).status_code == 302


def test_a_queue_may_have_any_name(desk: Client, world: shop.World, errand: Any) -> None:
    errand()
    Due.objects.update(queue="far/away & more")
    assert "far/away &amp; more" in text(desk.get(reverse("saga-queues")))
    desk.post(at("pause", "far/away & more"), {"reason": "because"})
    assert PausedQueue.names() == {"far/away & more"}


@pytest.mark.parametrize("name", ["", "a\nb"])
def test_a_name_that_no_address_can_hold_spoils_no_page(desk: Client, world: shop.World, name: str) -> None:
    now = timezone.now()
    Process.objects.create(name="w", kind="worker", queues=[name], pid=1, started_at=now, seen_at=now)
    assert desk.get(reverse("saga-queues")).status_code == 200


def test_a_step_says_that_its_queue_is_paused(
    desk: Client, paused: PausedQueue, errand: Any, pump: Pump, db: None
) -> None:
    saga = errand()
    orchestrator.step_completed(saga.pk, "fetch", {})
    shown = text(desk.get(reverse("saga-detail", args=[saga.pk])))
    assert "for its paused queue" in shown
    assert "olga has paused its queue, pay" in shown


def test_a_verbs_page_says_what_will_wait(desk: Client, errand: Any, paused: PausedQueue) -> None:
    saga = errand(hold=True)
    orchestrator.step_completed(saga.pk, "fetch", {})
    orchestrator.step_failed(saga.pk, "pay", "broke")
    shown = text(desk.get(reverse("saga-verb", args=[saga.pk, "retry"]) + "?step=pay"))
    assert "<h3>Due at once</h3>" in shown
    assert "its queue is paused</span>" in shown


def test_the_metrics_say_so(desk: Client, paused: PausedQueue) -> None:
    assert 'sagadesk_queue_paused{queue="pay"} 1' in desk.get(reverse("saga-metrics")).content.decode()


def test_the_admin_shows_it_and_changes_nothing(desk: Client, paused: PausedQueue) -> None:
    assert "their &lt;database&gt; moves" in text(desk.get(reverse("admin:sagas_pausedqueue_changelist")))
    assert desk.get(reverse("admin:sagas_pausedqueue_add")).status_code == 403


# --- the API


class Api:
    """A program with a bearer token."""

    def __init__(self, user: Any) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {Token.issue(user)}"})

    def get(self) -> Any:
        return self.client.get("/api/v1/queues")

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/v1/queues/{path}", json.dumps(body), "application/json")


@pytest.fixture
def api(operator: Any) -> Api:
    return Api(operator)


def test_a_program_pauses_and_resumes(api: Api, world: shop.World) -> None:
    plan = api.post("pay/pause", dry_run=True)
    assert plan.status_code == 200
    assert documents.QueuePlan.model_validate(plan.json()).sentences[0].startswith("Within a second")
    assert not PausedQueue.objects.exists()
    done = api.post("pay/pause", reason="their database moves", action_id="a").json()
    assert documents.QueueActed.model_validate(done).paused is not None
    assert api.post("pay/pause", reason="their database moves", action_id="a").json()["action"]["repeated"]
    listed = documents.QueueList.model_validate(api.get().json())
    assert {each.queue for each in listed.items if each.paused} == {"pay"}
    number = done["paused"]["number"]
    done = api.post("pay/resume", reason="it has", per_second=2, pause=number)
    assert done.status_code == 200, done.json()
    assert documents.QueueActed.model_validate(done.json()).paused is None


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("pay/pause", {}, 422, "reason"),
        ("pay/pause", {"reason": "because", "speed": 1}, 422, "speed"),
        ("pay/pause", {"reason": "because", "per_second": 1}, 422, "per_second"),
        ("pay/resume", {"reason": "because", "per_second": "1"}, 422, "per_second"),
        ("pay/resume", {"reason": "because"}, 409, None),
        ("pay/pause", {"reason": "because", "pause": 1}, 422, "pause"),
        ("pay/skip", {"reason": "because"}, 404, None),
        ("paie/pause", {"reason": "because"}, 404, None),
    ],
)
def test_what_a_program_asks_wrongly(
    api: Api, world: shop.World, path: str, body: Any, status: int, field: str | None
) -> None:
    response = api.post(path, **body)
    assert response.status_code == status, response.json()
    assert documents.Problem.model_validate(response.json()).field == field


def test_a_program_needs_the_permission(db: None, world: shop.World) -> None:
    otto = get_user_model().objects.create_user("otto")
    otto.user_permissions.set(Permission.objects.filter(codename__in=["view_saga"]))
    assert Api(otto).get().status_code == 200
    response = Api(otto).post("pay/pause", reason="because")
    assert (response.status_code, "sagas.pause_queue" in response.json()["error"]["message"]) == (403, True)


def test_the_document_tells_of_it(client: Client) -> None:
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert {"/queues", "/queues/{queue}/pause", "/queues/{queue}/resume"} <= paths.keys()


# --- the command line


def test_the_command_line_pauses_and_resumes(run: Run, world: shop.World, errand: Any) -> None:
    errand()
    told = run("queue", "pause", "fetch", "--dry-run", "--json")
    assert "no worker begins anything on fetch" in told.err
    assert json.loads(told.out)["queue"]["due"] == 1
    done = run("queue", "pause", "fetch", "--reason", "their database moves")
    assert (done.code, done.out.strip()) == (0, "fetch")
    assert OperatorAction.objects.get().via == "command"
    items = json.loads(run("queue", "list", "--json").out)["items"]
    assert [each["queue"] for each in items if each["paused"]] == ["fetch"]
    assert "fetch" in run("queue", "list").out.split()
    again = run("queue", "resume", "fetch", "--reason", "it has", "--pause", "0")
    assert (again.code, "another pause than you saw" in again.err) == (1, True)
    done = run("queue", "resume", "fetch", "--reason", "it has", "--per-second", "5", "--json")
    assert json.loads(done.out)["paused"] is None


def test_saga_check_says_what_is_paused(run: Run, paused: PausedQueue) -> None:
    assert "Queue pay has been paused since 2" in run("check").err


def test_what_the_command_line_is_asked_wrongly(run: Run, world: shop.World) -> None:
    assert run("queue", "pause", "pay").code == 2
    refused = run("queue", "resume", "pay", "--reason", "because")
    assert (refused.code, "pay is not paused" in refused.err) == (1, True)
    assert run("queue", "pause", "paie", "--reason", "because").code == 1
    assert run("queue", "resume", "pay", "--reason", "because", "--per-second", "0").code == 1
    assert run("worker", "").code == 2
    get_user_model().objects.create_user("otto")
    refused = run("queue", "pause", "pay", "--reason", "because", "--as", "otto")
    assert (refused.code, "sagas.pause_queue" in refused.err) == (1, True)
