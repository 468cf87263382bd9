"""One open page: what it shows, what it still has to hear, and how far behind it is."""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sagas.live.texts import Region, Told

#: Frames that a page may not have confirmed yet. Past that nothing is sent, and nothing is queued either.
UNCONFIRMED = 2
#: Seconds after which a page that confirms nothing is given up.
PATIENCE = 30.0

Send = Callable[[str], Awaitable[None]]


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
    """Sagas of which hardly anything changes any more unless their version does."""
    person: Any = None
    """The key of the user who looks at it; None: nobody whom approvals could wait for."""
    overview: bool = False
    inbox: bool = False
    """Whether it shows what waits for that person, and not only how much."""
    listing: str | None = None
    """The query string of the list it shows."""
    new: int = 0
    greeted: bool = False
    """Whether it has been brought up to date since it said what it shows."""
    sent: int = 0
    confirmed: int = 0
    waiting_since: float = 0.0

    def show(
        self, sagas: dict[UUID, int], *, overview: bool, listing: str | None, inbox: bool = False
    ) -> None:
        """Begin to show these sagas, at these versions."""
        self.shows, self.overview, self.listing, self.inbox = dict(sagas), overview, listing, inbox
        self.changed, self.final, self.marks, self.greeted, self.new = set(sagas), set(), {}, False, 0

    def hint(self, saga_id: UUID, version: int) -> bool:
        """Hear that a saga changed; say whether that is news here."""
        if self.shows.get(saga_id, version) >= version:
            return False
        self.changed.add(saga_id)
        return True

    def take(self) -> set[UUID]:
        """Return the sagas that changed; what changes from now on is remembered anew."""
        taken, self.changed = self.changed, set()
        return taken

    def doubt(self) -> None:
        """Believe no longer that what was prepared for this page has reached it: it is sent all of it again."""
        self.shows, self.marks, self.greeted, self.new = dict.fromkeys(self.shows, -1), {}, False, -1
        self.changed, self.final = set(self.shows), set()

    @property
    def ready(self) -> bool:
        """Whether it has room for another frame."""
        return self.sent - self.confirmed < UNCONFIRMED

    @property
    def lost(self) -> bool:
        """Whether it has not confirmed anything for too long."""
        return not self.ready and time.monotonic() - self.waiting_since > PATIENCE

    def confirm(self, number: int) -> bool:
        """Hear that the page has applied a frame; say whether it has room again for what it waits for."""
        was_ready = self.ready
        self.confirmed = max(self.confirmed, min(number, self.sent))
        return self.ready and not was_ready and bool(self.changed)

    async def push(self, members: str) -> None:
        """Send a frame, made of these members of a JSON object."""
        self.sent += 1
        self.waiting_since = time.monotonic()
        head = f'{{"n":{self.sent},"now":{int(time.time() * 1000)}'
        await self.send(f"{head},{members}}}" if members else head + "}")

    def news_of(self, saga_id: UUID, found: Told) -> str:
        """Return what this page has to hear of a saga; nothing if it shows that already."""
        newer = found.version > self.shows.get(saga_id, -1)
        self.shows[saga_id] = max(found.version, self.shows.get(saga_id, -1))
        if found.final:
            self.final.add(saga_id)
        if found.regions is None:
            return found.text + "}" if newer else ""
        fresh = self.fresh(found.regions)
        return found.with_regions(fresh) if fresh or newer else ""

    def fresh(self, regions: Mapping[str, Region]) -> list[str]:
        """Return the regions that differ from what was sent before."""
        different = {name: r for name, r in regions.items() if self.marks.get(name) != r.mark}
        self.marks.update({name: region.mark for name, region in different.items()})
        return [region.text for region in different.values()]
