"""Where handlers run: threads for plain functions, one event loop for asynchronous ones.

A thread that hangs cannot be ended; it is left behind, and its slot is given to another.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from django.db import close_old_connections

Done = Callable[[Any, BaseException | None], None]


class Slots:
    """Runs functions, and tells for each what it returned or raised."""

    def __init__(self) -> None:
        self._todo: SimpleQueue[tuple[Callable[[], Any], Done]] = SimpleQueue()
        self._idle = 0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, function: Callable[[], Any], done: Done) -> None:
        """Run a plain function in a thread."""
        with self._lock:
            spare = self._idle > 0
            self._idle -= 1 if spare else 0
        self._todo.put((function, done))
        if not spare:
            threading.Thread(target=self._serve, name="saga-handler", daemon=True).start()

    def run_async(self, make: Callable[[], Any], timeout: float, done: Done) -> None:
        """Run a coroutine in the event loop; it is cancelled when its time is over."""
        asyncio.run_coroutine_threadsafe(self._await(make, timeout, done), self._running_loop())

    def _serve(self) -> None:
        while True:
            function, done = self._todo.get()
            close_old_connections()
            result, fault = None, None
            try:
                result = function()
            except BaseException as raised:  # whatever a handler raises is its outcome, not our end
                fault = raised
            close_old_connections()
            with self._lock:
                self._idle += 1
            done(result, fault)

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
