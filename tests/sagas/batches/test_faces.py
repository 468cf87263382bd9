"""Many sagas at once, by the API and on the command line: the same door behind each."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pydantic import BaseModel

from sagas import conf, engine, orchestrator
from sagas.api import documents
from sagas.engine import Pump
from sagas.management.commands._saga.speaking import Desk
from sagas.models import Batch, BatchItem, OperatorAction, Saga, Token
from sagas.orchestrator import batch_plan, batching
from tests.sagas import shop
from tests.sagas.callers import assert_problem, user_with
from tests.shell import Run

pytestmark = pytest.mark.django_db

ASKING = {"attention": "any"}
RETRY = {"verb": "retry", "filter": ASKING, "reason": "restocked"}
LATER = timedelta(hours=1)


@pytest.fixture(autouse=True)
def searchable(settings: Any) -> Iterator[None]:
    """Let sagas be found by a number of an order."""
    before = settings.SAGAS
    settings.SAGAS = {**before, "SEARCHABLE": ["order_id"]}
    conf.settings.cache_clear()
    yield
    settings.SAGAS = before
    conf.settings.cache_clear()


Held = Callable[..., Saga]


@pytest.fixture
def held(world: shop.World) -> Held:
    """Have a saga stop at its first step, and ask for a person."""

    def make(correlation_id: str | None = None, **data: Any) -> Saga:
        data = {"item": "book", "hold": True, **data}
        saga = orchestrator.start("Errand", data, correlation_id=correlation_id).saga
        orchestrator.step_failed(saga.pk, "fetch", "sold out")
        saga.refresh_from_db()
        assert saga.attention == "held"
        return saga

    return make


@pytest.fixture
def three(held: Held) -> list[str]:
    """Three sagas that ask for a person, the oldest first."""
    return [str(held().pk) for _ in range(3)]


class Api:
    """A program with a bearer token."""

    def __init__(self, user: Any) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {Token.issue(user)}"})

    def get(self, path: str = "", **query: Any) -> Any:
        return self.client.get(f"/api/v1/batches{path}", query)

    def post(self, path: str = "", **body: Any) -> Any:
        return self.client.post(f"/api/v1/batches{path}", json.dumps(body), "application/json")

    def begin(self, **more: Any) -> Any:
        """Begin a batch, and return its document."""
        response = self.post(**{**RETRY, **more})
        assert response.status_code == 201, response.json()
        return response.json()

    def sagas(self, number: int, **query: Any) -> list[Any]:
        return self.get(f"/{number}/sagas", **query).json()["items"]


@pytest.fixture
def api(operator: Any) -> Api:
    return Api(operator)


def document() -> Any:
    """Return the only batch as it is told of."""
    return orchestrator.batch_documents([Batch.objects.get()])[0]


def told(response: Any, status: int, model: type[BaseModel]) -> Any:
    """Return what was answered, which is as the OpenAPI document has it, and nothing beside that."""
    assert response.status_code == status, response.json()
    model.model_validate(response.json())
    assert model.model_fields.keys() == response.json().keys()
    return response.json()


def carried_on(pump: Pump) -> None:
    """Let the clock and a worker do what there is."""
    for _ in range(10):
        engine.carry_on()
        pump.run(20)
        Batch.objects.update(next_at=timezone.now() - timedelta(minutes=1))


# --- the API: beginning one


def test_a_program_begins_a_batch_and_sees_it_through(api: Api, three: list[str], pump: Pump) -> None:
    batch = told(api.post(**RETRY), 201, documents.BatchActed)
    assert batch.pop("action") == {"verb": "start", "repeated": False}
    assert (batch["verb"], batch["state"], batch["total"]) == ("retry", "running", 3)
    assert (batch["filters"], batch["reason"], batch["via"]) == (ASKING, "restocked", "api")
    assert told(api.get(f"/{batch['id']}"), 200, documents.Batch) == batch
    assert told(api.get(), 200, documents.BatchPage) == {"items": [batch], "next": None}
    page = told(api.get(f"/{batch['id']}/sagas"), 200, documents.BatchSagaPage)
    assert [item["saga"] for item in page["items"]] == three
    assert documents.BatchSaga.model_fields.keys() == page["items"][0].keys()
    assert {item["state"] for item in page["items"]} == {"waiting"}
    carried_on(pump)
    ended = told(api.get(f"/{batch['id']}"), 200, documents.Batch)
    assert (ended["state"], ended["verbs"], ended["counts"]["well"]) == ("done", [], 3)
    assert [item["steps"] for item in api.sagas(batch["id"])] == [["fetch"]] * 3
    assert set(Saga.objects.values_list("state", flat=True)) == {"completed"}


def test_a_restart_says_what_it_started(api: Api, held: Held) -> None:
    saga = held()
    for verb, asked in (("compensate", {"state": "pending"}), ("restart", {"state": "failed"})):
        batch = api.begin(verb=verb, filter=asked)
        engine.carry_on()
    (item,) = api.sagas(batch["id"])
    assert (item["saga"], item["created"]) == (str(saga.pk), str(Saga.objects.get(origin=saga).pk))


def test_the_same_action_id_begins_one_batch(api: Api, three: list[str]) -> None:
    first = api.begin(action_id="a")
    again = told(api.post(**RETRY, action_id="a"), 200, documents.BatchActed)
    assert again["action"] == {"verb": "start", "repeated": True}
    assert again["id"] == first["id"]
    assert Batch.objects.count() == 1


def test_an_action_id_is_that_of_one_action(api: Api, three: list[str], asked: Any) -> None:
    orchestrator.act(three[0], "retry", asked(step="fetch", action_id="saga"))
    number = api.begin(action_id="batch")["id"]
    assert_problem(api.post(**RETRY, action_id="saga"), 422, "action_id", says="already used")
    other = {**RETRY, "filter": {"attention": "held"}}
    assert_problem(api.post(**other, action_id="batch"), 422, "action_id", says="already used")
    assert_problem(api.post(f"/{number}/pause", reason="because", action_id="batch"), 422, "action_id")
    api.post(f"/{number}/pause", reason="because", action_id="pause")
    assert_problem(api.post(f"/{number}/resume", reason="because", action_id="pause"), 422, "action_id")
    assert Batch.objects.get().state == "paused"


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    api: Api, three: list[str], errand: Callable[..., Saga]
) -> None:
    errand()
    body = {"verb": "retry", "filter": {"type": "Errand"}, "waves": [1], "per_second": 2, "stop_above": 5}
    plan = told(api.post(**body, dry_run=True), 200, documents.BatchPlan)
    assert (plan["verb"], plan["total"], plan["matching"], plan["possible"]) == ("retry", 3, 4, True)
    assert plan["first"] == three
    assert [(each["count"], each["step"]) for each in plan["alike"]] == [(3, "fetch")]
    said = " ".join(plan["sentences"])
    for words in ("first 1, then the other 2", "at most 2 a second", "more than 5 %", "1 more matches"):
        assert words in said
    assert not Batch.objects.exists()
    assert not OperatorAction.objects.exists()
    nothing = api.post(verb="restart", filter=ASKING, dry_run=True).json()
    assert (nothing["possible"], nothing["total"]) == (False, 0)


def test_how_it_goes_on_is_chosen_or_as_usual(api: Api, three: list[str]) -> None:
    usual, chosen = api.begin(), api.begin(waves=[2, 3], per_second=0.5, stop_above=0)
    never = api.begin(waves=[], stop_above=None)
    course = [
        [each[name] for name in ("waves", "per_second", "stop_above")] for each in (usual, chosen, never)
    ]
    assert course == [[[1, 5, 25], 10.0, 20], [[2, 3], 0.5, 0], [[], 10.0, None]]


def test_what_has_moved_since_a_dry_run_is_left_out(api: Api, three: list[str]) -> None:
    Saga.objects.filter(pk=three[1]).update(updated_at=timezone.now() - LATER)
    seen_at = (timezone.now() - LATER / 2).isoformat()
    batch = api.begin(seen_at=seen_at)
    assert [item["saga"] for item in api.sagas(batch["id"])] == [three[1]]
    assert_problem(
        api.post(**{**RETRY, "seen_at": "2001-01-01T00:00:00Z"}), 409, says="moved since you looked"
    )


@pytest.fixture
def several(world: shop.World, held: Held) -> dict[str, str]:
    """Sagas on their way forward, each found by something else."""
    held("held", order_id="A-1")
    orchestrator.start("Errand", {"item": "book", "order_id": 17}, correlation_id="due")
    orchestrator.start("Errand", {"item": "book"}, correlation_id="later", at=timezone.now() + LATER)
    return {str(saga.pk): saga.correlation_id for saga in Saga.objects.all()}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"state": "pending"}, {"held", "due"}),
        ({"type": "Errand"}, {"held", "due", "later"}),
        ({"type": ""}, set()),
        ({"attention": "any"}, {"held"}),
        ({"attention": "held"}, {"held"}),
        ({"attention": "late_effect"}, set()),
        ({"attention": "none"}, {"due", "later"}),
        ({"waiting": "any"}, {"later"}),
        ({"waiting": "timer"}, {"later"}),
        ({"waiting": "approval"}, set()),
        ({"correlation_id": "due"}, {"due"}),
        ({"queue": "fetch"}, {"due"}),
        ({"queue": ""}, set()),
        ({"data.order_id": "17"}, {"due"}),
        ({"data.order_id": "A-1", "attention": "none"}, set()),
        ({"state": "pending", "type": "Errand", "data.order_id": "A-1"}, {"held"}),
    ],
)
def test_a_batch_takes_what_the_list_shows(
    api: Api, several: dict[str, str], filters: dict[str, str], found: set[str]
) -> None:
    listed = api.client.get("/api/v1/sagas", filters).json()["items"]
    assert {saga["correlation_id"] for saga in listed} == found
    body = {"verb": "compensate", "filter": filters, "reason": "because"}
    plan = api.post(**body, dry_run=True).json()
    assert (plan["matching"], {several[pk] for pk in plan["first"]}) == (len(found), found)
    response = api.post(**body)
    assert response.status_code == (201 if found else 409)
    assert {several[str(item.saga_id)] for item in BatchItem.objects.all()} == found
    assert not found or response.json()["filters"] == filters


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"verb": None}, "verb"),
        ({"verb": "skip"}, "verb"),
        ({"verb": ["retry"]}, "verb"),
        ({"reason": ""}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": "x" * 2001}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"filter": None}, "filter"),
        ({"filter": "attention"}, "filter"),
        ({"filter": {}}, "filter"),
        ({"filter": {"state": None, "queue": None}}, "filter"),
        ({"filter": {"state": "stuck"}}, "filter.state"),
        ({"filter": {"attention": True}}, "filter.attention"),
        ({"filter": {"waiting": "none"}}, "filter.waiting"),
        ({"filter": {"type": 7}}, "filter.type"),
        ({"filter": {"type": "x" * 101}}, "filter.type"),
        ({"filter": {"correlation_id": "a\x00b"}}, "filter.correlation_id"),
        ({"filter": {"attenton": "any"}}, "filter.attenton"),
        ({"filter": {**ASKING, "after": "0198c7a0-0000-7000-8000-000000000000"}}, "filter.after"),
        ({"filter": {**ASKING, "limit": "5"}}, "filter.limit"),
        ({"filter": {"data.secret": "x"}}, "filter.data.secret"),
        ({"filter": {"data.order_id": 17}}, "filter.data.order_id"),
        ({"filter": {"data.order_id": None}}, "filter.data.order_id"),
        ({"waves": None}, "waves"),
        ({"waves": "1,5"}, "waves"),
        ({"waves": [1, "5"]}, "waves.1"),
        ({"waves": [True]}, "waves.0"),
        ({"waves": [0]}, "waves"),
        ({"waves": [10**30]}, "waves"),
        ({"waves": [1] * 21}, "waves"),
        ({"per_second": "10"}, "per_second"),
        ({"per_second": True}, "per_second"),
        ({"per_second": None}, "per_second"),
        ({"per_second": 0}, "per_second"),
        ({"per_second": 101}, "per_second"),
        ({"per_second": 10**400}, "per_second"),
        ({"stop_above": "20"}, "stop_above"),
        ({"stop_above": 0.5}, "stop_above"),
        ({"stop_above": -1}, "stop_above"),
        ({"stop_above": 100}, "stop_above"),
        ({"at_most": 0}, "at_most"),
        ({"at_most": "2"}, "at_most"),
        ({"seen_at": "yesterday"}, "seen_at"),
        ({"seen_at": "2026-01-01T00:00:00"}, "seen_at"),
        ({"seen_at": 7}, "seen_at"),
        ({"action_id": ""}, "action_id"),
        ({"action_id": "x" * 101}, "action_id"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"step": "fetch"}, "step"),
    ],
)
def test_what_is_asked_wrongly_is_named_and_begins_nothing(
    api: Api, three: list[str], wrong: dict[str, Any], field: str
) -> None:
    assert_problem(api.post(**{**RETRY, **wrong}), 422, field)
    assert not Batch.objects.exists()


@pytest.mark.parametrize("missing", ["verb", "filter", "reason"])
def test_what_is_not_said_is_asked_for(api: Api, three: list[str], missing: str) -> None:
    body = {name: value for name, value in RETRY.items() if name != missing}
    assert_problem(api.post(**body), 422, missing, says=f"{missing}: is required")
    assert not Batch.objects.exists()


def test_that_every_saga_is_meant_has_to_be_said(api: Api, three: list[str]) -> None:
    assert_problem(api.post(**{**RETRY, "filter": {}}), 422, "filter", says="must name at least one field")
    assert_problem(api.post(**{**RETRY, "filter": {}, "dry_run": True}), 422, "filter")


def test_what_cannot_begin_is_refused(api: Api, three: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_problem(api.post(**{**RETRY, "verb": "restart"}), 409, says="No saga matches that failed")
    for module in (batch_plan, batching):
        monkeypatch.setattr(module, "LARGEST", 2)
    assert_problem(api.post(**{**RETRY, "waves": []}), 409, says="3 sagas match")
    assert not api.post(**{**RETRY, "waves": [], "dry_run": True}).json()["possible"]
    assert not Batch.objects.exists()


# --- the API: looking


def test_batches_are_paged_the_newest_first(api: Api, three: list[str]) -> None:
    made = [api.begin()["id"] for _ in range(3)]
    first = told(api.get(limit=2), 200, documents.BatchPage)
    assert [batch["id"] for batch in first["items"]] == [made[2], made[1]]
    assert first["next"] == made[1]
    api.begin()  # what is begun meanwhile moves no page
    rest = api.get(limit=2, after=first["next"]).json()
    assert ([batch["id"] for batch in rest["items"]], rest["next"]) == ([made[0]], None)


def test_batches_are_found_by_their_state(api: Api, three: list[str]) -> None:
    running, paused = api.begin()["id"], api.begin()["id"]
    api.post(f"/{paused}/pause", reason="because")
    found = {
        state: [each["id"] for each in api.get(state=state).json()["items"]] for state, _ in Batch.STATES
    }
    assert found == {"running": [running], "paused": [paused], "done": [], "cancelled": []}


def test_the_sagas_of_a_batch_are_paged_in_their_order(api: Api, three: list[str]) -> None:
    number = api.begin()["id"]
    first = told(api.get(f"/{number}/sagas", limit=2), 200, documents.BatchSagaPage)
    assert ([item["position"] for item in first["items"]], first["next"]) == ([0, 1], 1)
    rest = api.get(f"/{number}/sagas", limit=2, after=first["next"]).json()
    assert ([item["saga"] for item in rest["items"]], rest["next"]) == ([three[2]], None)
    assert len(api.sagas(number, after=0)) == 2


def test_the_sagas_of_a_batch_are_found_by_what_came_of_them(api: Api, three: list[str], asked: Any) -> None:
    number = api.begin(waves=[])["id"]
    orchestrator.act(three[1], "retry", asked(step="fetch"))
    for _ in three:
        Batch.objects.update(next_at=timezone.now() - timedelta(minutes=1))
        engine.carry_on()
    (refused,) = api.sagas(number, state="refused")
    assert (refused["saga"], "The saga has moved on" in refused["text"]) == (three[1], True)
    assert [item["saga"] for item in api.sagas(number, state="acted")] == [three[0], three[2]]
    assert api.sagas(number, state="waiting") == []


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        ("", {"state": "begun"}, "state"),
        ("", {"after": "-1"}, "after"),
        ("", {"after": "x"}, "after"),
        ("", {"after": str(2**63)}, "after"),
        ("", {"limit": "0"}, "limit"),
        ("", {"limit": "201"}, "limit"),
        ("", {"verb": "retry"}, "verb"),
        ("", {"state": ["done", "paused"]}, "state"),
        ("/sagas", {"state": "completed"}, "state"),
        ("/sagas", {"after": "-1"}, "after"),
        ("/sagas", {"after": str(2**31)}, "after"),
        ("/sagas", {"limit": "1001"}, "limit"),
        ("/sagas", {"saga": "x"}, "saga"),
    ],
)
def test_a_bad_query_is_named(
    api: Api, three: list[str], path: str, query: dict[str, Any], field: str
) -> None:
    number = api.begin()["id"]
    assert_problem(api.get(f"/{number}{path}" if path else "", **query), 422, field)


@pytest.mark.parametrize("number", ["4711", "9" * 18, "9" * 19, "x", "-1"])
def test_there_is_no_such_batch(api: Api, number: str) -> None:
    for response in (
        api.get(f"/{number}"),
        api.get(f"/{number}/sagas"),
        api.post(f"/{number}/pause", reason="because"),
        api.post(f"/{number}/pause", dry_run=True),
    ):
        assert_problem(response, 404)


# --- the API: acting on one


def test_a_program_pauses_resumes_and_cancels(api: Api, three: list[str], asked: Any) -> None:
    number = api.begin()["id"]
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        before = api.get(f"/{number}").json()
        plan = told(api.post(f"/{number}/{verb}", dry_run=True), 200, documents.BatchVerbPlan)
        assert plan == {
            "verb": verb,
            "batch": before,
            "sentences": [orchestrator.preview_batch_verb(number, verb, asked())],
        }
        assert api.get(f"/{number}").json() == before
        done = told(api.post(f"/{number}/{verb}", reason="because"), 200, documents.BatchActed)
        assert (done["state"], done["action"]) == (state, {"verb": verb, "repeated": False})
        for dry_run in (False, True):
            again = api.post(f"/{number}/{verb}", reason="because", dry_run=dry_run)
            assert_problem(again, 409, says="The batch is")
    trail = OperatorAction.objects.order_by("pk").values_list("verb", "via", "reason")
    verbs = ("pause_batch", "resume_batch", "cancel_batch")
    assert list(trail) == [("start_batch", "api", "restocked"), *((verb, "api", "because") for verb in verbs)]


def test_a_program_waits_no_longer_for_a_wave(api: Api, three: list[str]) -> None:
    number = api.begin(waves=[1])["id"]
    assert_problem(api.post(f"/{number}/release", reason="because"), 409, says="have had their turn yet")
    engine.carry_on()
    assert "release" in api.get(f"/{number}").json()["verbs"]
    done = told(api.post(f"/{number}/release", reason="one is slow"), 200, documents.BatchActed)
    assert (done["wave"], done["state"]) == (1, "running")


def test_the_same_action_id_acts_once(api: Api, three: list[str]) -> None:
    number, other = api.begin()["id"], api.begin()["id"]
    api.post(f"/{number}/pause", reason="because", action_id="a")
    again = api.post(f"/{number}/pause", reason="because", action_id="a").json()
    assert (again["state"], again["action"]) == ("paused", {"verb": "pause", "repeated": True})
    assert_problem(api.post(f"/{other}/pause", reason="because", action_id="a"), 422, "action_id")
    assert OperatorAction.objects.filter(verb="pause_batch").count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": " "}, "reason"),
        ({"reason": 7}, "reason"),
        ({"reason": "because", "action_id": ""}, "action_id"),
        ({"reason": "because", "dry_run": 1}, "dry_run"),
        ({"reason": "because", "per_second": 5}, "per_second"),
    ],
)
def test_what_is_asked_wrongly_of_a_batch_is_named(
    api: Api, three: list[str], body: dict[str, Any], field: str
) -> None:
    number = api.begin()["id"]
    assert_problem(api.post(f"/{number}/pause", **body), 422, field)
    assert Batch.objects.get().state == "running"


def test_no_other_verbs_and_methods_are_for_batches(api: Api, three: list[str]) -> None:
    number = api.begin()["id"]
    says = "no verb 'retry' for batches; there are pause, resume, release, cancel."
    assert_problem(api.post(f"/{number}/retry", reason="because"), 404, says=says)
    assert_problem(api.post(f"/{number}/sagas"), 405)
    assert_problem(api.get(f"/{number}/pause"), 405)
    assert api.get("/").json() == api.get().json(), "a slash at the end changes nothing"


# --- the API: who may


def test_strangers_and_who_may_see_nothing_are_kept_out(api: Api, three: list[str]) -> None:
    number = api.begin()["id"]
    stranger = Client().get("/api/v1/batches")
    assert stranger.status_code == 401
    blind = Api(user_with("run_batch", "retry_saga"))
    for response in (
        blind.get(),
        blind.get(f"/{number}"),
        blind.get(f"/{number}/sagas"),
        blind.post(**RETRY),
        blind.post(f"/{number}/pause", reason="because"),
    ):
        assert_problem(response, 403, says="sagas.view_saga")


def test_who_may_only_look_does_not_act(api: Api, three: list[str]) -> None:
    number, visitor = api.begin()["id"], Api(user_with("view_saga", "retry_saga"))
    for path in ("", f"/{number}", f"/{number}/sagas"):
        assert visitor.get(path).status_code == 200
    for dry_run in (False, True):
        assert_problem(visitor.post(**RETRY, dry_run=dry_run), 403, says="sagas.run_batch")
        for verb in orchestrator.BATCH_VERBS:
            refused = visitor.post(f"/{number}/{verb}", reason="because", dry_run=dry_run)
            assert_problem(refused, 403, says="sagas.run_batch")
    assert Batch.objects.get().state == "running"


def test_a_batch_wants_the_permission_for_its_verb_too(three: list[str]) -> None:
    otto = Api(user_with("view_saga", "run_batch", "compensate_saga"))
    for dry_run in (False, True):
        assert_problem(otto.post(**RETRY, dry_run=dry_run), 403, says="sagas.retry_saga")
    assert otto.begin(verb="compensate", filter={"state": "pending"})["operator"].startswith("otto")


def test_the_document_tells_of_batches(client: Client) -> None:
    document = client.get("/api/v1/openapi.json").json()
    paths, schemas = document["paths"], document["components"]["schemas"]
    assert {"/batches", "/batches/{number}", "/batches/{number}/sagas"} <= paths.keys()
    assert all(f"/batches/{{number}}/{verb}" in paths for verb in orchestrator.BATCH_VERBS)
    assert {"200", "201", "403", "409", "422"} <= paths["/batches"]["post"]["responses"].keys()
    named = [parameter["name"] for parameter in paths["/batches/{number}/sagas"]["get"]["parameters"]]
    assert named == ["number", "state", "after", "limit"]
    body = schemas["BatchBody"]
    assert body["required"] == ["verb", "filter"]
    assert body["properties"]["verb"]["enum"] == list(orchestrator.BATCHED)
    assert body["properties"]["stop_above"]["default"] == orchestrator.Course.stop_above
    sought = {parameter["name"] for parameter in paths["/sagas"]["get"]["parameters"]}
    assert {*schemas["Filters"]["properties"], "after", "limit"} <= sought


# --- the command line


def begun(run: Run, *words: Any) -> int:
    """Begin a batch of retries, and return its number."""
    done = run("batch", "start", "retry", "--attention", "any", "--reason", "restocked", *words)
    assert done.code == 0, done.err
    return int(done.out)


def test_the_command_line_begins_a_batch_and_sees_it_through(
    run: Run, three: list[str], pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("batch", "start", "retry", "--attention", "--reason", "restocked")
    number = Batch.objects.get().pk
    assert (done.code, done.out) == (0, f"{number}\n")
    assert f"start was done; batch {number}, retry of 3, is running now." in done.err
    action = OperatorAction.objects.get()
    assert (action.via, action.operator, action.reason) == ("command", None, "restocked")
    assert run("batch", "show", number, "--json").json == document()
    carried_on(pump)
    shown = run("batch", "show", number).out
    for words in ("done", "retry", "attention=any", "wave 2, up to saga 3 of 3", "3 well", "restocked"):
        assert words in shown
    assert three[0] not in shown
    assert all(pk in run("batch", "show", number, "--sagas").out for pk in three)
    listed = run("batch", "show", number, "--sagas", "--json").json["sagas"]
    assert [(item["saga"], item["state"]) for item in listed] == [(pk, "well") for pk in three]


def test_a_batch_that_paused_itself_says_why(run: Run, three: list[str]) -> None:
    number = begun(run)
    Batch.objects.update(state="paused", note="2 of 3 went wrong again.")
    assert "2 of 3 went wrong again." in run("batch", "show", number).out


def test_batches_are_listed_the_newest_first(
    run: Run, three: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (begun(run) for _ in range(3))
    run("batch", "pause", second, "--reason", "because")
    assert run("batch", "list").out.split() == [str(third), str(second), str(first)]
    assert run("batch", "list", "--state", "paused").out.split() == [str(second)]
    page = run("batch", "list", "--limit", "1", "--json").json
    assert ([batch["id"] for batch in page["items"]], page["next"]) == ([third], third)
    rest = run("batch", "list", "--after", third, "--json").json
    assert ([batch["id"] for batch in rest["items"]], rest["next"]) == ([second, first], None)
    assert f"There are more: --after {second}" in run("batch", "list", "--limit", "2").err
    monkeypatch.setattr(Desk, "seen", True)
    assert "paused     retry" in run("batch", "list").out


def test_how_it_goes_on_is_said_on_the_command_line(run: Run, three: list[str]) -> None:
    begun(run)
    begun(run, "--waves", "2,3", "--per-second", "0.5", "--stop-above", "0")
    begun(run, "--waves", "none", "--stop-above", "never")
    course = Batch.objects.order_by("pk").values_list("waves", "per_second", "stop_above")
    assert list(course) == [([1, 5, 25], 10.0, 20), ([2, 3], 0.5, 0), ([], 10.0, None)]


def test_a_dry_run_on_the_command_line_changes_nothing(run: Run, three: list[str]) -> None:
    words = ("batch", "start", "retry", "--attention", "any", "--waves", "1", "--dry-run")
    told = run(*words)
    assert (told.code, told.out) == (0, "")
    assert "It retries the steps that ask for a person in 3 sagas" in told.err
    assert "3  Errand, pending: fetch, held" in told.err
    assert run(*words, "--json").json["first"] == three
    assert not Batch.objects.exists()
    Saga.objects.filter(pk=three[1]).update(updated_at=timezone.now() - LATER)
    number = begun(run, "--seen-at", (timezone.now() - LATER / 2).isoformat())
    assert [str(item.saga_id) for item in BatchItem.objects.filter(batch=number)] == [three[1]]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--state", "pending"), {"held", "due"}),
        (("--type", "Errand"), {"held", "due", "later"}),
        (("--type", ""), set()),
        (("--type", "", "--state", "pending"), set()),
        (("--attention", "held"), {"held"}),
        (("--attention",), {"held"}),
        (("--attention", "none"), {"due", "later"}),
        (("--correlation-id", "due"), {"due"}),
        (("--correlation-id", ""), set()),
        (("--attention", "none", "--state", "pending"), {"due"}),
    ],
)
def test_a_batch_takes_what_the_command_line_lists(
    run: Run, several: dict[str, str], words: tuple[str, ...], found: set[str]
) -> None:
    assert {several[pk] for pk in run("list", *words).out.split()} == found
    done = run("batch", "start", "compensate", *words, "--reason", "because")
    assert done.code == (0 if found else 1)
    assert {several[str(item.saga_id)] for item in BatchItem.objects.all()} == found


def test_the_command_line_acts_on_a_batch(run: Run, three: list[str], asked: Any) -> None:
    number = begun(run)
    for verb, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        says = orchestrator.preview_batch_verb(number, verb, asked())
        dry = run("batch", verb, number, "--dry-run")
        assert (dry.code, dry.out, says in dry.err) == (0, "", True)
        told = run("batch", verb, number, "--dry-run", "--json").json
        assert told == {"batch": document(), "sentences": [says]}
        assert Batch.objects.get().state != state
        words = ("batch", verb, number, "--reason", "because", "--action-id", verb)
        done = run(*words)
        assert (done.code, done.out) == (0, f"{number}\n")
        assert "was known" not in done.err
        assert f"{verb} was done; batch {number}, retry of 3, is {state} now." in done.err
        again = run(*words, "--json")
        assert "This action id was known; then, " in again.err
        assert again.json == document()
    assert OperatorAction.objects.count() == 4


def test_the_command_line_waits_no_longer_for_a_wave(run: Run, three: list[str]) -> None:
    number = begun(run, "--waves", "1")
    refused = run("batch", "release", number, "--reason", "because")
    assert (refused.code, "have had their turn yet" in refused.err) == (1, True)
    engine.carry_on()
    assert run("batch", "release", number, "--reason", "because").code == 0
    assert Batch.objects.get().wave == 1


def test_the_same_action_id_begins_one_batch_on_the_command_line(run: Run, three: list[str]) -> None:
    number = begun(run, "--action-id", "a")
    assert begun(run, "--action-id", "a") == number
    assert Batch.objects.count() == 1
    assert run("batch", "pause", number, "--reason", "because", "--action-id", "a").code == 1


def test_a_batch_is_begun_as_a_user_who_may(run: Run, three: list[str], operator: Any) -> None:
    visitor = user_with("view_saga")
    words = ("batch", "start", "retry", "--attention", "any", "--reason", "because", "--as")
    for more in ((), ("--dry-run",)):
        refused = run(*words, visitor.get_username(), *more)
        assert (refused.code, "sagas.run_batch" in refused.err) == (1, True)
    assert run(*words, "nobody").code == 1
    shown = run(*words, "olga", "--json").json
    assert (shown["operator"], Batch.objects.get().operator) == ("olga", operator)
    for more in ((), ("--dry-run",)):
        refused = run(
            "batch", "pause", shown["id"], "--reason", "because", "--as", visitor.get_username(), *more
        )
        assert (refused.code, "sagas.run_batch" in refused.err) == (1, True)
    assert Batch.objects.get().state == "running"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("list --state begun", 2, "invalid choice"),
        ("list --limit 0", 2, "from 1 to 1000"),
        ("list --after -1", 2, "must not be negative"),
        ("show x", 2, "invalid"),
        ("show 4711", 1, "There is no batch 4711"),
        (f"show {10**30}", 1, "There is no batch"),
        ("pause 4711 --reason because", 1, "There is no batch 4711"),
        ("pause 4711 --dry-run", 1, "There is no batch 4711"),
        ("pause 1", 2, "--reason is required"),
        ("skip 1 --reason because", 2, "invalid choice"),
        ("start skip --attention any --reason because", 2, "invalid choice"),
        ("start retry --reason because", 2, "A filter is required"),
        ("start retry --dry-run", 2, "A filter is required"),
        ("start retry --attention any", 2, "--reason is required"),
        ("start retry --attention yes --reason because", 2, "invalid choice"),
        ("start retry --state stuck --reason because", 2, "invalid choice"),
        ("start retry --attention any --reason because --waves 1,x", 2, "write 1,5,25, or none"),
        ("start retry --attention any --reason because --waves 0", 1, "waves: must be"),
        ("start retry --attention any --reason because --per-second x", 2, "invalid float"),
        ("start retry --attention any --reason because --per-second nan", 1, "per_second: must be"),
        ("start retry --attention any --reason because --stop-above x", 2, "write 20, or never"),
        ("start retry --attention any --reason because --stop-above 100", 1, "stop_above: must be"),
        ("start retry --attention any --reason because --seen-at noon", 2, "a moment with a time zone"),
        ("start restart --attention any --reason because", 1, "No saga matches"),
    ],
)
def test_what_the_command_line_is_asked_wrongly(
    run: Run, three: list[str], words: str, code: int, says: str
) -> None:
    ended = run("batch", *words.split())
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert not Batch.objects.exists()


def test_more_than_a_dry_run_told_of_are_refused(api: Api, run: Run, three: list[str]) -> None:
    assert_problem(api.post(**{**RETRY, "at_most": 2}), 409, says="3 sagas match by now, more than the 2")
    told = run("batch", "start", "retry", "--attention", "any", "--reason", "x", "--at-most", "2")
    assert (told.code, "3 sagas match by now, more than the 2 that you saw" in told.err) == (1, True)
    assert api.begin(at_most=3)["total"] == 3
