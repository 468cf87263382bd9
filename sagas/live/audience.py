"""Who shows which saga: a hint costs what its readers cost, however many pages are open."""

from collections.abc import Collection, Iterable, Iterator
from uuid import UUID

from sagas.live.viewer import Viewer


class Audience:
    """The open pages, and by saga those that show it."""

    def __init__(self) -> None:
        self._seats: dict[Viewer, frozenset[UUID]] = {}
        self._of: dict[UUID, set[Viewer]] = {}

    def __iter__(self) -> Iterator[Viewer]:
        return iter(list(self._seats))

    def __len__(self) -> int:
        return len(self._seats)

    @property
    def sagas(self) -> Iterable[UUID]:
        """Every saga that somebody shows."""
        return self._of.keys()

    def of(self, saga_id: UUID) -> Collection[Viewer]:
        """Return the pages that show this saga."""
        return self._of.get(saga_id, ())

    def seat(self, viewer: Viewer) -> None:
        """Count a page in, with what it shows now."""
        self.leave(viewer)
        self._seats[viewer] = frozenset(viewer.shows)
        for saga_id in viewer.shows:
            self._of.setdefault(saga_id, set()).add(viewer)

    def leave(self, viewer: Viewer) -> None:
        """Forget a page."""
        for saga_id in self._seats.pop(viewer, ()):
            self._of[saga_id].discard(viewer)
            if not self._of[saga_id]:
                del self._of[saga_id]
