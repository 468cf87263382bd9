"""Tells the web processes which sagas changed. Best effort: it never raises, and hardly ever waits."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis.exceptions import RedisError

from sagas import broker
from sagas.fuse import Fuse
from sagas.live import channel
from sagas.signals import Change, committed
from sagas.soon import Soon

#: Seconds that a publish may take, in the worst case.
PATIENCE = 0.1
#: Seconds between two hints of one process: what is committed meanwhile goes out together.
PACE = 0.05


class Publisher:
    """Sends hints, over a connection of its own, unless Redis failed a moment ago."""

    def __init__(self) -> None:
        self._brief = Fuse(broker.connection, PATIENCE)

    def publish(self, text: str) -> bool:
        """Send a hint; say whether it went out."""
        try:
            self._brief(lambda redis: redis.publish(channel.CHANNEL, text))
        except RedisError:
            return False
        return True


_publisher = Publisher()


def _send(versions: dict[UUID, int]) -> None:
    _publisher.publish(channel.pack(versions))


_soon = Soon(PACE, _send)


def publish(sender: Any = None, *, changes: Sequence[Change] = (), **_: Any) -> None:
    """Send one hint for one commit, or for a burst of them. Listens to :data:`sagas.signals.committed`."""
    if changes:
        _soon.add({change.saga_id: change.version for change in changes})


committed.connect(publish, dispatch_uid="sagas.live.publish")
