"""How the web process takes requests."""

import asyncio
from typing import Any

from sagaproject.asgi import REQUESTS, a_few_at_once


def test_a_burst_of_requests_is_served_a_few_at_a_time_and_all_of_it() -> None:
    assert asyncio.run(_burst("/sagas/")) == (REQUESTS, 5 * REQUESTS)


def test_whether_the_process_lives_is_answered_out_of_turn() -> None:
    assert asyncio.run(_burst("/healthz")) == (5 * REQUESTS, 5 * REQUESTS)


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

    served = a_few_at_once(app)
    await asyncio.gather(*(served({"path": path}, None, None) for _ in range(5 * REQUESTS)))
    return most, done
