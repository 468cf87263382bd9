"""The desk's pages: who may see them, what they show, and that looking changes nothing."""

import re
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from sagas import SagaStep, drills, orchestrator
from sagas.clock import database_now
from sagas.core.definition import SagaDefinition
from sagas.core.ids import uuid7
from sagas.dashboard import overview, searching
from sagas.dashboard.formats import known_as
from sagas.dashboard.fragments import rendered_pages
from sagas.dashboard.log import LONGEST
from sagas.dashboard.versions import versions_of
from sagas.engine import Pump, claims
from sagas.models import Definition, Event, OperatorAction, Process, Saga
from tests.sagas import shop
from tests.sagas.pages import text, words
from tests.sagas.running import rest

pytestmark = pytest.mark.django_db(transaction=True)

PAGES = ["saga-overview", "saga-list", "saga-audit", "saga-type-list", "saga-queues"]


@pytest.fixture(autouse=True)
def fresh_figures() -> None:
    for figure in (overview.hour, overview.ended, overview.failing):
        figure.forget()  # type: ignore[attr-defined]


@pytest.fixture
def done(errand: Any, pump: Pump) -> Saga:
    return rest(pump, errand())


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_strangers_to_log_in(client: Client, name: str) -> None:
    response = client.get(reverse(name))
    assert (response.status_code, response.headers["Location"].split("?")[0]) == (302, reverse("login"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_refuses_who_may_not_see_sagas(client: Client, name: str, db: None) -> None:
    client.force_login(get_user_model().objects.create_user("nobody"))
    response = client.get(reverse(name))
    assert response.status_code == 403
    page = response.content.decode()
    assert "may not see sagas" in page
    nowhere = re.findall(r'href="(/[^"]*)"', page[page.index("<header") :])
    assert nowhere == [reverse("password_change")], "it leads nowhere that would be refused, too"
    assert 'role="search"' not in page


def test_a_page_that_is_not_there_leads_only_where_one_may_go(client: Client, db: None) -> None:
    client.force_login(get_user_model().objects.create_user("nobody"))
    assert "Search for it" not in text(client.get("/nothing-here/"))
    client.force_login(get_user_model().objects.create_superuser("olga"))
    page = text(client.get("/nothing-here/"))
    assert "Search for it" in page
    assert "To the overview" in page


@pytest.mark.parametrize("name", PAGES)
def test_a_page_needs_only_the_permission_to_see(client: Client, name: str, done: Saga) -> None:
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert client.get(reverse(name)).status_code == 200


def test_who_may_only_see_is_told_why_the_verbs_are_off(client: Client, held: Saga) -> None:
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    page = text(client.get(reverse("saga-detail", args=[held.pk])))
    assert "lacks the permission sagas.retry_saga" in page
    assert reverse("saga-verb", args=[held.pk, "retry"]) not in page
    line = "You may look, but not repair: your account lacks sagas.retry_saga or "
    assert line in page
    reader.user_permissions.add(Permission.objects.get(codename="retry_saga"))
    page = text(client.get(reverse("saga-detail", args=[held.pk])))
    assert "not repair" not in page, "some of it helps"


def test_who_may_only_see_is_not_told_so_of_a_saga_that_asks_for_nobody(client: Client, done: Saga) -> None:
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert "not repair" not in text(client.get(reverse("saga-detail", args=[done.pk])))


def test_of_a_saga_that_is_over_only_what_still_applies_is_offered(
    desk: Client, client: Client, done: Saga
) -> None:
    def buttons() -> str:
        page = desk.get(reverse("saga-detail", args=[done.pk])).content.decode()
        return page[page.index('data-region="verbs"') : page.index('aria-labelledby="h-steps"')]

    assert "button" not in buttons()
    Saga.objects.filter(pk=done.pk).update(state="failed")
    assert "button" not in buttons(), "the line above has it"
    assert 'id="why-restart"' in desk.get(reverse("saga-detail", args=[done.pk])).content.decode()
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert "lacks the permission sagas.restart_saga" in buttons()


def test_looking_at_everything_changes_nothing(desk: Client, done: Saga, held: Saga) -> None:
    paths = [reverse(name) for name in PAGES]
    paths += [reverse("saga-detail", args=[held.pk]), reverse("saga-type-detail", args=["Errand"])]
    paths += [
        reverse("saga-verb", args=[held.pk, verb]) + "?step=pay" for verb in ("retry", "resolve", "skip")
    ]
    before = list(Saga.objects.values()), Event.objects.count(), OperatorAction.objects.count()
    for path in paths:
        assert desk.get(path).status_code == 200
    assert (list(Saga.objects.values()), Event.objects.count(), OperatorAction.objects.count()) == before


def test_numbers_are_written_alike_whatever_the_sites_language(
    desk: Client, held: Saga, settings: Any
) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    Saga.objects.filter(pk=held.pk).update(version=12_345, sequence=12_345)
    page = desk.get(reverse("saga-detail", args=[held.pk])).content.decode()
    assert 'data-version="12345"' in page
    pushed = rendered_pages([held.pk], frozenset(), {})[held.pk]["regions"]
    assert "12345" in pushed["head"]
    for shown in (page, *pushed.values()):
        assert re.findall(r'[xy]="[^"]*,[^"]*"|12\.345', shown) == []


@pytest.mark.parametrize("name", ["saga-overview", "saga-list", "saga-audit"])
def test_more_sagas_are_not_more_queries(desk: Client, errand: Any, name: str) -> None:
    errand()
    desk.get(reverse(name))
    with CaptureQueriesContext(connection) as few:
        desk.get(reverse(name))
    for _ in range(10):
        errand()
    with CaptureQueriesContext(connection) as many:
        desk.get(reverse(name))
    assert len(many) <= len(few)


@pytest.mark.parametrize(
    ("query", "few", "many"),
    [
        ({}, "", ""),
        ({"type": "Errand"}, "2 sagas match", "5+ sagas match"),
        ({"state": "pending", "type": "Errand"}, "2 sagas match", "more than 50 sagas match"),
        ({"since": "2020-01-01T00:00", "until": "2100-01-01T00:00"}, "2 sagas match", "5+ sagas match"),
        ({"type": "Nope"}, "", ""),
        ({"attention": "nonsense"}, "", ""),
    ],
)
def test_a_filtered_list_says_how_many_match_up_to_a_bound_in_as_many_queries(
    desk: Client, errand: Any, monkeypatch: pytest.MonkeyPatch, query: Any, few: str, many: str
) -> None:
    monkeypatch.setattr("sagas.dashboard.tally.MOST", 5)
    sagas = [errand(), errand()]
    asked = []
    for told in (few, many):
        desk.get(reverse("saga-list"), query)
        with CaptureQueriesContext(connection) as queries:
            page = words(desk.get(reverse("saga-list"), query))
        asked.append(len(queries))
        assert f"Sagas {told} Batches".replace("  ", " ") in page
        if told is few:
            Saga.objects.bulk_create([_like(sagas[0]) for _ in range(60)])
    assert asked[0] == asked[1]


def test_one_that_matches_is_told_in_the_singular(desk: Client, errand: Any) -> None:
    saga = errand()
    assert "1 saga matches" in text(desk.get(reverse("saga-list"), {"id": str(saga.pk)}))


def _like(saga: Saga) -> Saga:
    same = {field.attname: getattr(saga, field.attname) for field in Saga._meta.concrete_fields}
    return Saga(**same | {"id": uuid7(), "idempotency_key": None})


def test_the_list_never_counts(desk: Client, errand: Any) -> None:
    errand()
    with CaptureQueriesContext(connection) as queries:
        desk.get(reverse("saga-list"))
    assert not [q["sql"] for q in queries if "COUNT(" in q["sql"] and "sagas_saga" in q["sql"]]


def test_the_overview_groups_what_needs_a_person(desk: Client, held: Saga) -> None:
    page = text(desk.get(reverse("saga-overview")))
    assert "<b>1</b> needs you" in page
    assert "attention=held&amp;type=Errand&amp;step=pay" in page


def test_of_what_nothing_undoes_it_is_said_whether_it_was_done(
    desk: Client, errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["PostService.Post"] = shop.fail()
    saga = rest(pump, errand())
    assert saga.state == "failed"
    assert "whether it was done is not known; nothing undoes it" in text(desk.get(f"/sagas/{saga.pk}/"))


def test_the_overview_says_that_more_groups_need_a_person_than_it_lists(
    desk: Client, held: Saga, errand: Any, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject("sold out")
    rest(pump, errand(hold=True))
    monkeypatch.setattr(overview, "LISTED", 1)
    response = desk.get("/")
    assert [len(response.context[name]) for name in ("groups", "others")] == [1, 1]
    assert "+1" in text(response)
    assert "<b>more group</b>" in text(response)


def test_the_tab_of_a_saga_that_needs_a_person_bears_a_mark(desk: Client, held: Saga, errand: Any) -> None:
    told = f"▲ {known_as(held.correlation_id)} pending · Sagadesk"
    assert f"<title>{told}</title>" in text(desk.get(reverse("saga-detail", args=[held.pk])))
    assert rendered_pages([held.pk], frozenset(), {})[held.pk]["title"] == told
    assert "▲" not in text(desk.get(reverse("saga-detail", args=[errand().pk])))


def test_the_hour_counts_a_past_minute_once_and_this_one_anew(world: shop.World, pump: Pump) -> None:
    ids = [shop.Errand().start({"item": "book"}).pk for _ in range(3)]
    pump.run(budget=30)
    long_ago = timezone.now() - timedelta(minutes=30)
    Saga.objects.filter(pk=ids[0]).update(finished_at=long_ago)
    assert overview.hour().completed == 3
    Saga.objects.filter(pk=ids[1]).update(finished_at=long_ago)
    shop.Errand().start({"item": "book"})
    pump.run(budget=30)
    overview.hour.forget()  # type: ignore[attr-defined]
    assert (
        overview.hour().completed == 3
    )  # one of the past, which is not looked at again, and two of this minute
    overview.ended.forget()
    overview.hour.forget()  # type: ignore[attr-defined]
    hour = overview.hour()
    assert (hour.completed, hour.failed, hour.started.count, len(hour.bars)) == (4, 0, 4, 60)


def test_the_hour_can_be_told_though_our_clock_was_set_back(world: shop.World, pump: Pump) -> None:
    shop.Errand().start({"item": "book"})
    pump.run(budget=30)
    now = timezone.now().replace(second=0, microsecond=0)
    first = now - timedelta(minutes=59)
    assert sum(count.total() for count in overview.ended.since(first)) == 1
    for minutes in (1, 7, 90, 0):
        counts = overview.ended.since(first - timedelta(minutes=minutes))
        assert len(counts) == 60
    assert sum(count.total() for count in counts) == 1


def test_the_overview_says_when_nobody_works(desk: Client, db: None) -> None:
    assert "No worker and no clock is alive" in text(desk.get(reverse("saga-overview")))
    now = timezone.now()
    for kind in ("worker", "clock"):
        Process.objects.create(name=kind, kind=kind, host="h", pid=1, started_at=now, seen_at=now)
    page = text(desk.get(reverse("saga-overview")))
    assert "alive:" not in page
    assert "Nothing needs you" in page


@pytest.mark.parametrize(
    ("query", "shows"),
    [
        ("", {"held", "done"}),
        ("state=completed", {"done"}),
        ("state=pending", {"held"}),
        ("attention=any", {"held"}),
        ("attention=held", {"held"}),
        ("attention=late_effect", set()),
        ("attention=held&step=pay", {"held"}),
        ("attention=held&step=fetch", set()),
        ("type=Errand", {"held", "done"}),
        ("type=Other", set()),
        ("paused=1", set()),
        ("since=2020-01-01T00:00", {"held", "done"}),
        ("until=2020-01-01T00:00", set()),
        ("since=2999-01-01T00:00:00Z", set()),
    ],
)
def test_the_list_filters(desk: Client, done: Saga, held: Saga, query: str, shows: set[str]) -> None:
    page = text(desk.get(reverse("saga-list") + "?" + query))
    assert {name for name, saga in {"held": held, "done": done}.items() if str(saga.pk) in page} == shows


@pytest.mark.parametrize(
    "query",
    [
        "attention=any",
        "attention=held",
        "attention=held&type=Errand",
        "attention=held&type=Errand&step=pay",
        "attention=any&step=pay",
    ],
)
def test_whatever_a_list_shows_can_be_selected(
    desk: Client, held: Saga, done: Saga, errand: Any, pump: Pump, query: str
) -> None:
    other = rest(pump, errand(hold=True))
    page = desk.get(reverse("saga-list") + f"?{query}").content.decode()
    picks = re.findall(r'name="saga" value="([^"]*)" form="selected"', page)
    assert picks == [str(other.pk), str(held.pk)]
    assert re.findall(r'formaction="([^"]*)"', page) == [
        "/sagas/selected/retry/",
        "/sagas/selected/compensate/",
    ]


def test_the_admin_lists_what_asks_for_a_person_at_one_step(
    desk: Client, held: Saga, errand: Any, pump: Pump, world: shop.World
) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject("sold out")
    other = rest(pump, errand(hold=True))
    asking = reverse("admin:sagas_saga_changelist") + "?attention__exact=held&step="
    for step, there, elsewhere in (("pay", held, other), ("fetch", other, held)):
        listed = text(desk.get(asking + step))
        assert f"…{str(there.pk)[-8:]}" in listed
        assert f"…{str(elsewhere.pk)[-8:]}" not in listed, "its step of that name does not ask"
    assert "By step" in text(desk.get(asking + "pay"))
    assert "By step" not in text(desk.get(reverse("admin:sagas_saga_changelist")))


def test_the_list_finds_by_how_a_correlation_id_begins(desk: Client, errand: Any) -> None:
    one, other = errand(), errand()
    page = text(desk.get(reverse("saga-list"), {"correlation": one.correlation_id[:-1]}))
    assert str(one.pk) in page
    assert str(other.pk) not in page


@pytest.mark.parametrize(
    "query", ["state=nope", "attention=nope", "since=yesterday", "until=2020-99-99T00:00"]
)
def test_an_impossible_filter_is_named_and_matches_nothing(desk: Client, done: Saga, query: str) -> None:
    response = desk.get(reverse("saga-list") + "?" + query)
    assert response.status_code == 400
    assert "must be" in text(response)
    assert str(done.pk) not in text(response)


def test_paging_visits_every_saga_once_and_comes_back(desk: Client, errand: Any) -> None:
    made = [str(errand().pk) for _ in range(120)]
    path, seen, pages = reverse("saga-list"), [], []
    while path:
        response = desk.get(path)
        pages.append([str(row.saga.pk) for row in response.context["rows"]])
        seen += pages[-1]
        older = response.context["page"].older
        path = reverse("saga-list") + older if older else ""
    assert seen == made[::-1]
    back = desk.get(reverse("saga-list") + response.context["page"].newer)
    assert [str(row.saga.pk) for row in back.context["rows"]] == pages[1]


@pytest.mark.parametrize("query", ["after=nonsense", "before=nonsense", "after=" + "9" * 50])
def test_a_cursor_that_makes_no_sense_shows_the_newest(desk: Client, done: Saga, query: str) -> None:
    response = desk.get(reverse("saga-list") + "?" + query)
    assert response.status_code == 200
    assert str(done.pk) in text(response)


def test_search_finds_by_id_and_by_correlation_id(desk: Client, errand: Any) -> None:
    one = errand()
    there = reverse("saga-detail", args=[one.pk])
    assert desk.get(reverse("saga-search"), {"q": str(one.pk)}).headers["Location"] == there
    assert desk.get(reverse("saga-search"), {"q": one.correlation_id}).headers["Location"] == there
    lost = desk.get(reverse("saga-search"), {"q": "what<ever"}).headers["Location"]
    assert lost == reverse("saga-list") + "?correlation=what%3Cever&from=search"


def test_search_finds_by_the_key_of_a_command(desk: Client, errand: Any) -> None:
    one, other = errand(), errand()
    for key in (f"{one.pk}:pay:undo:1", f"{str(one.pk).upper()}:fetch:do:12"):
        there = desk.get(reverse("saga-search"), {"q": key}).headers["Location"]
        assert there == reverse("saga-detail", args=[one.pk])
    unknown = desk.get(reverse("saga-search"), {"q": f"{uuid4()}:pay:undo:1"}).headers["Location"]
    assert str(other.pk) not in unknown
    assert "from=search" in unknown


def with_id(saga: Saga, pk: str) -> Saga:
    """Record the same saga under another id."""
    same = {field.attname: getattr(saga, field.attname) for field in Saga._meta.concrete_fields}
    return Saga.objects.create(
        **same | {"id": UUID(pk), "correlation_id": f"copy of {pk}", "idempotency_key": None}
    )


def test_search_finds_by_how_an_id_begins_and_by_how_it_ends(desk: Client, done: Saga) -> None:
    one = with_id(done, "00000001-8d3a-7000-8000-00005f989131")
    with_id(done, "00000002-8d3a-7000-8000-00005f989132")
    with_id(done, "00000002-8d3b-7000-8000-00005f989133")
    there = reverse("saga-detail", args=[one.pk])
    for typed in ("00000001", "000000018D3A", "00000001-8d3a-7", "…5f989131", "...5F989131", "5f989131"):
        assert desk.get(reverse("saga-search"), {"q": typed}).headers["Location"] == there, typed
    several = desk.get(reverse("saga-search"), {"q": "00000002"}, follow=True)
    assert len(several.context["rows"]) == 2
    assert "from=search" in desk.get(reverse("saga-search"), {"q": "0000000"}).headers["Location"], (
        "too few digits"
    )
    assert desk.get(reverse("saga-list"), {"id": "no"}).status_code == 400


def test_of_very_many_sagas_the_newest_are_looked_at_for_the_end_of_an_id(
    desk: Client, done: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_id(done, "00000001-8d3a-7000-8000-00005f989131")
    monkeypatch.setattr(searching, "NEWEST", 2)
    assert "sagas/00000001" in desk.get(reverse("saga-search"), {"q": "5f989131"}).headers["Location"]
    monkeypatch.setattr(searching, "NEWEST", 1)
    assert "from=search" in desk.get(reverse("saga-search"), {"q": "5f989131"}).headers["Location"]


def test_search_takes_a_correlation_id_in_small_letters_and_in_capitals(desk: Client, done: Saga) -> None:
    for pk, name in ((uuid7(), "ORD-8142"), (uuid7(), "ORD-8143"), (uuid7(), "trip-7")):
        Saga.objects.filter(pk=with_id(done, str(pk)).pk).update(correlation_id=name)
    assert len(desk.get(reverse("saga-search"), {"q": "ord-81"}, follow=True).context["rows"]) == 2
    for typed, name in (("ord-8142", "ORD-8142"), ("TRIP-7", "trip-7")):
        found = Saga.objects.get(correlation_id=name)
        there = reverse("saga-detail", args=[found.pk])
        assert desk.get(reverse("saga-search"), {"q": typed}).headers["Location"] == there


def test_search_takes_a_correlation_id_in_whatever_case_it_is_typed(desk: Client, done: Saga) -> None:
    for name in ("Ord-Paris-7", "Ord-Paris-8", "oRbit-1", "Ört-1"):
        Saga.objects.filter(pk=with_id(done, str(uuid7())).pk).update(correlation_id=name)
    for typed, name in (("ord-paris-7", "Ord-Paris-7"), ("ORD-pARIS-8", "Ord-Paris-8"), ("örT-1", "Ört-1")):
        there = reverse("saga-detail", args=[Saga.objects.get(correlation_id=name).pk])
        assert desk.get(reverse("saga-search"), {"q": typed}).headers["Location"] == there
    assert len(desk.get(reverse("saga-search"), {"q": "ORD-paris"}, follow=True).context["rows"]) == 2
    assert "from=search" in desk.get(reverse("saga-search"), {"q": "ord-rome"}).headers["Location"]


def test_of_very_many_spellings_none_is_looked_for(desk: Client, done: Saga) -> None:
    for begin in map("".join, product(*(letter + letter.upper() for letter in "abcde"))):
        Saga.objects.filter(pk=with_id(done, str(uuid7())).pk).update(correlation_id=begin + "-7")
    with CaptureQueriesContext(connection) as queries:
        assert "from=search" in desk.get(reverse("saga-search"), {"q": "aBcDe-8x"}).headers["Location"]
    assert len(queries) < 100


def test_a_search_in_vain_says_what_was_searched_for(desk: Client, done: Saga) -> None:
    page = text(desk.get(reverse("saga-search"), {"q": "ord-404"}, follow=True))
    assert "No saga whose id is, or begins or ends with, “ord-404”" in page
    assert "none whose correlation id begins with it" in page
    filtered = text(desk.get(reverse("saga-list"), {"correlation": "ord-404"}))
    assert "No saga matches these filters." in filtered


def test_a_saga_page_tells_the_whole_story(desk: Client, held: Saga) -> None:
    page = text(desk.get(reverse("saga-detail", args=[held.pk])))
    for part in [
        'data-region="why"',
        "PayService.Pay",
        "broke",
        f"{held.pk}:pay:do:1",
        "Nobody has touched it",
    ]:
        assert part in page


def test_a_saga_that_is_not_there_is_a_friendly_404(desk: Client, db: None) -> None:
    response = desk.get(reverse("saga-detail", args=[uuid4()]))
    assert response.status_code == 404
    assert "nothing here" in text(response)


def test_what_people_wrote_is_text_and_never_markup(desk: Client, errand: Any, operator: Any) -> None:
    saga = errand(item="<script>alert(1)</script>")
    assert b"<script>alert" not in desk.get(reverse("saga-detail", args=[saga.pk])).content
    for path in (
        reverse("saga-search") + "?q=<script>alert(1)",
        reverse("saga-list") + "?state=<script>alert(1)",
    ):
        assert b"<script>alert" not in desk.get(path, follow=True).content


def test_no_page_carries_inline_style_or_script(desk: Client, held: Saga) -> None:
    for path in [*(reverse(n) for n in PAGES), reverse("saga-detail", args=[held.pk])]:
        page = desk.get(path).content.decode()
        assert " style=" not in page
        assert "<script>" not in page


def test_types_and_queues_tell_what_is_defined_and_who_serves_it(desk: Client, held: Saga) -> None:
    assert "Errand" in text(desk.get(reverse("saga-type-list")))
    page = text(desk.get(reverse("saga-type-detail", args=["Errand"])))
    assert "FetchService.Fetch" in page
    assert desk.get(reverse("saga-type-detail", args=["Nope"])).status_code == 404
    assert "nobody" in text(desk.get(reverse("saga-queues")))


def test_who_was_killed_stands_behind_those_alive_with_for_how_long_nothing_was_heard_of_it(
    desk: Client,
) -> None:
    now = database_now()
    for name, kind, silent in (("a-killed", "worker", 40), ("w-alive", "worker", 3), ("x-clock", "clock", 0)):
        seen = now - timedelta(seconds=silent)
        Process.objects.create(name=name, kind=kind, pid=1, started_at=seen, seen_at=seen)
    with patch("sagas.health.database_now", return_value=now):
        shown = text(desk.get(reverse("saga-queues")))
    order = [shown.index(f'<th scope="row">{name}') for name in ("x-clock", "w-alive", "a-killed")]
    assert order == sorted(order)
    assert shown.count("not heard of for") == 1
    assert "not heard of for 40 s" in shown[order[-1] :]
    assert '<tr class="silent"><th scope="row">a-killed' in shown


def test_a_step_that_waits_in_its_queue_is_told_from_one_that_runs(desk: Client, errand: Any) -> None:
    saga = errand()
    waits = words(desk.get(reverse("saga-detail", args=[saga.pk])))
    assert re.search(r"due in queue fetch since \d", waits)
    assert re.search(r"waiting in queue fetch since \d", waits)
    assert claims.claim(["fetch"], 1, "worker-a")
    runs = words(desk.get(reverse("saga-detail", args=[saga.pk])))
    assert "FetchService.Fetch of fetch is running on worker-a: attempt 1 of 3, begun at" in runs
    assert re.search(r"executing since \d.* on worker-a", runs)
    assert re.search(r"running since \d.* on worker-a", runs)
    assert "in queue" not in runs


def test_a_type_is_shown_as_its_newest_saga_was_started_whatever_was_undone_since(
    desk: Client, done: Saga
) -> None:
    undo = SagaDefinition("Errand", (SagaStep("undo_fetch", "FetchService.Return"),))
    pin = Definition.objects.create(digest="f" * 64, saga_type="Errand", document=undo.document())
    newer = {
        "pk": uuid7(),
        "origin_id": done.pk,
        "origin_kind": "undo",
        "definition": pin,
        "idempotency_key": None,
    }
    same = {field.attname: getattr(done, field.attname) for field in Saga._meta.concrete_fields}
    del same["id"], same["definition_id"]
    Saga.objects.bulk_create([Saga(**same | newer)])
    page = text(desk.get(reverse("saga-type-detail", args=["Errand"])))
    assert "FetchService.Fetch" in page
    assert "undo_fetch" not in page.partition("In flight")[0]


def defined(saga: Saga, begin: str, steps: list[SagaStep], deadline: float | None = None) -> None:
    """Record the same saga, under way, as of a newer definition."""
    document = SagaDefinition("Errand", tuple(steps), deadline).document()
    newest = Definition.objects.latest("created_at").created_at
    pin = Definition.objects.create(digest=begin * 64, saga_type="Errand", document=document)
    Definition.objects.filter(pk=pin.pk).update(created_at=newest + timedelta(seconds=1))
    same = {field.attname: getattr(saga, field.attname) for field in Saga._meta.concrete_fields}
    del same["definition_id"]
    Saga.objects.bulk_create([Saga(**same | {"id": uuid7(), "definition": pin, "idempotency_key": None})])


def test_definitions_in_flight_say_in_what_they_differ_from_the_newest(desk: Client, held: Saga) -> None:
    fetch, pay = (
        SagaStep("fetch", "FetchService.Fetch", timeout=30),
        SagaStep("pay", "PayService.Pay", hold=True),
    )
    defined(held, "a", [fetch, pay, SagaStep("post", "PostService.Post")], deadline=60.0)
    defined(held, "b", [pay, replace(fetch, timeout=90, hold=True), SagaStep("wave", "PostService.Wave")])
    shown = versions_of("Errand")
    assert [definition.digest[0] for definition, _ in shown.columns][:2] == ["b", "a"]
    rows = {row.step: row.cells[1] for row in shown.rows}
    assert [tuple(each) for each in rows["fetch"].changes] == [
        ("timeout", "changed", 30, 90), ("hold", "added", None, True)
    ]  # fmt: skip
    assert not rows["pay"].changes
    assert (rows["post"].since, rows["wave"].since) == ("removed", "added")
    assert [tuple(each) for each in shown.whole[1]] == [
        ("deadline", "removed", 60, None), ("order of the steps", "changed", "fetch, pay", "pay, fetch")
    ]  # fmt: skip
    page = text(desk.get(reverse("saga-type-detail", args=["Errand"])))
    assert "<del>30.0</del> → <ins>90.0</ins>" in page
    assert "no such step: added since" in page
    assert "the saga as a whole" in page


def test_definitions_that_are_alike_but_for_a_step_say_nothing_of_the_whole(desk: Client, held: Saga) -> None:
    defined(held, "a", [SagaStep("fetch", "FetchService.Fetch")])
    assert not versions_of("Errand").whole
    assert "as a whole" not in text(desk.get(reverse("saga-type-detail", args=["Errand"])))


def test_a_drill_of_another_definition_than_the_one_shown_is_said_to_be_one(
    desk: Client, errand: Any
) -> None:
    document = {"type": "Errand", "points": 0, "failing": 0, "table": [], "unreached": []}
    said = "Drilled was another definition than the one shown above"
    drills.keep({**document, "definition": errand().definition_id}, "")
    assert said not in text(desk.get(reverse("saga-type-detail", args=["Errand"])))
    held = errand(hold=True)
    page = text(desk.get(reverse("saga-type-detail", args=["Errand"])))
    assert f"{said}:" in page
    assert f"not {held.definition_id[:8]}, which the newest saga was started with" in page
    assert "The steps have changed since" not in page


def test_the_types_say_what_asks_for_a_person_though_it_is_over(desk: Client, done: Saga) -> None:
    Saga.objects.filter(pk=done.pk).update(attention="late_effect")
    assert [
        kind["attention"]
        for kind in desk.get(reverse("saga-type-list")).context["types"]
        if kind["name"] == "Errand"
    ] == [1]


def test_the_log_tells_of_what_caused_nothing_behind_what_it_came_after(
    desk: Client, held: Saga, asked: Any, pump: Pump
) -> None:
    orchestrator.act(held.pk, "compensate", asked())
    rest(pump, held)
    orchestrator.act(held.pk, "restart", asked())
    shown = desk.get(reverse("saga-detail", args=[held.pk])).context["log"]
    assert [entry.action.verb for entry in shown if entry.action] == ["compensate", "restart"]
    assert shown[-1].action is not None
    assert shown[-1].action.verb == "restart"


def test_a_form_without_its_token_is_explained(operator: Any, held: Saga) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    response = strict.post(reverse("saga-verb", args=[held.pk, "pause"]), {"reason": "x"})
    assert response.status_code == 403
    assert "That form was too old" in text(response)


def test_a_long_log_is_read_in_parts(desk: Client, done: Saga) -> None:
    last = LONGEST * 2 + 150
    more = [
        Event(saga_id=done.pk, sequence=n, version=n, type="SagaPaused", data={}, at=timezone.now())
        for n in range(done.sequence + 1, last + 1)
    ]
    Event.objects.bulk_create(more)
    Saga.objects.filter(pk=done.pk).update(sequence=last, version=last)
    seen, path = [], reverse("saga-log", args=[done.pk])
    while path:
        page = desk.get(path)
        context = page.context
        seen.append((context["log_begins"], context["log_ends"]))
        older = f"?before={context['log_begins']}"
        path = reverse("saga-log", args=[done.pk]) + older if older in text(page) else ""
    assert seen == [(551, 950), (151, 550), (1, 150)]
    assert '?before=551">Older entries, up to number 550' in text(desk.get(done_page(done)))


@pytest.mark.parametrize("before", ["0", "-4", "x", "99999999999", "1"])
def test_a_part_of_the_log_that_is_not_there_is_an_empty_or_the_latest_one(
    desk: Client, done: Saga, before: str
) -> None:
    assert desk.get(reverse("saga-log", args=[done.pk]) + f"?before={before}").status_code == 200


def test_a_long_log_costs_a_page_no_more_queries(desk: Client, done: Saga) -> None:
    path = done_page(done)
    desk.get(path)
    with CaptureQueriesContext(connection) as few:
        desk.get(path)
    more = [
        Event(saga_id=done.pk, sequence=n, version=n, type="SagaPaused", data={}, at=timezone.now())
        for n in range(done.sequence + 1, LONGEST * 2)
    ]
    Event.objects.bulk_create(more)
    Saga.objects.filter(pk=done.pk).update(sequence=LONGEST * 2 - 1, version=LONGEST * 2 - 1)
    with CaptureQueriesContext(connection) as many:
        desk.get(path)
    assert len(many) == len(few)


def done_page(saga: Saga) -> str:
    return reverse("saga-detail", args=[saga.pk])
