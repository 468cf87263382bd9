"""Where handlers run: threads for plain functions, one event loop for asynchronous ones.

A thread that hangs cannot be ended; it is left behind, and its slot is given to another. One that has nothing to do
for a while ends, and its connections with it: they are wanted elsewhere.

One thread at a time is called for what waits, and calls the next before it runs anything. So a handler that takes its
time keeps nobody waiting, and a hundred quick ones wake a few threads, not a hundred. It is the one that rested last:
the others may end.

What is given beyond the limit waits here, in the order in which it came, and can be taken back as long as it does.
"""

import asyncio
import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from django.db import close_old_connections, connections

log = logging.getLogger(__name__)

#: Seconds without a turn after which an event loop counts as blocked.
BLOCKED = 1.0
#: Seconds without work after which a thread ends.
SPARE = 3.0

#: Seconds after which a thread asks anew whether its connections are good: until then a server that ends one says so.
LOOK_AFTER = 1.0

#: How many handlers the time that one takes is the mean of, the latest counting most.
LATEST = 32

Done = Callable[[Any, BaseException | None], None]


class TimedOut(Exception):
    """A handler's time is over. What it may raise itself, a TimeoutError included, is something else."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no reply within {seconds:g} s")


class _Waiting(NamedTuple):
    begin: Callable[[], Any]
    """The function; of a coroutine, what starts it."""
    done: Done
    since: float
    """On this process' monotonic clock."""


class Slots:
    """Runs functions, and tells for each what it returned or raised."""

    def __init__(self, limit: Callable[[], int]) -> None:
        """Run so many functions at once, and as many coroutines; what hangs may be counted in, and cost no slot."""
        self._limit = limit
        self.took: float | None = None
        """Seconds that a handler takes, in the mean of the latest; None before there was one."""
        self._todo: deque[_Waiting] = deque()
        self._later: deque[_Waiting] = deque()
        """Coroutines that wait for others to end."""
        self._turning = 0
        """How many coroutines run."""
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
            self._todo.append(_Waiting(function, done, time.monotonic()))
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

        def begin() -> None:
            awaiting = self._await(lambda: self._named(name, make), timeout, done)
            asyncio.run_coroutine_threadsafe(awaiting, self._running_loop())

        with self._lock:
            if self._turning >= self._limit():
                self._later.append(_Waiting(begin, done, time.monotonic()))
                return
            self._turning += 1
        begin()

    @property
    def waited(self) -> float:
        """For how many seconds the first of what waits does; 0 if nothing does."""
        with self._lock:
            firsts = [waiting[0].since for waiting in (self._todo, self._later) if waiting]
        return time.monotonic() - min(firsts) if firsts else 0.0

    @property
    def waiting(self) -> int:
        """How much has not begun."""
        return len(self._todo) + len(self._later)

    def withdraw(self, those: Collection[Done]) -> list[Done]:
        """Take back those that have not begun, told by what is called when they are done; return these."""
        with self._lock:
            taken = [waiting for waiting in (*self._todo, *self._later) if waiting.done in those]
            for waiting in taken:
                (self._todo if waiting in self._todo else self._later).remove(waiting)
        return [waiting.done for waiting in taken]

    def go_on(self) -> None:
        """Begin with what waits, now that the limit is higher."""
        with self._lock:
            self._call()
            ready = [
                self._later.popleft() for _ in range(min(len(self._later), self._limit() - self._turning))
            ]
            self._turning += len(ready)
        for waiting in ready:
            waiting.begin()

    def _ended(self, began: float) -> None:
        took = time.monotonic() - began
        self.took = took if self.took is None else self.took + (took - self.took) / LATEST

    def _call(self) -> None:
        """Call a thread to what waits, if none is on its way and not too many are busy. The lock is held."""
        if self._called or not self._todo or self._busy >= self._limit():
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
        called = True
        looked, ours = -LOOK_AFTER, connections.all(initialized_only=True)
        while (taken := self._next(bell, called)) is not None:
            function, done, _ = taken
            called = False
            result, fault, began = None, None, time.monotonic()
            if began - looked >= LOOK_AFTER or any(map(_has_news, ours)):
                close_old_connections()
                looked = began
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
                self._ended(began)
            done(result, fault)
        connections.close_all()

    def _next(self, bell: threading.Lock, called: bool) -> _Waiting | None:
        """Wait for something to run, and call another thread if there is more; None after a while without.

        Who was ``called`` is on its way until it has taken something: a moment in which it is neither that
        nor busy would be one in which another is called, and more run at once than may.
        """
        while True:
            with self._lock:
                if called:
                    self._called = False
                if self._todo and self._busy < self._limit():
                    self._busy += 1
                    taken = self._todo.popleft()
                    self._call()
                    return taken
                self._resting.append(bell)
            if not self._is_called(bell):
                return None
            called = True

    def _is_called(self, bell: threading.Lock) -> bool:
        """Rest until somebody rings; false, and no longer among those that can be called, after a while."""
        rung = bell.acquire(timeout=SPARE)
        with self._lock:
            if not rung and bell in self._resting:
                self._resting.remove(bell)
                self._threads -= 1
                return False
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

    async def _await(self, make: Callable[[], Any], timeout: float, done: Done) -> None:
        result, fault, began = None, None, time.monotonic()
        try:  # in this very task: what ends a program would, beyond it, end the loop of all others
            async with asyncio.timeout(timeout) as limit:
                result = await make()
        except BaseException as raised:  # as of a plain handler
            fault = TimedOut(timeout) if limit.expired() else raised
        with self._lock:
            self._ended(began)
            following = self._later.popleft() if self._later and self._turning <= self._limit() else None
            self._turning -= following is None
        done(result, fault)
        if following is not None:
            following.begin()


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
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as ended:  # raised in a task that a handler made for itself
            log.error("a task of a handler's own raised %s; its loop goes on", type(ended).__name__)
        else:
            break
    loop.close()


async def _retire() -> None:
    """End this event loop, once whatever runs in it has ended; it is given nothing more."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    asyncio.get_running_loop().stop()
