"""One open page: what it shows, what it still has to hear, and how far behind it is."""

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

#: Frames that a page may not have confirmed yet. Past that nothing is sent, and nothing is queued either.
UNCONFIRMED = 2
#: Seconds after which a page that confirms nothing is given up.
PATIENCE = 30.0

#: A region, and a mark that differs when what it says does.
Marked = tuple[str, int]
_TICKING = re.compile(r"(<time[^>]*>|data-since=[^>]*>)[^<]*")

Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(eq=False)
class Viewer:
    """An open page. What changed is remembered as a set, so a burst is one update, and a slow page stays small."""

    send: Send
    close: Callable[[], Awaitable[None]]
    variant: tuple[str, frozenset[str]] = ("row", frozenset())
    """How sagas are rendered for it: as a row, or as a page with these verbs allowed."""
    shows: dict[UUID, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    """Region -> mark of what was sent."""
    changed: set[UUID] = field(default_factory=set)
    final: set[UUID] = field(default_factory=set)
    """Sagas of which nothing changes any more unless their version does."""
    overview: bool = False
    listing: str | None = None
    """The query string of the list it shows."""
    new: int = 0
    greeted: bool = False
    """Whether it has been brought up to date since it said what it shows."""
    sent: int = 0
    confirmed: int = 0
    waiting_since: float = 0.0

    def show(self, sagas: dict[UUID, int], *, overview: bool, listing: str | None) -> None:
        """Begin to show these sagas, at these versions."""
        self.shows, self.overview, self.listing = dict(sagas), overview, listing
        self.changed, self.final, self.marks, self.greeted, self.new = set(sagas), set(), {}, False, 0

    def hint(self, saga_id: UUID, version: int) -> bool:
        """Hear that a saga changed; say whether that is news here."""
        if self.shows.get(saga_id, version) >= version:
            return False
        self.changed.add(saga_id)
        return True

    @property
    def ready(self) -> bool:
        """Whether it has room for another frame."""
        return self.sent - self.confirmed < UNCONFIRMED

    @property
    def lost(self) -> bool:
        """Whether it has not confirmed anything for too long."""
        return not self.ready and time.monotonic() - self.waiting_since > PATIENCE

    def confirm(self, number: int) -> None:
        """Hear that the page has applied a frame."""
        self.confirmed = max(self.confirmed, min(number, self.sent))

    async def push(self, frame: dict[str, Any]) -> None:
        """Send a frame."""
        self.sent += 1
        self.waiting_since = time.monotonic()
        await self.send({"n": self.sent, "now": int(time.time() * 1000), **frame})

    def fresh(self, regions: Mapping[str, Marked]) -> dict[str, str]:
        """Return the regions that differ from what was sent before."""
        different = {n: html for n, (html, mark) in regions.items() if self.marks.get(n) != mark}
        self.marks.update({name: regions[name][1] for name in different})
        return different


def marked(regions: Mapping[str, str]) -> dict[str, Marked]:
    """Mark regions by what they say, times aside: the browser itself keeps "3 s ago" true."""
    return {name: (html, hash(_TICKING.sub(r"\1", html))) for name, html in regions.items()}
