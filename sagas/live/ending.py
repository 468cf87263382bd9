"""Ending a task that runs until it is cancelled."""

import asyncio


def heed() -> None:
    """Raise CancelledError if this task was cancelled, and what it waited for kept that to itself.

    redis-py does while it connects; so does ``asyncio.wait_for``, up to Python 3.11, for what is just done.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
