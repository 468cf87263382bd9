"""One feed per web process: hears hints, renders each changed saga once, and brings every open page up to date.

It runs while somebody looks, and not otherwise.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Protocol
from uuid import UUID

from sagas.live.ears import Ears
from sagas.live.viewer import Viewer, marked

log = logging.getLogger(__name__)

#: Seconds between two updates of a page, at least.
PACE = 0.25
#: Seconds between two comparisons with the database; without Redis these are all there is.
BEAT, BEAT_WITHOUT_HINTS = 2.5, 1.0
#: Seconds between two renderings of the overview, and two looks for new rows.
FIGURES = 1.0

Variant = tuple[str, frozenset[str]]


class Fragments(Protocol):
    """What renders. Each method is one short trip to the database."""

    # A row is ``{version, row}``; a page is ``{version, final, title, regions}``.

    async def versions(self, ids: Iterable[UUID]) -> Mapping[UUID, int]:
        """Return the versions of sagas as they are now."""

    async def render(self, variant: Variant, ids: Iterable[UUID]) -> Mapping[UUID, dict[str, Any]]:
        """Return what pages need to show these sagas."""

    async def overview(self) -> dict[str, str]:
        """Return the overview's regions."""

    async def banner(self) -> str:
        """Return the banner that every page shows, which may be empty."""

    async def listed(self, query: str) -> list[UUID]:
        """Return the sagas that a list would show now."""


class Feed:
    """Keeps every open page of this process at the truth."""

    def __init__(self, fragments: Fragments) -> None:
        self.fragments = fragments
        self.viewers: set[Viewer] = set()
        self._ears = Ears(self.hint)
        self._news = asyncio.Event()
        self._stirred = True
        self._running: list[asyncio.Task[None]] = []
        self._beat_at = self._figures_at = 0.0

    def join(self, viewer: Viewer) -> None:
        """Bring a page up to date from now on."""
        self.viewers.add(viewer)
        if not self._running:
            self._news = asyncio.Event()
            self._running = [asyncio.create_task(self._serve()), asyncio.create_task(self._ears.listen())]

    def leave(self, viewer: Viewer) -> None:
        """Forget a page; with the last one the feed rests."""
        self.viewers.discard(viewer)
        if not self.viewers:
            for task in self._running:
                task.cancel()
            self._running = []

    def hint(self, versions: Mapping[UUID, int]) -> None:
        """Hear that sagas changed."""
        self._stirred = True
        for viewer in self.viewers:
            for saga_id, version in versions.items():
                viewer.hint(saga_id, version)
        self._news.set()

    def wake(self) -> None:
        """A page has said something new: look after it at once."""
        self._news.set()

    async def _serve(self) -> None:
        while True:
            began = time.monotonic()
            self._news.clear()
            try:
                await self._round(began)
            except Exception:  # no database, say: pages hear nothing, and say so
                log.exception("The live feed could not look.")
            await asyncio.sleep(PACE)
            next_at = min(self._beat_at, self._figures_at) if self._stirred else self._beat_at
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), max(0.0, next_at - time.monotonic()))

    async def _round(self, now: float) -> None:
        beat, figures = now >= self._beat_at, now >= self._figures_at
        if beat:
            self._beat_at = now + (BEAT if self._ears.hearing else BEAT_WITHOUT_HINTS)
            await self._compare()
        figures = figures and (beat or self._stirred or any(not v.greeted for v in self.viewers))
        if figures:
            self._figures_at, self._stirred = now + FIGURES, False
        ready = [v for v in self.viewers if v.ready]
        frames = await self._frames(ready, beat=beat, figures=figures)
        for viewer, frame in frames.items():
            if frame or beat or not viewer.greeted:
                viewer.greeted = True
                await self._push(viewer, frame)
        for viewer in [v for v in self.viewers if v.lost]:
            await viewer.close()

    async def _compare(self) -> None:
        """Find what changed without our hearing of it: one query for all that anybody sees."""
        shown = {saga_id for viewer in self.viewers for saga_id in viewer.shows}
        versions = await self.fragments.versions(shown) if shown else {}
        for viewer in self.viewers:
            for saga_id in viewer.shows:
                if saga_id in versions:
                    viewer.hint(saga_id, versions[saga_id])
            if viewer.variant[0] == "page":  # leases and clocks change what a page says, but no version
                viewer.changed.update(viewer.shows.keys() - viewer.final)

    async def _frames(
        self, ready: list[Viewer], *, beat: bool, figures: bool
    ) -> dict[Viewer, dict[str, Any]]:
        frames: dict[Viewer, dict[str, Any]] = {viewer: {} for viewer in ready}
        await self._sagas(frames)
        if figures:
            await self._overview(frames)
            await self._new(frames)
        if beat and frames:
            banner = marked({"banner": await self.fragments.banner()})
            for viewer, frame in frames.items():
                frame.update(viewer.fresh(banner))
        return frames

    async def _sagas(self, frames: dict[Viewer, dict[str, Any]]) -> None:
        wanted: dict[Variant, set[UUID]] = {}
        for viewer in frames:
            wanted.setdefault(viewer.variant, set()).update(viewer.changed)
        rendered = {
            variant: _marked(await self.fragments.render(variant, ids))
            for variant, ids in wanted.items()
            if ids
        }
        for viewer, frame in frames.items():
            found = rendered.get(viewer.variant, {})
            news = [self._news_of(viewer, i, found[i]) for i in viewer.changed if i in found]
            viewer.changed = set()
            frame.update({"sagas": told} if (told := [n for n in news if n]) else {})

    def _news_of(self, viewer: Viewer, saga_id: UUID, found: dict[str, Any]) -> dict[str, Any] | None:
        """Return what this page has to hear of a saga; None if it shows that already."""
        newer = found["version"] > viewer.shows.get(saga_id, -1)
        viewer.shows[saga_id] = max(found["version"], viewer.shows.get(saga_id, -1))
        if "row" in found:
            return {"id": str(saga_id), **found} if newer else None
        if found["final"]:
            viewer.final.add(saga_id)
        regions = viewer.fresh(found["regions"])
        return {"id": str(saga_id), **found, "regions": regions} if regions or newer else None

    async def _overview(self, frames: dict[Viewer, dict[str, Any]]) -> None:
        looking = [viewer for viewer in frames if viewer.overview]
        regions = marked(await self.fragments.overview()) if looking else {}
        for viewer in looking:
            if fresh := viewer.fresh(regions):
                frames[viewer]["overview"] = fresh

    async def _new(self, frames: dict[Viewer, dict[str, Any]]) -> None:
        queries = {viewer.listing for viewer in frames if viewer.listing is not None}
        listed = {query: await self.fragments.listed(query) for query in queries}
        for viewer in frames:
            if viewer.listing is None:
                continue
            new = sum(1 for saga_id in listed[viewer.listing] if saga_id not in viewer.shows)
            if new != viewer.new:
                viewer.new = frames[viewer]["new"] = new

    async def _push(self, viewer: Viewer, frame: dict[str, Any]) -> None:
        try:
            await viewer.push(frame)
        except Exception:  # its connection went while we were writing
            self.leave(viewer)


def _marked(rendered: Mapping[UUID, dict[str, Any]]) -> dict[UUID, dict[str, Any]]:
    return {
        saga_id: {**found, "regions": marked(found["regions"])} if "regions" in found else dict(found)
        for saga_id, found in rendered.items()
    }
