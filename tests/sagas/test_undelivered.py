"""Hooks and subscribers that keep failing are named where an operator looks."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from sagas import registry, subscribe
from sagas.clock import database_now
from sagas.dashboard import overview
from sagas.engine import Pump
from sagas.models import Due, Saga
from sagas.orchestrator import outbox
from sagas.undelivered import Undelivered, undelivered
from tests.sagas import shop

pytestmark = pytest.mark.django_db(transaction=True)


class Bitter(shop.Errand):
    saga_type = "Bitter"

    def on_saga_completed(self, saga: Any) -> None:
        raise KeyError("customer")


@pytest.fixture(autouse=True)
def letters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscribe a function that never takes anything, on a queue of its own."""
    monkeypatch.setattr(registry, "_subscribers", {})

    @subscribe("BitterCompleted", name="letters", queue="post")
    def write(event: Any) -> None:
        raise RuntimeError("no paper")


def fail(pump: Pump, times: int) -> None:
    for _ in range(times):
        Due.objects.filter(kind=Due.DELIVERY).update(due_at=database_now())
        pump.run(20)


def ended(pump: Pump) -> Saga:
    saga = Bitter().start({"item": "book"})
    pump.run(20)  # a first attempt of each delivery is among it
    return saga


def test_a_first_hiccup_is_not_told_of(world: shop.World, pump: Pump) -> None:
    ended(pump)
    fail(pump, 1)
    assert Due.objects.filter(kind=Due.DELIVERY, attempt=3).count() == 2
    assert undelivered() == []


def test_what_keeps_failing_is_told_with_its_latest_error(world: shop.World, pump: Pump) -> None:
    before = database_now()
    for _ in range(2):
        ended(pump)
    fail(pump, 2)
    letters, hook = sorted(undelivered(), key=lambda each: each.called, reverse=True)
    assert (hook.called, hook.count, hook.attempts) == ("Bitter.on_saga_completed", 2, 3)
    assert (letters.called, letters.text, letters.attempts) == ("letters on BitterCompleted", "2", 3)
    assert "RuntimeError: no paper" in letters.error
    assert abs(letters.since - before) < timedelta(minutes=1)
    assert str(letters).startswith(
        "2 deliveries to letters on BitterCompleted keep failing, in up to 3 attempts"
    )


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 0), (2, 1), (4, 7), (10, 511), (12, 1111), (30, 6511)])
def test_how_long_a_delivery_has_waited_follows_from_its_attempts(attempt: int, seconds: float) -> None:
    assert outbox.waited(attempt) == sum(outbox.wait_after(each) for each in range(1, attempt)) == seconds


def rows(saga: Saga, times: int, **given: Any) -> None:
    ahead = database_now() + timedelta(minutes=3)
    values: dict[str, Any] = {
        "queue": "events",
        "name": "hook",
        "event": "BitterCompleted",
        "due_at": ahead,
        **given,
    }
    Due.objects.bulk_create(Due(kind=Due.DELIVERY, saga=saga, **values) for _ in range(times))


def test_one_query_by_the_indexes_tells_it_and_a_backlog_is_not_read(
    errand: Callable[..., Saga], monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = errand()
    monkeypatch.setattr("sagas.undelivered.MOST", 10)
    rows(saga, 3, attempt=5, error="broke")
    rows(saga, 20, due_at=database_now())  # nobody has tried them
    undelivered()  # the offset of the database's clock is known by now
    with CaptureQueriesContext(connection) as few:
        assert [(each.text, each.error) for each in undelivered()] == [("3", "broke")]
    rows(saga, 20, attempt=5, error="broke")
    with CaptureQueriesContext(connection) as many:
        assert [each.text for each in undelivered()] == ["10+"]
    assert len(few) == len(many)
    plan = _plan(few.captured_queries[-1]["sql"])
    assert "due_free" in plan
    assert re.search(r"\bqueue\b[^A-Z]{0,12}=", plan), (
        "of the queues that have deliveries, and not of all that waits"
    )
    assert "due_leased" in plan or "due_by_token" in plan


def test_it_never_began_in_times_to_come(errand: Callable[..., Saga]) -> None:
    rows(errand(), 1, attempt=4, due_at=database_now() + timedelta(hours=3))
    (found,) = undelivered()
    assert found.since <= database_now()


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with transaction.atomic():
                cursor.execute("SET LOCAL enable_seqscan = off")
                cursor.execute(f"EXPLAIN {sql}")
                return "\n".join(str(row) for row in cursor.fetchall())
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(str(row) for row in cursor.fetchall())


@pytest.fixture
def looking(client: Client, operator: Any) -> Iterator[Client]:
    client.force_login(operator)
    overview.failing.forget()  # type: ignore[attr-defined]
    yield client
    overview.failing.forget()  # type: ignore[attr-defined]


def test_the_overview_the_metrics_and_the_check_name_it(
    errand: Callable[..., Saga], looking: Client, run: Any
) -> None:
    assert "keep failing" not in looking.get("/").content.decode()
    overview.failing.forget()  # type: ignore[attr-defined]
    rows(errand(), 3, attempt=5, error="KeyError: 'customer' (shop.py:4, in notify)")
    page = looking.get("/").content.decode()
    assert "Deliveries keep failing" in page
    assert "deliveries to <b>Bitter.on_saga_completed</b> keep failing" in page
    assert "the last with KeyError: &#x27;customer&#x27; (shop.py:4, in notify)" in page
    metrics = looking.get("/metrics").content.decode()
    assert 'sagadesk_undelivered{called="Bitter.on_saga_completed"} 3' in metrics
    code, _, said = run("check")
    assert "To be looked at: 3 deliveries to Bitter.on_saga_completed keep failing" in said
    assert code == 0, "it keeps no deploy from mending it"


def test_the_page_of_queues_names_the_same_with_some_of_their_sagas(
    errand: Callable[..., Saga], looking: Client
) -> None:
    saga, other = errand(), errand()
    Saga.objects.filter(pk=saga.pk).update(correlation_id="an-order")
    rows(other, 3, attempt=3, error="a hiccup")
    assert "keep failing" not in looking.get("/queues/").content.decode()
    overview.failing.forget()  # type: ignore[attr-defined]
    rows(saga, 4, attempt=5, error="KeyError: <customer>")
    with CaptureQueriesContext(connection) as taken:
        page = " ".join(looking.get("/queues/").content.decode().split())
    assert '<th scope="row">Bitter.on_<wbr>saga_<wbr>completed</th><td class="num">4</td>' in page
    assert "KeyError: &lt;customer&gt;" in page
    assert page.count(f'href="/sagas/{saga.pk}/" title="an-order">an-order</a>') == 3
    assert str(other.pk) not in page
    reads = [each["sql"] for each in taken.captured_queries if '"attempt" >' in each["sql"]]
    assert len(reads) == 1, "what the overview reads, by its indexes"


def test_one_delivery_is_told_of_as_one() -> None:
    one = Undelivered("letters on X", 1, False, 4, database_now(), "no paper")
    assert str(one).startswith("1 delivery to letters on X keeps failing, in up to 4 attempts since 20")
