"""Many sagas at once, on the desk: offered below a filter, previewed, begun, watched, paused and cancelled."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sagas import orchestrator
from sagas.engine import Pump, carry_on
from sagas.models import Batch, BatchItem, Saga
from sagas.orchestrator import Course
from tests.sagas import shop
from tests.sagas.batches.carrying import Ask
from tests.sagas.pages import text, words
from tests.sagas.running import run

pytestmark = pytest.mark.django_db(transaction=True)

NEW = reverse("saga-batch-new", args=["retry"])
ASKING = {"attention": "any"}
#: What the form sends as it comes.
SENT = {
    "list": "attention=any",
    "waves": "1, 5, 25",
    "per_second": "10",
    "stop_above": "20",
    "reason": "it is back",
}


@pytest.fixture
def begun(held: Any, asked: Ask) -> Callable[..., Batch]:
    """Begin a batch on so many sagas."""

    def begin(count: int, course: Course | None = None, **more: Any) -> Batch:
        held(count)
        course = course or Course(waves=(), per_second=20, stop_above=None)
        sagas = Saga.objects.all()
        return orchestrator.start_batch("retry", sagas, asked(**more), course, filters=ASKING).batch

    return begin


def someone(client: Client, *permissions: str) -> Client:
    """Log somebody in who has these permissions only."""
    user = get_user_model().objects.create_user("otto")
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def at(batch: Batch, verb: str = "") -> str:
    return (
        reverse("saga-batch-verb", args=[batch.pk, verb]) if verb else reverse("saga-batch", args=[batch.pk])
    )


# --- offered


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ({"attention": "any"}, ["Retry all…", "Roll back all…"]),
        ({"state": "pending"}, ["Retry all…", "Roll back all…"]),
        ({"state": "compensating", "type": "Errand"}, ["Retry all…"]),
        ({"state": "failed"}, ["Restart all…"]),
        ({}, []),
        ({"attention": "nonsense"}, []),
    ],
)
def test_what_all_that_match_are_offered(
    desk: Client, held: Any, errand: Any, query: dict[str, str], labels: list[str]
) -> None:
    held(1)
    for state, attention in (("failed", None), ("compensating", "compensation_failed")):
        saga = errand()
        ended = saga.created_at if state == "failed" else None
        Saga.objects.filter(pk=saga.pk).update(state=state, attention=attention, finished_at=ended)
    assert re.findall(r">([^<>]+ all…)<", text(desk.get(reverse("saga-list"), query))) == labels


def test_the_offer_leads_to_the_preview_with_the_same_filters(desk: Client, held: Any) -> None:
    held(1)
    listed = text(desk.get(reverse("saga-list"), {"attention": "held", "correlation": "a&b"}))
    assert "all…" not in listed  # nothing matches
    listed = text(desk.get(reverse("saga-list"), {"attention": "held", "type": "Errand"}))
    assert f'href="{NEW}?type=Errand&amp;attention=held"' in listed


def test_it_is_offered_to_who_may(client: Client, held: Any) -> None:
    held(1)
    assert "all…" not in text(someone(client, "view_saga", "retry_saga").get(reverse("saga-list"), ASKING))
    user = get_user_model().objects.get(username="otto")
    user.user_permissions.add(Permission.objects.get(codename="run_batch"))
    assert re.findall(r">([^<>]+ all…)<", text(client.get(reverse("saga-list"), ASKING))) == ["Retry all…"]


# --- previewed, and begun


def test_the_preview_says_what_it_will_do_and_changes_nothing(desk: Client, held: Any) -> None:
    held(40)
    response = desk.get(NEW, ASKING)
    assert response.status_code == 200
    shown = words(response)
    for told in (
        "Retry 40 sagas",
        "attention any",
        "first 1, then 5, then 25, then the other 9, at most 10 a second.",
        "Errand pending pay held 40",
        "What it will do to the first 5, one by one",
        "PayService.Pay is called for pay, under a new key.",
    ):
        assert told in shown
    assert not Batch.objects.exists()


def test_a_batch_is_begun_once_and_as_it_was_typed(desk: Client, held: Any) -> None:
    held(2)
    seen = re.search(r'name="seen_at" value="([^"]+)"', text(desk.get(NEW, ASKING)))
    assert seen is not None
    sent = {**SENT, "waves": "2 3", "stop_above": "", "action_id": "one", "seen_at": seen[1]}
    first = desk.post(NEW, sent)
    (batch,) = Batch.objects.all()
    assert (first.status_code, first.headers["Location"]) == (302, at(batch))
    assert (batch.waves, batch.per_second, batch.stop_above, batch.total) == ([2, 3], 10, None, 2)
    assert (batch.filters, batch.reason, batch.via) == (ASKING, "it is back", "desk")
    assert desk.post(NEW, sent).headers["Location"] == at(batch)
    assert Batch.objects.count() == 1


def test_looking_again_keeps_what_was_typed(desk: Client, held: Any) -> None:
    held(3)
    shown = text(desk.post(NEW, {**SENT, "waves": "1,1", "preview": "1"}))
    assert "first 1, then 1, then the other 1, at most" in shown
    assert 'name="waves" value="1,1"' in shown
    assert ">it is back</textarea>" in shown
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ({"waves": "1, x"}, "waves must be numbers, such as 1, 5, 25, not 'x'"),
        ({"waves": "0"}, "waves must be whole numbers from 1 to 10000"),
        ({"per_second": "fast"}, "per second must be a number, not 'fast'"),
        ({"per_second": "1e9"}, "per second must be from 0.01 to 20"),
        ({"per_second": ""}, "per second must be a number, not ''"),
        ({"stop_above": "120"}, "stop above must be a percentage from 0 to 99, or left out"),
        ({"reason": " "}, "A reason is required"),
        ({"reason": "x" * 2001}, "A reason must be at most 2000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_and_what_was_typed_stays(
    desk: Client, held: Any, typed: dict[str, str], problem: str
) -> None:
    held(1)
    response = desk.post(NEW, {**SENT, **typed})
    assert response.status_code == 422
    assert problem in words(response).replace("&#x27;", "'")
    for name in typed.keys() - {"reason"}:
        assert f'name="{name}" value="{typed[name]}"' in text(response)
    assert not Batch.objects.exists()


@pytest.mark.parametrize("seen_at", ["yesterday", "2026-13-45T00:00:00+00:00", "9999-01-01T12:00:00"])
def test_a_time_of_the_preview_that_is_none_is_passed_over(desk: Client, held: Any, seen_at: str) -> None:
    held(1)
    assert desk.post(NEW, {**SENT, "seen_at": seen_at}).status_code == 302


def test_what_has_moved_since_the_preview_is_told(desk: Client, held: Any, asked: Ask) -> None:
    (saga,) = held(1)
    seen = re.search(r'name="seen_at" value="([^"]+)"', text(desk.get(NEW, ASKING)))
    assert seen is not None
    orchestrator.act(saga.pk, "pause", asked())
    response = desk.post(NEW, {**SENT, "seen_at": seen[1]})
    assert response.status_code == 409
    told = "No saga matches that asks for a person and can be retried, or each has moved since you looked."
    assert f"Nothing was done. {told}" in words(response)
    assert ">it is back</textarea>" in text(response)


def test_more_than_were_shown_are_told(desk: Client, held: Any) -> None:
    held(2)
    response = desk.post(NEW, {**SENT, "total": "1"})
    assert response.status_code == 409
    assert "2 sagas match by now, more than the 1 that you saw: look again." in words(response)
    assert 'name="total" value="2"' in text(response)
    assert desk.post(NEW, {**SENT, "total": "x"}).status_code == 302


def test_nothing_that_matches_can_be_begun(desk: Client, world: shop.World) -> None:
    response = desk.get(NEW, ASKING)
    assert response.status_code == 200
    assert "No saga matches that asks for a person" in words(response)
    assert 'id="do"' not in text(response)


@pytest.mark.parametrize("query", [{}, {"attention": "nonsense"}])
def test_without_a_filter_it_leads_back_to_the_list(desk: Client, query: dict[str, str]) -> None:
    response = desk.get(NEW, query, follow=True)
    assert "Say first which sagas: choose a filter." in text(response)
    assert response.redirect_chain[0][0].startswith(reverse("saga-list"))


def test_who_may_not_is_told(client: Client, held: Any) -> None:
    held(1)
    someone(client, "view_saga", "retry_saga")
    response = client.get(NEW, ASKING)
    assert (response.status_code, "sagas.run_batch" in text(response)) == (403, True)
    assert client.post(NEW, SENT).status_code == 403
    assert not Batch.objects.exists()


def test_only_some_verbs_are_for_many(desk: Client) -> None:
    assert desk.get("/batches/new/resolve/", ASKING).status_code == 404


# --- watched


def test_how_far_it_is(desk: Client, begun: Any, pump: Pump, world: shop.World) -> None:
    batch = begun(4, Course(waves=(1,), per_second=20, stop_above=None), reason="it is <back>")
    assert "Wave 1 of 2: 0 of 1 had their turn." in words(desk.get(at(batch)))
    carry_on()
    shown = desk.get(at(batch))
    assert "Wave 1 of 2: all 1 had their turn; it is not known yet what came of 1." in words(shown)
    assert "by olga , through desk" in words(shown)
    assert "it is &lt;back&gt;" in text(shown)
    assert f'href="{reverse("saga-list")}?attention=any"' in text(shown)
    for verb in ("pause", "release", "cancel"):
        assert f'href="{at(batch, verb)}"' in text(shown)
    run(pump)
    for _ in range(2):
        Batch.objects.update(per_second=1e9, next_at=batch.created_at)
        carry_on()
    world.behaviour["PayService.Pay"] = shop.reject("the bank is <closed>")
    run(pump)
    carry_on()
    shown = desk.get(at(batch))
    assert "All had their turn." in words(shown)
    assert "1 went well 3 went wrong 0 left alone 0 under way 0 to come" in words(shown)
    assert "pay: held: the bank is &lt;closed&gt;" in text(shown)
    assert 'aria-label="1 went well, 3 went wrong, 0 left alone, 0 under way, 0 to come"' in text(shown)
    assert '<rect class="batch-bar__well" x="0" width="250" height="8"/>' in text(shown)
    assert '<rect class="batch-bar__failed" x="250" width="750" height="8"/>' in text(shown)
    assert at(batch, "cancel") not in text(shown)


def test_what_came_of_each_is_filtered_and_turned_page_by_page(desk: Client, begun: Any) -> None:
    batch = begun(60)
    BatchItem.objects.filter(position__in=[3, 55]).update(state="failed", text="no")
    shown = desk.get(at(batch))
    assert len(re.findall(r'<td class="num">\d+</td>', text(shown))) == 50
    following = re.search(r'rel="next" href="([^"]+)"', text(shown))
    assert following is not None
    further = desk.get(at(batch) + following[1].replace("&amp;", "&"))
    assert len(re.findall(r'<td class="num">\d+</td>', text(further))) == 10
    failed = desk.get(at(batch), {"state": "failed"})
    assert re.findall(r'<td class="num">(\d+)</td>', text(failed)) == ["4", "56"]
    assert "None stand so." in words(desk.get(at(batch), {"state": "refused"}))
    for nonsense in ({"state": "x"}, {"after": "x"}, {"after": "9" * 30}):
        assert desk.get(at(batch), nonsense).status_code == 200


def test_a_saga_that_is_gone_is_named(desk: Client, begun: Any) -> None:
    batch = begun(1)
    (item,) = batch.items.all()
    Saga.objects.all().delete()
    assert f"{item.saga_id}, pruned" in words(desk.get(at(batch)))


def test_the_list_of_batches(desk: Client, begun: Any, held: Any) -> None:
    assert "No verb was used on many sagas yet." in words(desk.get(reverse("saga-batches")))
    batch = begun(2)
    shown = words(desk.get(reverse("saga-batches")))
    assert f"{batch.pk}: Retry running" in shown
    assert "olga because" in shown


@pytest.mark.parametrize("page", ["saga-batches", "saga-batch"])
def test_a_page_takes_as_many_queries_whatever_there_is(desk: Client, begun: Any, page: str) -> None:
    def queries() -> int:
        newest = Batch.objects.latest("pk")
        with CaptureQueriesContext(connection) as taken:
            desk.get(at(newest) if page == "saga-batch" else reverse(page))
        return len(taken)

    begun(2)
    queries()
    few = queries()
    for _ in range(3):
        begun(5)
    assert queries() == few


def test_every_page_names_what_runs_or_is_paused(desk: Client, begun: Any, asked: Ask) -> None:
    batch = begun(2)
    shown = words(desk.get(reverse("saga-overview")))
    assert f"Batch {batch.pk} , retry of 2 sagas for olga, is running." in shown
    assert 'sagadesk_batches{state="running"} 1' in desk.get(reverse("saga-metrics")).content.decode()
    Batch.objects.update(state=Batch.PAUSED, verb="compensate", note="2 of 2 went <wrong>.")
    assert "roll back of 2 sagas for olga, is paused" in words(desk.get(reverse("saga-audit")))
    assert "is paused: 2 of 2 went &lt;wrong&gt;." in words(desk.get(reverse("saga-list")))
    orchestrator.act_on_batch(batch.pk, "cancel", asked())
    assert "Batch" not in words(desk.get(reverse("saga-overview"))).replace("Batches", "")


def test_the_audit_trail_leads_to_the_batch(desk: Client, begun: Any) -> None:
    batch = begun(1)
    carry_on()
    shown = desk.get(reverse("saga-audit"))
    assert "start batch : retry of 1" in words(shown).replace("batch:", "batch :")
    assert f'<a href="{at(batch)}">batch {batch.pk}</a>' in text(shown)
    assert f"desk, batch {batch.pk}" in words(shown)
    (saga,) = Saga.objects.all()
    assert f"desk, batch {batch.pk}" in words(desk.get(reverse("saga-detail", args=[saga.pk])))
    assert words(desk.get(reverse("saga-audit"), {"verb": "start_batch"})).count(f"batch {batch.pk}") == 1
    address = at(batch)
    batch.delete()
    assert f'<a href="{address}">' in text(desk.get(reverse("saga-audit")))
    gone = desk.get(address)
    assert (gone.status_code, "it may have been pruned" in text(gone)) == (404, True)


# --- paused, resumed, released and cancelled


def test_what_is_done_to_a_batch_is_said_before(desk: Client, begun: Any) -> None:
    batch = begun(2)
    shown = desk.get(at(batch, "pause"))
    assert "No further saga has its turn. What was begun goes on." in words(shown)
    sent = {"reason": "wait for the bank", "action_id": "one"}
    done = desk.post(at(batch, "pause"), sent, follow=True)
    assert "Pause: done." in words(done)
    assert "Paused: no further saga has its turn." in words(done)
    assert "Pause: already done." in words(desk.post(at(batch, "pause"), sent, follow=True))
    refused = desk.post(at(batch, "pause"), {"reason": "mine"})
    assert refused.status_code == 409
    assert "Nothing was done. The batch is paused already." in words(refused)
    assert "<q>mine</q>" in text(refused)
    assert desk.get(at(batch, "pause")).status_code == 409
    desk.post(at(batch, "cancel"), {"reason": "enough"})
    carry_on()
    assert "Cancelled: 2 had no turn." in words(desk.get(at(batch)))


def test_a_reason_is_needed(desk: Client, begun: Any) -> None:
    batch = begun(1)
    response = desk.post(at(batch, "pause"), {"reason": ""})
    assert response.status_code == 422
    assert "A reason is required" in words(response)
    response = desk.post(at(batch, "pause"), {"reason": "x" * 2001})
    assert response.status_code == 422
    assert "A reason must be at most 2000 characters" in words(response)
    batch.refresh_from_db()
    assert batch.state == Batch.RUNNING


def test_an_action_id_of_something_else_is_told(desk: Client, begun: Any) -> None:
    batch = begun(1, action_id="one")
    response = desk.post(at(batch, "pause"), {"reason": "x", "action_id": "one"})
    assert response.status_code == 422
    assert f"action id was already used, to start batch {batch.pk}" in words(response)


def test_who_may_only_look_can_do_nothing_to_it(client: Client, begun: Any) -> None:
    batch = begun(1)
    someone(client, "view_saga", "retry_saga")
    shown = text(client.get(at(batch)))
    assert "Your account lacks the permission sagas.run_batch." in shown
    assert at(batch, "pause") not in shown
    assert client.get(at(batch, "pause")).status_code == 403
    assert client.post(at(batch, "pause"), {"reason": "x"}).status_code == 403


@pytest.mark.parametrize("verb", ["resume", "release"])
def test_who_may_run_batches_but_not_this_verb_is_told_what_he_lacks(
    client: Client, begun: Any, asked: Ask, verb: str
) -> None:
    batch = begun(2)
    if verb == "resume":
        orchestrator.act_on_batch(batch.pk, "pause", asked())
    else:
        batch.items.update(state=BatchItem.ACTED)
    someone(client, "view_saga", "run_batch")
    shown = client.get(at(batch))
    assert "Your account lacks the permission sagas.retry_saga." in words(shown)
    assert at(batch, verb) not in text(shown)
    assert at(batch, "cancel") in text(shown)
    for refused in (client.get(at(batch, verb)), client.post(at(batch, verb), {"reason": "x"})):
        assert (refused.status_code, "sagas.retry_saga" in text(refused)) == (403, True)


@pytest.mark.parametrize("path", ["/batches/4711/", "/batches/4711/pause/", f"/batches/{'9' * 30}/"])
def test_there_is_no_such_batch(desk: Client, path: str) -> None:
    assert desk.get(path).status_code == 404
