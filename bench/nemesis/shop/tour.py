"""A durable function, and a saga that has one as its child."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from bench.nemesis.shop.asking import QUICK, STUBBORN, TIMEOUT, USUAL
from sagas import Rejected, SagaOrchestrator, SagaStep, child, durable_saga

#: Seconds that a night takes.
NIGHT = 0.5


def _step(saga: Any, name: str, service: str) -> Any:
    return saga.step(name, f"{service}.Do", undo=f"{service}.Undo", **USUAL)


@durable_saga("ChaosTour", sample_data={"order": "o-1"}, retry=QUICK, timeout=TIMEOUT)
def tour(saga: Any, data: Mapping[str, Any]) -> Any:
    """Two days with a night between: coach and lunch side by side, then a guide, or a book where there is none."""
    for day in (1, 2):
        saga.parallel(
            lambda: _step(saga, "coach", "StockService"),
            lambda: _step(saga, "lunch", "ShipService"),
        )
        try:
            _step(saga, "guide", "MoneyService")
        except Rejected:
            _step(saga, "book", "TicketService")
        if day == 1:
            saga.wait("night", timedelta(seconds=NIGHT))


class Holiday(SagaOrchestrator):
    """A tour stands in the middle: if what comes after it is refused, all of it is undone by another saga."""

    saga_type = "ChaosHoliday"
    sample_data: ClassVar = {"order": "o-1", "tour": {"order": "o-1"}}

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Reserve, have the tour, pay."""
        return [
            SagaStep("reserve", "StockService.Do", "StockService.Undo", **USUAL),
            child("tour", "ChaosTour", data="tour", retry=QUICK, undo_retry=STUBBORN),
            SagaStep("pay", "MoneyService.Do", "MoneyService.Undo", **USUAL),
        ]
