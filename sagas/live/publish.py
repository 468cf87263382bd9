"""Tells the web processes which sagas changed. Best effort: it never raises, and hardly ever waits."""

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from sagas.live import channel
from sagas.signals import Change, committed

log = logging.getLogger(__name__)

#: Seconds that a publish may take, in the worst case.
PATIENCE = 0.1
#: Seconds without a try after a failure; doubled up to the longest.
REST, LONGEST_REST = 0.5, 5.0


class Publisher:
    """One connection, and a fuse that opens when Redis does not answer."""

    def __init__(self) -> None:
        self._redis: Redis | None = None
        self._rest = REST
        self._again_at = 0.0
        self._lock = threading.Lock()

    def publish(self, text: str) -> bool:
        """Send a hint, unless Redis failed a moment ago; say whether it went out."""
        if time.monotonic() < self._again_at or not self._lock.acquire(timeout=PATIENCE):
            return False
        try:
            self._connection().publish(channel.CHANNEL, text)
            self._rest = REST
        except (RedisError, OSError) as no:
            self._trip(no)
            return False
        finally:
            self._lock.release()
        return True

    def _connection(self) -> Redis:
        if self._redis is None:
            self._redis = Redis.from_url(
                channel.url(),
                socket_timeout=PATIENCE,
                socket_connect_timeout=PATIENCE,
                retry=Retry(NoBackoff(), 0),
                health_check_interval=0,
            )
        return self._redis

    def _trip(self, no: Exception) -> None:
        log.info("No live hints for %.1f s: %s", self._rest, no)
        self._again_at = time.monotonic() + self._rest
        self._rest = min(self._rest * 2, LONGEST_REST)


_publisher = Publisher()


def publish(sender: Any = None, *, changes: Sequence[Change] = (), **_: Any) -> None:
    """Send one hint for one commit. Listens to :data:`sagas.signals.committed`."""
    versions = {change.saga_id: change.version for change in changes}
    if versions:
        _publisher.publish(channel.pack(versions))


committed.connect(publish, dispatch_uid="sagas.live.publish")
