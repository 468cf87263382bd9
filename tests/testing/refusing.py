"""For a run of pytest within a test: one of Booking's undos pays too little, and the outer test has the database."""

from collections.abc import Generator

import pytest

from tests.testing import broken
from tests.testing.test_drill import _pays_too_little


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    with broken.participants(Refund=_pays_too_little):
        return (yield)
