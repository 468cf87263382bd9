"""What the tests of batches share."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sagas.engine import Pump, batches
from sagas.models import Saga
from sagas.orchestrator import batch_plan
from tests.sagas import shop
from tests.sagas.running import run


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take what has moved just now, too."""
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a round of the clock take its time, however slow the machine is."""
    monkeypatch.setattr(batches, "TURN", 30)


@pytest.fixture
def held(errand: Any, pump: Pump, world: shop.World) -> Callable[[int], list[Saga]]:
    """Make so many sagas that ask for a person since nobody can be paid; from then on, everybody can."""

    def make(count: int) -> list[Saga]:
        world.behaviour["PayService.Pay"] = shop.reject("the bank is <closed>")
        sagas = [errand(hold=True) for _ in range(count)]
        run(pump)
        del world.behaviour["PayService.Pay"]
        assert Saga.objects.at_attention().filter(pk__in=[saga.pk for saga in sagas]).count() == count
        return sagas

    return make
