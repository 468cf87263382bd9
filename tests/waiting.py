"""Waiting for a condition, with a bound: what tests do instead of sleeping."""

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], within: float = 30.0) -> Any:
    """Wait for a condition, and return what made it true."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found
