"""A feed to test with: sagas that are numbers, pages that remember what they heard."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from sagas.live import Feed, Viewer
from sagas.orchestrator import Bars


class Fragments:
    """Sagas are numbers here, and pages say them."""

    def __init__(self) -> None:
        self.truth: dict[UUID, int] = {}
        self.rendered: list[set[UUID]] = []
        self.known: dict[UUID, int] = {}
        """Which version of each saga was said to be shown when it was last rendered."""
        self.text = "nothing"
        self.released = 0
        self.bars: dict[tuple[Any, UUID], Bars] = {}
        self.kept_from: list[str] = []

    async def versions(self, ids: Iterable[UUID]) -> dict[UUID, int]:
        return {i: self.truth[i] for i in ids if i in self.truth}

    async def render(
        self, variant: tuple[str, frozenset[str]], known: Mapping[UUID, int], barred: Bars
    ) -> dict[UUID, dict[str, Any]]:
        self.rendered.append(set(known))
        self.known.update(known)
        self.kept_from += [step for _, step, _ in barred]
        if variant[0] == "row":
            return {i: {"version": self.truth[i], "row": f"v{self.truth[i]}"} for i in known}
        return {i: {"version": self.truth[i], "final": False, "regions": {"why": self.text}} for i in known}

    async def barred(self, people: Iterable[Any], ids: Iterable[UUID]) -> dict[tuple[Any, UUID], Bars]:
        return {key: bars for key, bars in self.bars.items() if key[0] in people and key[1] in ids}

    async def overview(self) -> dict[str, str]:
        return {"counts": self.text}

    async def approvals(self, person: Any, whole: bool) -> dict[str, str]:
        return {"approvals-count": f"{self.text} for {person}", **({"approvals": self.text} if whole else {})}

    async def banner(self) -> str:
        return ""

    async def listed(self, query: str) -> list[UUID]:
        return list(self.truth)

    async def release(self) -> None:
        self.released += 1


class Page:
    """An open page of the test: what it heard, and whether it confirms."""

    def __init__(self, confirms: bool = True, **variant: Any) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed = False
        self.confirms = confirms
        self.viewer = Viewer(self._hear, self._close, **variant)

    async def _hear(self, text: str) -> None:
        frame = json.loads(text)
        self.frames.append(frame)
        if self.confirms:
            self.viewer.confirm(frame["n"])

    async def _close(self) -> None:
        self.closed = True

    @property
    def rows(self) -> list[str]:
        return [saga["row"] for frame in self.frames for saga in frame.get("sagas", [])]

    def asked(self) -> dict[str, str]:
        """Return what this page has heard of approvals, the latest of each region."""
        return {name: said for frame in self.frames for name, said in frame.get("approvals", {}).items()}

    def told(self, saga_id: UUID) -> int:
        """Return the latest version of a saga that this page has heard of."""
        sagas = [saga for frame in self.frames for saga in frame.get("sagas", [])]
        return max((saga["version"] for saga in sagas if saga["id"] == str(saga_id)), default=0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def play(story: Callable[[Feed, Fragments], Awaitable[None]]) -> None:
    async def told() -> None:
        fragments = Fragments()
        played = Feed(fragments)
        try:
            await story(played, fragments)
        finally:
            for viewer in list(played.viewers):
                played.leave(viewer)

    asyncio.run(told())


def show(played: Feed, page: Page, sagas: dict[UUID, int], **more: Any) -> None:
    page.viewer.show(
        sagas,
        overview=more.get("overview", False),
        listing=more.get("listing"),
        inbox=more.get("inbox", False),
    )
    played.join(page.viewer)
