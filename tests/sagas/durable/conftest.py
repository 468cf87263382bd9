"""What the tests of durable functions share: a worker that serves all of it, and a function to run."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sagas import registry
from sagas.engine import Pump
from tests.sagas import functions, shop
from tests.sagas.durable.play import Body, Play


@pytest.fixture(autouse=True)
def world() -> Iterator[shop.World]:
    with shop.world() as made:
        yield made


@pytest.fixture
def pump() -> Pump:
    return Pump(("fetch", "pay", "post", "default", "events", registry.WAITS_QUEUE), "test-worker")


@pytest.fixture
def play(pump: Pump) -> Callable[..., Play]:
    """Start a function and run it until nothing is due."""

    def start(body: Body, kind: Any = functions.errands, **data: Any) -> Play:
        return Play(pump, kind.start({"item": "book", **data})).go(body)

    return start
