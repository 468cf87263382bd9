"""One feed per web process: hears hints, renders each changed saga once, and brings every open page up to date.

It runs while somebody looks, and not otherwise.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from django.db import DatabaseError

from sagas.live.audience import Audience
from sagas.live.ears import Ears
from sagas.live.ending import heed
from sagas.live.pace import Pace
from sagas.live.texts import Region, marked, members, told
from sagas.live.viewer import Viewer

log = logging.getLogger(__name__)

#: Seconds between two updates of a page in a storm. After a rest two may follow each other at once,
#: so that no second sees more than four.
PACE = 0.35
#: Seconds between two comparisons with the database; without Redis these are all there is.
BEAT, BEAT_WITHOUT_HINTS = 2.5, 1.0
#: Seconds between two looks at sagas that are over: a restart or a late reply may still come to stand beside one.
EPILOGUE = 10.0
#: Seconds between two renderings of the overview, and two looks for new rows; at least as many as the latest took:
#: figures over large tables must not keep sagas' own pages waiting.
FIGURES = 0.3

#: How pages are rendered, in the order in which a round serves them; the others need not wait for whole pages.
KINDS = ("row", "page")

Variant = tuple[str, frozenset[str]]
Bars = frozenset[tuple[str, str, str]]


class Fragments(Protocol):
    """What renders. Each method is one short trip to the database."""

    # A row is ``{version, row}``; a page is ``{version, final, title, regions}``.

    async def versions(self, ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """Return the versions of sagas as they are now."""

    async def barred(self, people: Iterable[Any], ids: Iterable[UUID]) -> Mapping[tuple[Any, UUID], Bars]:
        """Return what people may not answer of what these sagas ask; nothing where they may, or nobody is asked."""

    async def render(
        self, variant: Variant, known: Mapping[UUID, int], barred: Bars
    ) -> Mapping[UUID, dict[str, Any]]:
        """Return what pages need to show these sagas to those who may not answer that.

        ``known`` says which version of each is shown already; of a row that is still true nothing need be returned.
        """

    async def overview(self) -> dict[str, str]:
        """Return the overview's regions."""

    async def approvals(self, person: Any, whole: bool) -> dict[str, str]:
        """Return the regions about what waits for a person's answer: how much, and if wanted what."""

    async def banner(self) -> str:
        """Return the banner that every page shows, which may be empty."""

    async def listed(self, query: str) -> list[UUID]:
        """Return the sagas that a list would show now."""

    async def release(self) -> None:
        """Give back what a round has kept for all of its trips."""


@dataclass
class _Common:
    """What a round tells all pages, or all pages of a person: asked once, by the first of them."""

    beat: bool
    figures: bool
    banner: Mapping[str, Region] | None = None
    approvals: dict[tuple[Any, bool], Mapping[str, Region]] = field(default_factory=dict)


class Feed:
    """Keeps every open page of this process at the truth."""

    def __init__(self, fragments: Fragments) -> None:
        self.fragments = fragments
        self.viewers = Audience()
        self._ears = Ears(self.hint)
        self._pace = Pace(PACE)
        self._news = asyncio.Event()
        self._urgent, self._stirred = False, True
        """Whether a page waits for a round; whether anything changed since the last figures."""
        self._running: list[asyncio.Task[None]] = []
        self._beat_at = self._figures_at = self._epilogue_at = 0.0

    def join(self, viewer: Viewer) -> None:
        """Bring a page up to date from now on, with what it shows now."""
        self.viewers.seat(viewer)
        if not self._running:
            self._news = asyncio.Event()
            self._running = [asyncio.create_task(self._serve()), asyncio.create_task(self._ears.listen())]
        self.wake()

    def leave(self, viewer: Viewer) -> None:
        """Forget a page; with the last one the feed rests."""
        self.viewers.leave(viewer)
        if not self.viewers:
            for task in self._running:
                task.cancel()
            self._running = []

    def hint(self, versions: Mapping[UUID, int]) -> None:
        """Hear that sagas changed."""
        news = [
            viewer.hint(saga_id, version)
            for saga_id, version in versions.items()
            for viewer in self.viewers.of(saga_id)
        ]
        if any(news):
            self.wake()
        elif not self._stirred:
            self._news.set()  # the figures are due earlier than the next beat
        self._stirred = True

    def wake(self) -> None:
        """A page waits for something: look after it as soon as the pace allows."""
        self._urgent = True
        self._news.set()

    async def _serve(self) -> None:
        while True:
            heed()
            self._news.clear()
            now = time.monotonic()
            if (rest := self._rest(now)) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), rest)
                continue
            self._urgent = False
            self._pace.take(now)
            try:
                await self._look(now)
            except Exception:  # no database, say: pages hear nothing, and say so
                log.exception("The live feed could not look.")
                for viewer in self.viewers:
                    viewer.doubt()

    def _rest(self, now: float) -> float:
        """Return the seconds until the next round is to begin."""
        due = min(self._beat_at, self._figures_at) if self._stirred else self._beat_at
        return max(self._pace.wait(now), 0.0 if self._urgent else due - now)

    async def _look(self, now: float) -> None:
        try:
            await self._round(now)
        finally:
            await self.fragments.release()

    async def _round(self, now: float) -> None:
        beat, figures = now >= self._beat_at, now >= self._figures_at
        if beat:
            self._beat_at = now + (BEAT if self._ears.hearing else BEAT_WITHOUT_HINTS)
            await self._compare(now)
        figures = figures and (beat or self._stirred or any(not v.greeted for v in self.viewers))
        if figures:
            self._figures_at, self._stirred = now + FIGURES, False
        common = _Common(beat, figures)
        ready = [viewer for viewer in self.viewers if viewer.ready]
        sent = [await self._tell([v for v in ready if v.variant[0] == kind], common) for kind in KINDS]
        if any(sent):
            self._pace.sent(time.monotonic())
        for viewer in [v for v in self.viewers if v.lost]:
            await viewer.close()

    async def _tell(self, viewers: list[Viewer], common: _Common) -> bool:
        """Render what these pages have to hear, and send it at once; say whether there was anything."""
        frames = await self._frames(viewers, common)
        hearing = {v: f for v, f in frames.items() if f or common.beat or not v.greeted}
        for viewer, frame in hearing.items():
            viewer.greeted = True
            await self._push(viewer, ",".join(frame))
        return bool(hearing)

    async def _compare(self, now: float) -> None:
        """Find what changed without our hearing of it: one query for all that anybody sees."""
        shown = list(self.viewers.sagas)
        for saga_id, version in (await self.fragments.versions(shown) if shown else {}).items():
            for viewer in self.viewers.of(saga_id):
                viewer.hint(saga_id, version)
        epilogue = now >= self._epilogue_at
        if epilogue:
            self._epilogue_at = now + EPILOGUE
        for viewer in self.viewers:
            if viewer.variant[0] == "page":  # leases and clocks change what a page says, but no version
                viewer.changed.update(viewer.shows.keys() - (set() if epilogue else viewer.final))

    async def _frames(self, viewers: list[Viewer], common: _Common) -> dict[Viewer, list[str]]:
        """Return the members of each page's frame, none for a page that has nothing to hear."""
        frames: dict[Viewer, list[str]] = {viewer: [] for viewer in viewers}
        await self._sagas(frames)
        if common.figures:
            began = time.monotonic()
            await self._overview(frames)
            await self._new(frames)
            ended = time.monotonic()
            self._figures_at = max(self._figures_at, ended + (ended - began))
        await self._approvals(frames, common)
        if common.beat and frames:
            if common.banner is None:
                common.banner = marked({"banner": await self.fragments.banner()})
            for viewer, frame in frames.items():
                frame += viewer.fresh(common.banner)
        return frames

    async def _sagas(self, frames: dict[Viewer, list[str]]) -> None:
        asked = {viewer: viewer.take() for viewer in frames}  # what changes from now on is for the next round
        barred = await self._barred(asked)

        def seen(viewer: Viewer, saga_id: UUID) -> tuple[Variant, Bars]:
            return viewer.variant, barred.get((viewer.person, saga_id), frozenset())

        wanted: dict[tuple[Variant, Bars], dict[UUID, int]] = {}
        for viewer, changed in asked.items():
            for saga_id in changed:
                known, shown = wanted.setdefault(seen(viewer, saga_id), {}), viewer.shows.get(saga_id, -1)
                known[saga_id] = min(shown, known.get(saga_id, shown))
        rendered = {
            (variant, bars): await self._rendered(variant, known, bars)
            for (variant, bars), known in wanted.items()
        }
        for viewer, frame in frames.items():
            told_of = {i: rendered[seen(viewer, i)].get(i) for i in asked[viewer]}
            news = [viewer.news_of(i, found) for i, found in told_of.items() if found is not None]
            if said := ",".join(filter(None, news)):
                frame.append(f'"sagas":[{said}]')

    async def _rendered(self, variant: Variant, known: Mapping[UUID, int], bars: Bars) -> dict[UUID, Any]:
        """Render sagas. One that cannot be is left out, and who looks at its page hears no more: not all others."""
        try:
            return {i: told(i, f) for i, f in (await self.fragments.render(variant, known, bars)).items()}
        except DatabaseError:
            raise  # then none can be
        except Exception as fault:
            if len(known) == 1:
                (saga_id,) = known
                log.exception("saga %s cannot be shown", saga_id, exc_info=fault)
                for viewer in self.viewers.of(saga_id):
                    if viewer.variant[0] == "page":
                        await viewer.close()
                return {}
            each = [await self._rendered(variant, {i: version}, bars) for i, version in known.items()]
            return {i: found for those in each for i, found in those.items()}

    async def _barred(self, changed: Mapping[Viewer, set[UUID]]) -> Mapping[tuple[Any, UUID], Bars]:
        """Return what those who look may not answer, of all that they would be offered otherwise."""
        asked = [v for v in changed if v.person is not None and changed[v] and "approve" in v.variant[1]]
        ids = {saga_id for viewer in asked for saga_id in changed[viewer]}
        return await self.fragments.barred({v.person for v in asked}, ids) if ids else {}

    async def _overview(self, frames: dict[Viewer, list[str]]) -> None:
        looking = [viewer for viewer in frames if viewer.overview]
        regions = marked(await self.fragments.overview()) if looking else {}
        for viewer in looking:
            if fresh := viewer.fresh(regions):
                frames[viewer].append(f'"overview":{{{",".join(fresh)}}}')

    async def _approvals(self, frames: dict[Viewer, list[str]], common: _Common) -> None:
        """Tell each person what waits for them: the inbox as often as figures, the other pages with the beat."""
        asking: dict[tuple[Any, bool], list[Viewer]] = {}
        for viewer in frames:
            if viewer.person is not None and (common.beat or (common.figures and viewer.inbox)):
                asking.setdefault((viewer.person, viewer.inbox), []).append(viewer)
        for (person, whole), viewers in asking.items():
            try:
                if (person, whole) not in common.approvals:
                    common.approvals[person, whole] = marked(await self.fragments.approvals(person, whole))
            except DatabaseError:
                raise  # nobody can be told anything
            except Exception as fault:  # as of a list
                log.warning("what waits for a person cannot be told: %s", fault)
                for viewer in viewers:
                    await viewer.close()
                continue
            for viewer in viewers:
                if fresh := viewer.fresh(common.approvals[person, whole]):
                    frames[viewer].append(f'"approvals":{{{",".join(fresh)}}}')

    async def _new(self, frames: dict[Viewer, list[str]]) -> None:
        queries = {viewer.listing for viewer in frames if viewer.listing is not None}
        listed: dict[str, list[UUID]] = {}
        for query in queries:
            try:
                listed[query] = await self.fragments.listed(query)
            except Exception as fault:  # what one page asks must not cost the others their round
                log.warning("what a list asks cannot be told: %s", fault)
                for viewer in [each for each in frames if each.listing == query]:
                    await viewer.close()
        for viewer in frames:
            if viewer.listing is None or viewer.listing not in listed:
                continue
            new = sum(1 for saga_id in listed[viewer.listing] if saga_id not in viewer.shows)
            if new != viewer.new:
                viewer.new = new
                frames[viewer].append(members({"new": new}))

    async def _push(self, viewer: Viewer, frame: str) -> None:
        try:
            await viewer.push(frame)
        except Exception:  # its connection went while we were writing
            self.leave(viewer)
