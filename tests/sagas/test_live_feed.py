"""The feed alone, with a renderer of the test's own: what it sends, when, and what it never does."""

import asyncio
import contextlib
from typing import Any
from unittest.mock import AsyncMock
from uuid import UUID, uuid4

import pytest
from django.db import OperationalError
from redis import Redis

from sagas import broker
from sagas.live import Feed, channel, feed, pace
from sagas.live.ears import Ears
from sagas.live.texts import marked
from tests.sagas.feeding import Fragments, Page, play, show, until


@pytest.fixture(autouse=True)
def without_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints come from the test; the pace is quick."""
    monkeypatch.setattr(broker, "connection", lambda: Redis.from_url("unix:///nowhere/redis.sock"))
    monkeypatch.setattr(feed, "PACE", 0.01)
    monkeypatch.setattr(pace, "SECOND", 0.05)
    monkeypatch.setattr(feed, "FIGURES", 0.02)
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 60)


def test_a_page_is_greeted_with_what_it_missed_and_only_that() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        old, current = uuid4(), uuid4()
        fragments.truth = {old: 3, current: 5}
        page = Page()
        show(played, page, {old: 2, current: 5})
        await until(lambda: bool(page.frames))
        assert page.rows == ["v3"]

    play(story)


def test_a_page_that_missed_nothing_is_greeted_too() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        page = Page()
        show(played, page, {})
        await until(lambda: bool(page.frames))

    play(story)


def test_a_list_that_cannot_be_told_costs_nobody_else_their_round(monkeypatch: pytest.MonkeyPatch) -> None:
    async def listed(self: Fragments, query: str) -> list[UUID]:
        if query == "broken":
            raise ValueError("too many fields")
        return list(self.truth)

    async def story(played: Feed, fragments: Fragments) -> None:
        fragments.truth = {uuid4(): 1}
        broken, sound = Page(), Page()
        broken.viewer.show({}, overview=False, listing="broken")
        sound.viewer.show({}, overview=False, listing="")
        played.join(broken.viewer)
        played.join(sound.viewer)
        await until(lambda: broken.closed and any("new" in frame for frame in sound.frames))

    monkeypatch.setattr(Fragments, "listed", listed)
    play(story)


def test_an_inbox_that_cannot_be_told_costs_nobody_else_their_round(monkeypatch: pytest.MonkeyPatch) -> None:
    approvals = Fragments.approvals

    async def breaks(self: Fragments, person: Any, whole: bool) -> dict[str, str]:
        if person == "mia":
            raise ValueError("too many values to unpack")
        return await approvals(self, person, whole)

    async def story(played: Feed, fragments: Fragments) -> None:
        broken, sound = Page(person="mia"), Page(person="ben")
        played.join(broken.viewer)
        played.join(sound.viewer)
        await until(lambda: broken.closed and bool(sound.asked()))

    monkeypatch.setattr(Fragments, "approvals", breaks)
    play(story)


def test_a_saga_that_cannot_be_shown_costs_nobody_else_their_round(monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = uuid4(), uuid4()
    render = Fragments.render

    async def breaks(self: Fragments, variant: Any, known: Any, barred: Any) -> Any:
        if bad in known:
            raise KeyError("a word that this code does not know")
        return await render(self, variant, known, barred)

    async def story(played: Feed, fragments: Fragments) -> None:
        fragments.truth = {bad: 2, good: 2}
        broken, sound = Page(), Page()
        broken.viewer.variant = sound.viewer.variant = ("page", frozenset())
        broken.viewer.show({bad: 1}, overview=False, listing=None)
        sound.viewer.show({good: 1}, overview=False, listing=None)
        played.join(broken.viewer)
        played.join(sound.viewer)
        await until(lambda: broken.closed and any(str(good) in str(frame) for frame in sound.frames))

    monkeypatch.setattr(Fragments, "render", breaks)
    play(story)


def test_a_hint_reaches_every_page_and_is_rendered_once() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        pages = [Page() for _ in range(5)]
        for page in pages:
            show(played, page, {saga: 1})
        await until(lambda: all(page.frames for page in pages))
        fragments.rendered.clear()
        fragments.truth[saga] = 2
        played.hint({saga: 2})
        await until(lambda: all(page.rows for page in pages))
        assert fragments.rendered == [{saga}]

    play(story)


def test_what_is_rendered_is_told_the_oldest_version_that_a_page_shows() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 5}
        behind, current = Page(), Page()
        show(played, current, {saga: 5})
        show(played, behind, {saga: 3})
        await until(lambda: bool(behind.rows))
        assert fragments.known == {saga: 3}
        assert not current.rows

    play(story)


def test_hints_about_what_nobody_shows_cost_nothing() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        page = Page()
        show(played, page, {})
        await until(lambda: bool(page.frames))
        for _ in range(1000):
            played.hint({uuid4(): 1})
        assert not page.viewer.changed
        assert not fragments.rendered

    play(story)


def test_a_burst_is_one_update() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        page = Page()
        show(played, page, {saga: 1})
        await until(lambda: bool(page.frames))
        for version in range(2, 500):
            fragments.truth[saga] = version
            played.hint({saga: version})
        await until(lambda: page.rows[-1:] == ["v499"])
        assert len(page.rows) <= 2

    play(story)


def test_a_lost_hint_heals_at_the_next_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.05)

    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        page = Page()
        show(played, page, {saga: 1})
        await until(lambda: bool(page.frames))
        fragments.truth[saga] = 2
        await until(lambda: page.rows == ["v2"])

    play(story)


def test_a_page_that_does_not_confirm_gets_no_more_and_grows_nothing() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        slow, quick = Page(confirms=False), Page()
        for page in (slow, quick):
            show(played, page, {saga: 1})
        for version in range(2, 12):
            fragments.truth[saga] = version
            played.hint({saga: version})
            await until(lambda wanted=f"v{version}": quick.rows[-1:] == [wanted])
        assert len(slow.frames) == 2
        assert slow.viewer.changed == {saga}
        slow.confirms = True
        slow.viewer.confirm(2)
        played.wake()
        await until(lambda: slow.rows[-1:] == ["v11"])

    play(story)


def test_a_page_that_never_confirms_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagas.live.viewer.PATIENCE", 0.05)
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.02)

    async def story(played: Feed, fragments: Fragments) -> None:
        page = Page(confirms=False)
        show(played, page, {})
        await until(lambda: page.closed)

    play(story)


def test_regions_go_out_only_when_they_say_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.02)

    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        page = Page(variant=("page", frozenset()))
        show(played, page, {saga: 1}, overview=True)
        await until(lambda: len(page.frames) > 5)
        fragments.text = "leased"  # no new version
        await until(lambda: sum("sagas" in frame for frame in page.frames) == 2)
        await until(lambda: sum("overview" in frame for frame in page.frames) == 2)

    play(story)


def test_what_comes_to_stand_beside_a_saga_that_is_over_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.02)
    monkeypatch.setattr(feed, "EPILOGUE", 0.05)

    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth, real = {saga: 1}, fragments.render

        async def over(*asked: Any) -> Any:
            return {i: {**page, "final": True} for i, page in (await real(*asked)).items()}

        fragments.render = over  # type: ignore[method-assign]
        page = Page(variant=("page", frozenset()))
        show(played, page, {saga: 1})
        await until(lambda: page.viewer.final == {saga})
        fragments.text = "restarted"
        await until(lambda: page.frames[-1].get("sagas", [{}])[0].get("regions") == {"why": "restarted"})

    play(story)


def test_a_page_is_rendered_once_for_all_who_may_answer_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 1}
        fragments.bars = {(n, saga): frozenset({("approve", "ok", "no")}) for n in range(5)}
        pages = [Page(variant=("page", frozenset({"approve"}))) for _ in range(10)]
        for number, page in enumerate(pages):
            page.viewer.person = number
            show(played, page, {saga: 0})
        await until(lambda: all(page.told(saga) for page in pages))
        assert (len(fragments.rendered), fragments.kept_from) == (2, ["ok"])

    play(story)


def test_each_person_hears_what_waits_for_them_and_the_inbox_hears_it_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.05)

    async def story(played: Feed, fragments: Fragments) -> None:
        inbox, other, nobody = Page(), Page(), Page()
        inbox.viewer.person, other.viewer.person = 1, 2
        show(played, inbox, {}, inbox=True)
        show(played, other, {})
        show(played, nobody, {})
        await until(lambda: all(page.frames for page in (inbox, other, nobody)))
        assert inbox.asked() == {"approvals-count": "nothing for 1", "approvals": "nothing"}
        assert other.asked() == {"approvals-count": "nothing for 2"}
        assert nobody.asked() == {}
        fragments.text = "a refund"
        played.hint({})
        await until(lambda: inbox.asked()["approvals"] == "a refund")
        await until(lambda: other.asked()["approvals-count"] == "a refund for 2")

    play(story)


def test_the_list_hears_how_many_sagas_it_does_not_show() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        shown = uuid4()
        fragments.truth = {shown: 1}
        page = Page()
        show(played, page, {shown: 1}, listing="")
        await until(lambda: bool(page.frames))
        assert "new" not in page.frames[0]
        fragments.truth |= {uuid4(): 1, uuid4(): 1}
        played.hint({})
        await until(lambda: any(frame.get("new") == 2 for frame in page.frames))

    play(story)


def test_a_database_that_does_not_answer_is_outlived(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth = {saga: 2}
        real, page = fragments.render, Page()

        broken = AsyncMock(side_effect=OSError("no database"))
        fragments.render = broken  # type: ignore[method-assign]
        show(played, page, {saga: 1})
        await until(lambda: broken.await_count)
        assert not page.rows
        fragments.render = real  # type: ignore[method-assign]
        page.viewer.changed.add(saga)
        played.wake()
        await until(lambda: page.rows == ["v2"])

    play(story)


def test_what_changes_while_others_are_rendered_is_told_by_the_next_round() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        listed, opened = uuid4(), uuid4()
        fragments.truth = {listed: 1, opened: 1}
        row, page = Page(), Page(variant=("page", frozenset()))
        show(played, page, {opened: 1})
        show(played, row, {listed: 1})
        await until(lambda: bool(row.frames and page.frames))
        real = fragments.render

        async def meanwhile(*asked: Any) -> Any:
            fragments.render = real  # type: ignore[method-assign]
            fragments.truth[listed] = 2
            played.hint({listed: 2})
            return await real(*asked)

        fragments.render = meanwhile  # type: ignore[method-assign]
        fragments.truth[opened] = 2
        played.hint({opened: 2})
        await until(lambda: row.rows == ["v2"] and page.told(opened) == 2)

    play(story)


def test_what_a_round_prepared_before_it_failed_is_not_taken_for_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(feed, "BEAT_WITHOUT_HINTS", 0.02)

    async def story(played: Feed, fragments: Fragments) -> None:
        saga = uuid4()
        fragments.truth, real = {saga: 2}, fragments.banner

        async def broken() -> str:
            fragments.banner = real  # type: ignore[method-assign]
            raise OSError("no database")

        fragments.banner = broken  # type: ignore[method-assign]
        row, page = Page(), Page(variant=("page", frozenset()))
        show(played, row, {saga: 1})
        show(played, page, {saga: 1})
        await until(lambda: row.rows == ["v2"])
        await until(lambda: any(s["regions"] for frame in page.frames for s in frame.get("sagas", [])))

    play(story)


async def a_list_and_a_page(played: Feed, fragments: Fragments) -> tuple[UUID, Page, Page]:
    """Open both on one saga, and wait until they are up to date."""
    saga, row, page = uuid4(), Page(), Page(variant=("page", frozenset()))
    fragments.truth = {saga: 1}
    show(played, page, {saga: 1})
    show(played, row, {saga: 1})
    await until(lambda: bool(row.frames and page.frames))
    return saga, row, page


def test_lists_do_not_wait_for_whole_pages() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        (saga, row, page), real = await a_list_and_a_page(played, fragments), fragments.render

        async def long(variant: Any, known: Any, barred: Any) -> Any:
            if variant[0] == "page":
                await until(lambda: row.rows == ["v2"])
            return await real(variant, known, barred)

        fragments.render = long  # type: ignore[method-assign]
        fragments.truth[saga] = 2
        played.hint({saga: 2})
        await until(lambda: page.told(saga) == 2)

    play(story)


def test_who_heard_before_a_round_failed_hears_what_comes_later_too() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        (saga, row, page), real = await a_list_and_a_page(played, fragments), fragments.render

        async def broken(variant: Any, known: Any, barred: Any) -> Any:
            if variant[0] == "page":
                fragments.render = real  # type: ignore[method-assign]
                raise OperationalError("no database")
            return await real(variant, known, barred)

        fragments.render = broken  # type: ignore[method-assign]
        fragments.truth[saga] = 2
        played.hint({saga: 2})
        await until(lambda: row.rows[:1] == ["v2"] and page.told(saga) == 2)
        fragments.truth[saga] = 3
        played.hint({saga: 3})
        await until(lambda: row.rows[-1] == "v3" and page.told(saga) == 3)

    play(story)


def test_with_the_last_page_the_feed_rests() -> None:
    async def story(played: Feed, fragments: Fragments) -> None:
        page = Page()
        show(played, page, {})
        await until(lambda: bool(page.frames))
        played.leave(page.viewer)
        assert not played._running

    play(story)


class Deaf:
    """A client of Redis that keeps a cancellation to itself while it connects, as redis-py does."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def pubsub(self, **_: Any) -> "Deaf":
        return self

    async def __aenter__(self) -> "Deaf":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def subscribe(self, _: str) -> None:
        self.asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def get_message(self, timeout: float) -> None:
        await asyncio.Event().wait()


def test_a_listener_that_is_ended_while_it_connects_is_not_left_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene() -> bool:
        redis = Deaf()
        monkeypatch.setattr(broker, "listening", lambda **_: redis)
        listening = asyncio.create_task(Ears(lambda _: None).listen())
        await redis.asked.wait()
        listening.cancel()
        ended, _ = await asyncio.wait([listening], timeout=5)
        listening.cancel()  # or this test would not end either
        return bool(ended)

    assert asyncio.run(scene())


def test_a_feed_that_rests_while_it_looks_is_not_left_behind() -> None:
    class Holding(Fragments):
        async def release(self) -> None:
            looking.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    async def scene() -> bool:
        feed, page = Feed(Holding()), Page()
        feed.join(page.viewer)
        serving = feed._running[0]
        await looking.wait()
        feed.leave(page.viewer)
        ended, _ = await asyncio.wait([serving], timeout=5)
        serving.cancel()
        return bool(ended)

    looking = asyncio.Event()
    assert asyncio.run(scene())


def test_marks_ignore_the_words_that_the_browser_keeps_true() -> None:
    def mark(text: str) -> int:
        return marked({"x": f'a <time datetime="1">{text}</time> b'})["x"].mark

    assert mark("3 s ago") == mark("4 s ago")
    assert marked({"x": "a"})["x"].mark != marked({"x": "b"})["x"].mark


@pytest.mark.parametrize("nonsense", [b"", b"{", b"[]", b'{"sagas": 1}', b'{"sagas": {"x": 1}}', b"\xff"])
def test_a_hint_that_makes_no_sense_says_nothing(nonsense: bytes) -> None:
    assert channel.unpack(nonsense) == {}


def test_a_hint_reads_back() -> None:
    versions = {uuid4(): 3, uuid4(): 4}
    assert channel.unpack(channel.pack(versions)) == versions
