"""The same filters at the desk, by the API and in a shell: each is asked for the same, and finds the same."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from django.urls import reverse

from sagas import orchestrator
from sagas.matching import Wanted, first_id_at
from sagas.models import Batch, Saga, Token
from sagas.orchestrator import batch_plan
from tests.shell import Run

pytestmark = pytest.mark.django_db

Find = Callable[[Mapping[str, str]], set[str]]


@pytest.fixture
def known(errand: Callable[..., Saga], asked: Any) -> dict[str, Saga]:
    """One that is held, one that is paused, and one that is done."""

    def start(name: str, **data: Any) -> Saga:
        return orchestrator.start("Errand", {"item": "book", **data}, correlation_id=name).saga

    held, paused, done = start("ERR-1", hold=True, order_id="A-1"), start("ERR-2"), start("DONE")
    orchestrator.step_completed(held.pk, "fetch")
    orchestrator.step_failed(held.pk, "pay", "broke")
    orchestrator.act(paused.pk, "pause", asked())
    for step in ("fetch", "pay", "post"):
        orchestrator.step_completed(done.pk, step)
    return {"held": held, "paused": paused, "done": done}


@pytest.fixture
def by_desk(client: Client, operator: Any) -> Find:
    client.force_login(operator)

    def find(query: Mapping[str, str]) -> set[str]:
        page = client.get(reverse("saga-list"), query)
        assert page.status_code == 200
        return {str(row.saga.pk) for row in page.context["rows"]}

    return find


@pytest.fixture
def by_api(operator: Any) -> Find:
    client = Client(headers={"Authorization": f"Bearer {Token.issue(operator)}"})
    return lambda query: {each["id"] for each in client.get("/api/v1/sagas", query).json()["items"]}


@pytest.fixture
def by_shell(run: Run) -> Find:
    def option(name: str, value: str) -> list[str]:
        if name == "paused":
            return ["--paused"]
        if name.startswith("data."):
            return ["--data", f"{name.removeprefix('data.')}={value}"]
        return [f"--{name.replace('_', '-')}", value]

    def find(query: Mapping[str, str]) -> set[str]:
        ended = run("list", *(word for name, value in query.items() for word in option(name, value)))
        assert ended.code == 0, ended.err
        return set(ended.out.split())

    return find


@pytest.mark.parametrize("face", ["by_desk", "by_api", "by_shell"])
@pytest.mark.parametrize(
    ("query", "finds"),
    [
        ({"state": "completed"}, {"done"}),
        ({"type": "Errand"}, {"held", "paused", "done"}),
        ({"type": "Other"}, set()),
        ({"attention": "any"}, {"held"}),
        ({"attention": "none"}, {"paused", "done"}),
        ({"attention": "held"}, {"held"}),
        ({"attention": "retries_spent"}, set()),
        ({"attention": "held", "step": "pay"}, {"held"}),
        ({"attention": "held", "step": "fetch"}, set()),
        ({"attention": "any", "step": "fetch"}, set()),
        ({"step": "fetch"}, {"held", "paused", "done"}),
        ({"step": "wrap"}, set()),
        ({"waiting": "any"}, set()),
        ({"waiting": "timer"}, set()),
        ({"paused": "1"}, {"paused"}),
        ({"queue": "nowhere"}, set()),
        ({"correlation_id": "ERR-1"}, {"held"}),
        ({"correlation_id": "ERR-"}, set()),
        ({"correlation": "ERR-"}, {"held", "paused"}),
        ({"since": "2020-01-01T00:00:00+00:00"}, {"held", "paused", "done"}),
        ({"since": "2999-01-01T00:00:00+00:00"}, set()),
        ({"until": "2020-01-01T00:00:00+00:00"}, set()),
        ({"data.order_id": "A-1"}, {"held"}),
        ({"data.order_id": "A-1", "state": "completed"}, set()),
    ],
)
def test_each_face_finds_the_same(
    request: pytest.FixtureRequest,
    known: Mapping[str, Saga],
    face: str,
    query: Mapping[str, str],
    finds: set[str],
) -> None:
    assert request.getfixturevalue(face)(query) == {str(known[name].pk) for name in finds}


@pytest.mark.parametrize("face", ["by_desk", "by_api", "by_shell"])
def test_each_finds_by_how_an_id_begins_and_by_what_waits_on_a_queue(
    request: pytest.FixtureRequest, known: Mapping[str, Saga], errand: Callable[..., Saga], face: str
) -> None:
    find, waits = request.getfixturevalue(face), errand()
    done = str(known["done"].pk)
    assert find({"id": done}) == {done}
    assert find({"id": done[:6]}) >= {done}
    assert find({"queue": "fetch"}) == {str(waits.pk)}


def test_a_code_finds_whatever_step_asks_with_it_also_beside_a_more_urgent_one(
    known: Mapping[str, Saga], by_desk: Find, by_api: Find, by_shell: Find
) -> None:
    held = known["held"]
    held.steps.filter(name="fetch").update(attention="late_effect")
    Saga.objects.filter(pk=held.pk).update(attention="late_effect")
    for find in (by_desk, by_api, by_shell):
        assert find({"attention": "held"}) == find({"attention": "late_effect"}) == {str(held.pk)}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "state=stuck",
            "state must be one of started, pending, compensating, completed, failed, not 'stuck'.",
        ),
        ("attention=yes", "attention must be one of any, none, held"),
        ("waiting=long", "waiting must be one of any, approval"),
        ("id=xyz", "id must be four hexadecimal digits or more, as an id begins, not 'xyz'."),
        ("since=noon", "since must be a moment, such as 2026-12-24T18:00, not 'noon'."),
        ("until=noon", "until must be a moment"),
        ("paused=maybe", "paused must be 1 or 0, not 'maybe'."),
    ],
)
def test_the_desk_says_what_would_be_right(client: Client, operator: Any, query: str, says: str) -> None:
    client.force_login(operator)
    page = client.get(f"{reverse('saga-list')}?{query}")
    assert page.status_code == 400
    assert says in page.content.decode().replace("&#x27;", "'")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"id": "xyz"}, "id"),
        ({"since": "2026-12-24T18:00"}, "since"),
        ({"until": "noon"}, "until"),
        ({"paused": "maybe"}, "paused"),
        ({"waiting": "long"}, "waiting"),
        ({"step": "x" * 101}, "step"),
    ],
)
def test_the_api_names_the_field_that_is_wrong(operator: Any, query: Mapping[str, str], field: str) -> None:
    client = Client(headers={"Authorization": f"Bearer {Token.issue(operator)}"})
    refused = client.get("/api/v1/sagas", query)
    assert (refused.status_code, refused.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--id", "xyz"), "four hexadecimal digits or more"),
        (("--since", "noon"), "a moment with a time zone"),
        (("--data", "order_id"), "write PATH=VALUE"),
        (("--data", "colour=red"), "colour is not searchable; the setting SEARCHABLE names order_id"),
        (("--waiting", "long"), "long"),
    ],
)
def test_the_shell_says_what_would_be_right(run: Run, words: tuple[str, ...], says: str) -> None:
    ended = run("list", *words)
    assert ended.code == 2
    assert says in ended.err


def test_a_batch_says_for_which_it_was_begun_and_its_page_leads_there(
    client: Client, operator: Any, known: Mapping[str, Saga], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    words = ("--attention", "held", "--step", "pay", "--correlation-id", "ERR-1", "--since", since)
    begun = run("batch", "start", "retry", *words, "--data", "order_id=A-1", "--reason", "restocked")
    assert begun.code == 0, begun.err
    batch = Batch.objects.get(pk=int(begun.out))
    assert batch.filters == {
        "attention": "held",
        "step": "pay",
        "correlation_id": "ERR-1",
        "since": since,
        "data.order_id": "A-1",
    }
    client.force_login(operator)
    page = client.get(reverse("saga-batch", args=[batch.pk]))
    listed = client.get(page.context["which"])
    assert [row.saga.pk for row in listed.context["rows"]] == [known["held"].pk]


def test_what_is_not_asked_for_is_not_named() -> None:
    assert Wanted().named() == {}
    assert Wanted(paused=False, data={"order_id": ""}).named() == {"paused": False, "data.order_id": ""}


def test_a_time_is_a_range_of_ids_also_before_there_were_any() -> None:
    early, late = datetime(1960, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    assert first_id_at(early) == UUID(int=0) < first_id_at(late)
