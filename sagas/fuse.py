"""A Redis that does not answer must not be waited for again and again by whoever has better things to do."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds without a try after a failure; doubled up to the longest.
REST, LONGEST_REST = 0.5, 2.5
#: Seconds of silence that are worth a warning: a process that ends before has lost nothing, the clock wakes for it.
WORTH_TELLING = 5.0


class Resting(ConnectionError):
    """Redis failed a moment ago, and is not asked before it had a rest."""


class Fuse:
    """A Redis client for hints: each question is brief, and after a failure nobody asks for a while."""

    def __init__(self, connect: Callable[[], Any], patience: float) -> None:
        """Make the client with ``connect`` at the first question; wait ``patience`` seconds for each answer."""
        self._connect = connect
        self._patience = patience
        self._redis: Any = None
        self._rest = REST
        self._again_at = 0.0
        self._failing = self._told = False
        self._failing_since = 0.0
        self._lock = threading.Lock()

    def __call__(self, ask: Callable[[Any], T]) -> T:
        """Ask Redis. Raises RedisError; :class:`Resting`, at once, if it has failed a moment ago."""
        redis = self._client()
        try:
            answer = ask(redis)
        except RedisError as no:
            self._trip(no)
            raise
        if self._failing:
            self._mend()
        return answer

    def _client(self) -> Any:
        with self._lock:
            now = time.monotonic()
            if self._failing and now < self._again_at:
                raise Resting("Redis did not answer a moment ago")
            self._again_at = now + self._patience  # if it fails still, one of us is enough to find out
            if self._redis is None:
                self._redis = self._connect()
                self._redis.connection_pool.connection_kwargs.update(
                    socket_timeout=self._patience,
                    socket_connect_timeout=self._patience,
                    retry=Retry(NoBackoff(), 0),
                )
            return self._redis

    def _trip(self, no: Exception) -> None:
        with self._lock:
            now = time.monotonic()
            self._failing_since = self._failing_since if self._failing else now
            silent = now - self._failing_since
            log.debug("Redis is not asked for %.1f s: %s", self._rest, no)
            if silent >= WORTH_TELLING and not self._told:
                log.warning("Redis has not answered for %.0f s: %s", silent, no)
                self._told = True
            self._failing = True
            self._again_at = now + self._rest
            self._rest = min(self._rest * 2, LONGEST_REST)

    def _mend(self) -> None:
        with self._lock:
            if self._told:
                log.info("Redis answers again")
            self._failing, self._told, self._rest = False, False, REST
