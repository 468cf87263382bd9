"""What the tests of child sagas share: a worker that serves all of it, and nothing left of the test before."""

from collections.abc import Iterator

import pytest

from sagas.engine import Pump
from tests.sagas import kin
from tests.sagas.children.family import QUEUES


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    yield
    kin.answers.clear()
    kin.standing.clear()
    kin.undone.clear()


@pytest.fixture
def pump() -> Pump:
    """A worker that serves all of it."""
    return Pump(QUEUES, "test-worker")
