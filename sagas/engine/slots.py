"""Where handlers run: threads for plain functions, one event loop for asynchronous ones.

A thread that hangs cannot be ended; it is left behind, and its slot is given to another. One that has nothing to do
for a while ends, and its connections with it: they are wanted elsewhere.

One thread at a time is called for what waits, and calls the next before it runs anything. So a handler that takes its
time keeps nobody waiting, and a hundred quick ones wake a few threads, not a hundred. It is the one that rested last:
the others may end.
"""

import asyncio
import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

#: Seconds without a turn after which an event loop counts as blocked.
BLOCKED = 1.0
#: Seconds without work after which a thread ends.
SPARE = 3.0

#: Seconds after which a thread asks anew whether its connections are good: until then a server that ends one says so.
LOOK_AFTER = 1.0

Done = Callable[[Any, BaseException | None], None]


class Slots:
    """Runs functions, and tells for each what it returned or raised."""

    def __init__(self) -> None:
        self._todo: deque[tuple[Callable[[], Any], Done]] = deque()
        self._called = False
        """Whether a thread is on its way to what waits."""
        self._busy = self._threads = 0
        self._resting: list[threading.Lock] = []
        """The bells of the threads that wait to be called; who is called is taken from it."""
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked: float | None = None
        """When the loop was asked whether it still turns, and has not said so since."""
        self._names: dict[asyncio.Task[Any], str] = {}
        """What runs in event loops, those that were left behind included, and what it is called."""

    @property
    def busy(self) -> int:
        """How many threads run a function at this moment."""
        return self._busy

    def run(self, function: Callable[[], Any], done: Done) -> None:
        """Run a plain function in a thread. Raises RuntimeError if there is none, and none to be had."""
        with self._lock:
            self._todo.append((function, done))
            try:
                self._call()
            except RuntimeError:
                self._todo.pop()  # nobody will come for it
                raise

    def watch(self) -> None:
        """Leave an event loop behind in which a handler blocks, so that the next ones get a fresh one."""
        if self._loop is None:
            return
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
            self._loop.call_soon_threadsafe(self._turns)
        elif now - self._asked > BLOCKED:
            log.error(
                "%s blocks its event loop; the next handlers get another loop", self._blocking(self._loop)
            )
            asyncio.run_coroutine_threadsafe(_retire(), self._loop)
            self._loop, self._asked = None, None

    def _turns(self) -> None:
        self._asked = None

    def _blocking(self, loop: asyncio.AbstractEventLoop) -> str:
        """Return the name of what has the loop at this moment; of all that may if it is a task of a handler's own."""
        here = {task: name for task, name in [*self._names.items()] if task.get_loop() is loop}
        current = here.get(asyncio.current_task(loop))  # type: ignore[arg-type]
        return current or " or ".join(sorted({*here.values()})) or "an asynchronous handler"

    def run_async(self, make: Callable[[], Any], timeout: float, done: Done, name: str) -> None:
        """Run a coroutine in the event loop; it is cancelled when its time is over."""
        awaiting = self._await(lambda: self._named(name, make), timeout, done)
        asyncio.run_coroutine_threadsafe(awaiting, self._running_loop())

    def _call(self) -> None:
        """Call a thread to what waits, if none is on its way. The lock is held."""
        if self._called or not self._todo:
            return
        if self._resting:
            self._resting.pop().release()
        else:
            try:
                threading.Thread(target=self._serve, name="saga-handler", daemon=True).start()
            except (
                RuntimeError
            ):  # there are no more to be had: those that run take it on, one after the other
                if not self._threads:
                    raise
                return
            self._threads += 1
        self._called = True

    def _serve(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        with self._lock:
            self._called = False
        looked, ours = -LOOK_AFTER, connections.all(initialized_only=True)
        while (taken := self._next(bell)) is not None:
            function, done = taken
            result, fault = None, None
            if time.monotonic() - looked >= LOOK_AFTER or any(map(_has_news, ours)):
                close_old_connections()
                looked = time.monotonic()
            try:
                result = function()
            except BaseException as raised:  # whatever a handler raises is its outcome, not our end
                fault = raised
            # Once for each handler: to ask takes as long as all the rest.
            ours = connections.all(initialized_only=True)
            if fault is not None or any(map(_is_out_of_order, ours)):
                close_old_connections()
            with self._lock:
                self._busy -= 1
            done(result, fault)
        connections.close_all()

    def _next(self, bell: threading.Lock) -> tuple[Callable[[], Any], Done] | None:
        """Wait for something to run, and call another thread if there is more; None after a while without."""
        while True:
            with self._lock:
                if self._todo:
                    self._busy += 1
                    taken = self._todo.popleft()
                    self._call()
                    return taken
                self._resting.append(bell)
            if not self._is_called(bell):
                return None

    def _is_called(self, bell: threading.Lock) -> bool:
        """Rest until somebody rings; false, and no longer among those that can be called, after a while."""
        rung = bell.acquire(timeout=SPARE)
        with self._lock:
            if not rung and bell in self._resting:
                self._resting.remove(bell)
                self._threads -= 1
                return False
            self._called = False
        if not rung:
            bell.acquire()  # it was rung just as the rest was over
        return True

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = asyncio.new_event_loop()
            threading.Thread(target=_turn, args=(loop,), name="saga-async", daemon=True).start()
            self._loop = loop
        return self._loop

    async def _named(self, name: str, make: Callable[[], Any]) -> Any:
        task = asyncio.current_task()
        assert task is not None
        self._names[task] = name
        try:
            return await make()
        finally:
            del self._names[task]

    @staticmethod
    async def _await(make: Callable[[], Any], timeout: float, done: Done) -> None:
        try:
            result = await asyncio.wait_for(make(), timeout)
        except BaseException as raised:
            done(None, raised)
        else:
            done(result, None)


def _has_news(connection: Any) -> bool:
    """Whether a server has said something that nobody asked: that it has ended the session, as a rule.

    It is no question to the server, so it can come before each handler.
    """
    if connection.connection is None or connection.vendor != "postgresql":
        return False
    if connection.connection.closed:
        return True
    news = select.poll()
    news.register(connection.connection.fileno(), select.POLLIN)
    return bool(news.poll(0))


def _is_out_of_order(connection: Any) -> bool:
    """Whether a handler left a connection as the next one must not find it, or it has been open for long enough."""
    if connection.connection is None:
        return False
    if connection.close_at is not None and time.monotonic() >= connection.close_at:
        return True
    return bool(connection.errors_occurred or connection.autocommit != connection.settings_dict["AUTOCOMMIT"])


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()


async def _retire() -> None:
    """End this event loop, once whatever runs in it has ended; it is given nothing more."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    asyncio.get_running_loop().stop()
