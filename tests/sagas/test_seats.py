"""How the web process takes requests: a few at a time, each in a thread that stays."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.db.backends.signals import connection_created

from sagaproject import seats
from sagaproject.seats import SEATS, in_turns


def test_a_burst_of_requests_is_served_a_few_at_a_time_and_all_of_it() -> None:
    assert asyncio.run(_burst("/sagas/")) == (SEATS, 5 * SEATS)


def test_whether_the_process_lives_is_answered_out_of_turn() -> None:
    assert asyncio.run(_burst("/healthz")) == (5 * SEATS, 5 * SEATS)


async def _burst(path: str) -> tuple[int, int]:
    """Send many requests at once; return how many were in the application together, and how many came to their ends."""
    inside, most, done = 0, 0, 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal inside, most, done
        inside += 1
        most = max(most, inside)
        for _ in range(100):  # turns of the loop, in which others may come in
            await asyncio.sleep(0)
        inside -= 1
        done += 1

    served = in_turns(app)
    await asyncio.gather(*(served({"path": path}, None, None) for _ in range(5 * SEATS)))
    return most, done


def _run(story: Coroutine[Any, Any, None]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await story

    asyncio.run(within())


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[list[Any]]:
    """What connections are made in the seats' threads, where they are kept as in the web process."""
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 600)
    made: list[Any] = []

    def note(connection: Any, **_: Any) -> None:
        if threading.current_thread().name.startswith("request"):
            made.append(connection)

    connection_created.connect(note)
    yield made
    connection_created.disconnect(note)


def test_a_page_finds_the_connection_open_that_the_one_before_it_left(
    made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        served = in_turns(ASGIHandler(), 1)
        for _ in range(3):
            assert await _page(served) in {200, 503}  # whether there is a worker does not matter
        assert len(made) == 1
        monkeypatch.setattr(seats, "KEPT", 0.0)
        await _page(served)
        while made[0].connection is not None:  # nobody comes, and it is let go
            await asyncio.sleep(0.01)
        await _page(served)
        assert len(made) == 2
        while made[1].connection is not None:
            await asyncio.sleep(0.01)

    _run(story())


@pytest.mark.only_on("postgresql")
def test_a_connection_that_is_broken_is_made_anew_for_the_page_that_finds_it(
    made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        served = in_turns(ASGIHandler(), 1)
        before = await _page(served)
        made[0].connection.close()  # behind Django's back, as a server would that is started again
        monkeypatch.setattr(seats, "KEPT", 0.0)
        assert await _page(served) == before
        assert len(made) == 2
        while made[1].connection is not None:
            await asyncio.sleep(0.01)

    _run(story())


async def _page(served: Any) -> int:
    """Ask for a page that asks the database; return its status."""
    answered: list[dict[str, Any]] = []
    left = [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Future()  # the client stays
        return left.pop()

    async def send(part: dict[str, Any]) -> None:
        answered.append(part)

    scope = {"type": "http", "method": "GET", "path": "/readyz", "query_string": b""}
    await served({**scope, "headers": [(b"host", b"localhost")]}, receive, send)
    return int(answered[0]["status"])


def test_whoever_hangs_up_leaves_no_seat_in_which_others_would_wait() -> None:
    async def story() -> None:
        entered, go_on = threading.Event(), threading.Event()

        def slow(path: str) -> None:
            entered.set()
            assert go_on.wait(timeout=30)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await sync_to_async(slow if scope["path"] == "/slow" else served.append)(scope["path"])

        served: list[str] = []
        serve = in_turns(app, 2)
        hanging = asyncio.create_task(serve({"path": "/slow"}, None, None))
        while not entered.is_set():
            await asyncio.sleep(0.01)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        for n in range(3):  # one after the other in the other seat
            await serve({"path": f"/{n}"}, None, None)
        assert served == ["/0", "/1", "/2"]
        go_on.set()

    _run(story())
