"""Threads in which requests take turns; each keeps its connection to the database for the request that comes next."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

App = Callable[..., Any]

#: Requests that are served at a time; the others wait their turn.
SEATS = 16
#: Seconds after which a thread that nobody needs lets its connection go.
KEPT = 60.0


class Seat:
    """A thread, for one request at a time."""

    def __init__(self) -> None:
        """Start nothing: the thread begins with the first request."""
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="request")
        self._rest: asyncio.TimerHandle | None = None

    def taken(self) -> ThreadSensitiveContext:
        """Return the context in which Django runs what is not asynchronous in this thread."""
        if self._rest is not None:
            self._rest.cancel()
        return ThreadSensitiveContext(executor=self._thread)

    def left(self, free: "asyncio.LifoQueue[Seat]") -> None:
        """Be free again once the thread is: whoever hangs up may leave a page behind that is still being made."""
        loop = asyncio.get_running_loop()

        def is_free() -> None:
            self._rest = loop.call_later(KEPT, self._thread.submit, connections.close_all)
            free.put_nowait(self)

        self._thread.submit(loop.call_soon_threadsafe, is_free)


def in_turns(app: App, seats: int = SEATS) -> App:
    """Let requests wait for a seat: a burst must not use up the database's connections, which workers need.

    The seat that was left last is taken first, so that its connection is the one most likely to be open still.
    """
    free: asyncio.LifoQueue[Seat] = asyncio.LifoQueue()
    for _ in range(seats):
        free.put_nowait(Seat())

    async def inner(scope: dict[str, Any], receive: App, send: App) -> None:
        if scope["path"] == "/healthz":  # says that the process lives, however much it has to do
            await app(scope, receive, send)
            return
        seat = await free.get()
        try:
            async with seat.taken():
                await app(scope, receive, send)
        finally:
            seat.left(free)

    return inner
