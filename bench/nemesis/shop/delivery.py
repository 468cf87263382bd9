"""The demo's order, carried by the express carrier, who is a process elsewhere; as patient as the rest of this shop."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.nemesis.shop.asking import STUBBORN, USUAL
from participants.sagas import OrderFulfillment
from sagas import SagaStep


class Delivery(OrderFulfillment):
    """Its services keep their own books: the shop's are in the desk's database, the carrier's in a file."""

    saga_type = "ChaosDelivery"

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the demo's steps, and one behind them that is refused at times: then all is called back."""
        steps = [replace(step, **USUAL, probe_retry=STUBBORN) for step in super().define_steps(data)]
        return [*steps, SagaStep("tip", "MoneyService.Do", "MoneyService.Undo", **USUAL)]
