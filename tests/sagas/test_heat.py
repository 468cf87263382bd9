"""How a type's steps have done: over its newest sagas, what went wrong where, and how long each took."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sagas import orchestrator
from sagas.dashboard import heat
from sagas.dashboard.heat import Share, heat_of
from sagas.engine import Pump
from sagas.models import Saga, Step
from tests.sagas import shop
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)


def _of(name: str, seen: heat.Heat | None) -> heat.Fared:
    assert seen is not None
    return next(step for step in seen.steps if step.name == name)


def _trouble(step: heat.Fared) -> dict[str, int]:
    return {share.what: share.count for share in step.trouble if share.count}


def test_of_a_type_without_sagas_nothing_is_said() -> None:
    assert heat_of("Errand") is None


def test_what_went_wrong_is_counted_in_sagas_at_the_step_where_it_did(
    errand: Callable[..., Saga], pump: Pump, world: shop.World
) -> None:
    rest(pump, errand())
    world.behaviour |= {"PostService.Post": shop.reject("no post"), "PayService.Refund": shop.fail()}
    rest(pump, errand())
    world.behaviour["FetchService.Fetch"] = shop.reject("sold out")
    held = rest(pump, errand(hold=True))
    seen = heat_of("Errand")
    assert seen is not None
    assert (seen.sagas, seen.more) == (3, 0)
    assert [step.name for step in seen.steps] == ["fetch", "pay", "post"], "as they stand in the saga"
    assert [step.sagas for step in seen.steps] == [3, 2, 2]
    fetch, pay, post = seen.steps
    assert _trouble(fetch) == {"rejected": 1, "asked for a person": 1}
    assert _trouble(pay) == {"undo tried again": 1, "asked for a person": 1}
    assert _trouble(post) == {"rejected": 1}
    assert (fetch.asks, pay.asks, post.asks) == (1, 1, 0)
    assert held.attention == "held"


def test_how_long_steps_took_is_of_those_that_were_completed(errand: Callable[..., Saga], pump: Pump) -> None:
    sagas = [rest(pump, errand()) for _ in range(4)]
    for saga, seconds in zip(sagas, (1, 2, 3, 40), strict=True):
        step = Step.objects.get(saga=saga, name="pay")
        Step.objects.filter(pk=step.pk).update(executed_at=step.dispatched_at + timedelta(seconds=seconds))
    Step.objects.filter(name="post").update(executed_at=None)
    pay, post = _of("pay", heat_of("Errand")), _of("post", heat_of("Errand"))
    assert (pay.p50, pay.p95) == (2.0, 40.0)
    assert (pay.typical, pay.slow) == (5, 100)
    assert (post.p50, post.p95, post.typical, post.slow) == (None, None, 0, 0)


def test_only_the_newest_are_looked_at_and_only_the_steps_of_most(
    monkeypatch: pytest.MonkeyPatch, errand: Callable[..., Saga], pump: Pump, world: shop.World
) -> None:
    monkeypatch.setattr(heat, "NEWEST", 2)
    monkeypatch.setattr(heat, "MOST", 1)
    rest(pump, errand())
    world.behaviour["PayService.Pay"] = shop.reject("broke")
    newest = [rest(pump, errand()) for _ in range(2)]
    seen = heat_of("Errand")
    assert seen is not None
    assert (seen.sagas, [step.name for step in seen.steps], seen.more) == (2, ["fetch"], 1)
    assert seen.since == min(saga.created_at for saga in newest)


def test_more_sagas_are_not_more_queries(errand: Callable[..., Saga], pump: Pump) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            heat_of("Errand")
        return len(queries)

    rest(pump, errand())
    one = asked()
    for _ in range(5):
        rest(pump, errand())
    assert asked() == one == 4


@pytest.mark.parametrize(
    ("count", "of", "percent", "shade"),
    [
        (0, 500, "0 %", 0),
        (1, 500, "0.2 %", 1),
        (10, 500, "2.0 %", 1),
        (11, 500, "2.2 %", 2),
        (60, 500, "12 %", 3),
    ],
)
def test_a_share_stands_out_the_more_the_greater_it_is(count: int, of: int, percent: str, shade: int) -> None:
    share = Share("rejected", count, of)
    assert (share.percent, share.shade) == (percent, shade)


def test_the_types_page_leads_to_what_asks_there(
    client: Client, operator: Any, errand: Callable[..., Saga], world: shop.World
) -> None:
    held, other = errand(hold=True), errand(hold=True)
    orchestrator.step_failed(held.pk, "fetch", "sold out")
    client.force_login(operator)
    page = client.get(reverse("saga-type-detail", args=["Errand"])).content.decode()
    assert "How its steps have done" in page
    assert "1 now" in page
    assert "50 %" in page
    link = "/sagas/?type=Errand&amp;step=fetch&amp;attention=any"
    assert link in page
    listed = client.get(link.replace("&amp;", "&"))
    assert [row.saga.pk for row in listed.context["rows"]] == [held.pk]
    assert str(other.pk) not in listed.content.decode()
