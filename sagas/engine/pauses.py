"""Which queues are paused, as far as this process has heard."""

import time

from sagas.models import PausedQueue

#: Seconds for which what was read is believed: so long at most, something is begun on a queue that is paused.
BELIEVED = 1.0


class Pauses:
    """The paused queues; read by who is about to begin something, and by nobody else.

    Now and then, if there are none; each time, as long as there are some: a worker that is
    rung for because one is resumed must not go by what it read before.
    """

    def __init__(self) -> None:
        self.queues: frozenset[str] = frozenset()
        """As they were last read."""
        self._read_at = float("-inf")

    def heed(self) -> frozenset[str]:
        """Return the paused queues as they were a moment ago. Raises what the database does."""
        now = time.monotonic()
        if self.queues or now - self._read_at >= BELIEVED:
            self.queues, self._read_at = PausedQueue.names(), now
        return self.queues
