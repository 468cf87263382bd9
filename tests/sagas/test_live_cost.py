"""What a round of the feed costs: it must not depend on how many pages are open."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from sagas import broker
from sagas.dashboard import overview
from sagas.dashboard.fragments import DeskFragments, rendered_rows
from sagas.live import Feed, feed, texts
from sagas.live.audience import Audience
from sagas.live.pace import Pace
from sagas.live.viewer import Viewer
from sagas.models import Saga
from sagas.orchestrator import VERBS
from tests.sagas.feeding import Fragments, Page, play, show, until

A_SECOND = 1.0


def open_pages(sagas: list[Saga], count: int) -> list[Viewer]:
    """Open so many pages of each kind."""
    pages = []
    for n in range(count):
        one, every = sagas[n % len(sagas)].pk, {saga.pk: 0 for saga in sagas}
        saga, listed, figures = (
            Page(variant=("page", frozenset(VERBS))).viewer,
            Page().viewer,
            Page().viewer,
        )
        saga.show({one: 0}, overview=False, listing=None)
        listed.show(every, overview=False, listing="")
        figures.show({}, overview=True, listing=None)
        pages += [saga, listed, figures]
    return pages


def queries_of_a_round(pages: list[Viewer]) -> int:
    async def round_once() -> None:
        played = Feed(DeskFragments())
        for page in pages:
            played.viewers.seat(page)
        await played._round(time.monotonic())

    for figure in (overview.hour, overview.ended, overview.failing):
        figure.forget()  # type: ignore[attr-defined]
    with CaptureQueriesContext(connection) as asked:
        async_to_sync(round_once)()
    assert all(page.sent for page in pages)
    return len(asked)


@pytest.mark.django_db
def test_a_round_asks_the_database_no_more_for_two_hundred_pages_than_for_one_of_each(errand: Any) -> None:
    sagas = [errand() for _ in range(8)]
    queries_of_a_round(open_pages(sagas[:1], 1))  # the definition is read once per process
    assert queries_of_a_round(open_pages(sagas, 67)) == queries_of_a_round(open_pages(sagas[:1], 1))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "connection", lambda: Redis.from_url("unix:///nowhere/redis.sock"))
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 60)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("kind", ["row", "page"])
def test_what_many_pages_hear_is_written_once(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    written: list[Any] = []
    write = texts.json_of
    monkeypatch.setattr(texts, "json_of", lambda value: written.append(value) or write(value))

    def texts_for(count: int) -> int:
        async def story(played: Feed, fragments: Fragments) -> None:
            saga = UUID(int=7)
            fragments.truth = {saga: 1}
            pages = [Page(variant=(kind, frozenset())) for _ in range(count)]
            for page in pages:
                show(played, page, {saga: 1}, overview=True)
            await until(lambda: all(page.frames for page in pages))
            written.clear()
            fragments.truth[saga] = 2
            played.hint({saga: 2})
            await until(lambda: all(page.told(saga) == 2 for page in pages))

        play(story)
        return len(written)

    assert texts_for(50) == texts_for(1) > 0


@pytest.mark.usefixtures("quick")
def test_a_first_hint_after_silence_is_pushed_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PACE", 3600)  # whoever waits for the pace waits for ever

    async def story(played: Feed, fragments: Fragments) -> None:
        saga = UUID(int=7)
        fragments.truth = {saga: 1}
        page = Page()
        show(played, page, {saga: 1})
        await until(lambda: bool(page.frames))
        fragments.truth[saga] = 2
        played.hint({saga: 2})
        await until(lambda: page.rows == ["v2"])

    play(story)


@pytest.mark.django_db
def test_a_row_that_is_still_true_is_not_rendered_again(errand: Any) -> None:
    old, moved = errand(), errand()
    rendered = rendered_rows({old.pk: old.version, moved.pk: moved.version - 1})
    assert set(rendered) == {moved.pk}
    assert rendered[moved.pk]["version"] == moved.version


@given(st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 1)), min_size=8, max_size=40))
def test_in_a_storm_no_second_sees_more_than_four_updates_however_long_rounds_take(
    rounds: list[tuple[float, float]],
) -> None:
    pace, now, sent = Pace(feed.PACE), 100.0, []
    for seconds, reached in rounds:
        now += pace.wait(now)
        pace.take(now)
        sent.append(now + seconds * reached)  # a page has its turn somewhere in the round
        now += seconds
        pace.sent(now)
    assert max(sum(a <= b < a + A_SECOND for b in sent) for a in sent) <= 4


def test_figures_that_take_long_are_asked_for_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(feed, "time", SimpleNamespace(monotonic=lambda: clock.now))

    class Slow(Fragments):
        async def overview(self) -> dict[str, str]:
            clock.now += 2.0
            return await super().overview()

    async def rest_after_a_round(fragments: Fragments) -> float:
        played, page = Feed(fragments), Page().viewer
        page.show({}, overview=True, listing=None)
        played.viewers.seat(page)
        await played._round(clock.now)
        return played._figures_at - clock.now

    assert asyncio.run(rest_after_a_round(Fragments())) == pytest.approx(feed.FIGURES)
    assert asyncio.run(rest_after_a_round(Slow())) == pytest.approx(2.0)


def test_in_a_storm_no_second_sees_more_than_four_rounds() -> None:
    pace, now, began = Pace(feed.PACE), 100.0, []
    while now < 110:
        if pace.wait(now) <= 0:
            pace.take(now)
            began.append(now)
        now += 0.001
    assert max(sum(a <= b < a + A_SECOND for b in began) for a in began) == 4
    assert len(began) > 25
    pace_after_a_rest = now + 60
    assert pace.wait(pace_after_a_rest) == 0


def test_a_page_that_shows_something_else_is_no_longer_among_those_who_show_the_first() -> None:
    audience, page, other = Audience(), Page().viewer, Page().viewer
    first, second = UUID(int=1), UUID(int=2)
    for viewer in (page, other):
        viewer.show({first: 1}, overview=False, listing=None)
        audience.seat(viewer)
    page.show({second: 1}, overview=False, listing=None)
    audience.seat(page)
    assert set(audience.of(first)) == {other}
    assert set(audience.of(second)) == {page}
    audience.leave(page)
    audience.leave(other)
    assert not audience
    assert not list(audience.sagas)


def test_a_page_that_has_room_again_says_so_once_if_it_waits_for_anything() -> None:
    page = Page(confirms=False).viewer
    page.sent = 2
    assert not page.ready
    page.changed = {UUID(int=1)}
    assert page.confirm(1)
    assert not page.confirm(2)  # it had room already
    page.sent, page.changed = 4, set()
    assert not page.confirm(4)
