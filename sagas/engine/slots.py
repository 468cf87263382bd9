"""Where handlers run: threads for plain functions, one event loop for asynchronous ones.

A thread that hangs cannot be ended; it is left behind, and its slot is given to another. One that has nothing to do
for a while ends, and its connections with it: they are wanted elsewhere.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

#: Seconds without a turn after which an event loop counts as blocked.
BLOCKED = 1.0
#: Seconds without work after which a thread ends.
SPARE = 3.0

Done = Callable[[Any, BaseException | None], None]


class Slots:
    """Runs functions, and tells for each what it returned or raised."""

    def __init__(self) -> None:
        self._todo: SimpleQueue[tuple[Callable[[], Any], Done]] = SimpleQueue()
        self._idle = self._threads = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: float | None = None
        """When the loop was asked whether it still turns, and has not said so since."""

    @property
    def busy(self) -> int:
        """How many threads run a function at this moment."""
        return self._threads - self._idle

    def run(self, function: Callable[[], Any], done: Done) -> None:
        """Run a plain function in a thread."""
        with self._lock:
            spare = self._idle > 0
            self._idle -= 1 if spare else 0
            self._threads += 0 if spare else 1
        self._todo.put((function, done))
        if not spare:
            threading.Thread(target=self._serve, name="saga-handler", daemon=True).start()

    def watch(self) -> None:
        """Leave an event loop behind in which a handler blocks, so that the next ones get a fresh one."""
        if self._loop is None:
            return
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            self._loop.call_soon_threadsafe(self._turns)
        elif now - self._asked > BLOCKED:
            log.error("an asynchronous handler blocks its event loop; the next ones get another loop")
            self._loop, self._asked = None, None

    def _turns(self) -> None:
        self._asked = None

    def run_async(self, make: Callable[[], Any], timeout: float, done: Done) -> None:
        """Run a coroutine in the event loop; it is cancelled when its time is over."""
        asyncio.run_coroutine_threadsafe(self._await(make, timeout, done), self._running_loop())

    def _serve(self) -> None:
        while True:
            try:
                function, done = self._todo.get(timeout=SPARE)
            except Empty:
                if self._is_spare():
                    connections.close_all()
                    return
                close_old_connections()
                continue
            result, fault = None, None
            try:
                result = function()
            except BaseException as raised:  # whatever a handler raises is its outcome, not our end
                fault = raised
            close_old_connections()
            with self._lock:
                self._idle += 1
            done(result, fault)

    def _is_spare(self) -> bool:
        """Let a thread go, unless all that wait are awaited: whoever is given work is no longer counted as idle."""
        with self._lock:
            spare = self._idle > 0
            self._idle -= 1 if spare else 0
            self._threads -= 1 if spare else 0
        return spare

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="saga-async", daemon=True).start()
        return self._loop

    @staticmethod
    async def _await(make: Callable[[], Any], timeout: float, done: Done) -> None:
        try:
            result = await asyncio.wait_for(make(), timeout)
        except BaseException as raised:
            done(None, raised)
        else:
            done(result, None)
