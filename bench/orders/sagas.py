"""The order saga of the benchmarks. Its handlers keep no tables, as the peers' steps keep none."""

from collections.abc import Mapping
from typing import Any

from bench.engines.order import Refused, act, undo
from bench.orders import growing, slow  # noqa: F401 - their types are registered by being imported
from sagas import Rejected, SagaOrchestrator, SagaStep, command

COMMANDS = {
    "reserve": ("InventoryService.Reserve", "InventoryService.Release"),
    "charge": ("PaymentService.Charge", "PaymentService.Refund"),
    "ship": ("ShippingService.Ship", "ShippingService.Recall"),
    "notify": ("NotificationService.Notify", None),
}


class BenchOrder(SagaOrchestrator):
    """Reserve, charge, ship, notify."""

    saga_type = "BenchOrder"

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the same four steps for every order."""
        return [
            SagaStep(name=step, action=action, compensation=compensation)
            for step, (action, compensation) in COMMANDS.items()
        ]


def _do(given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return act(given["step_name"], given["order"], given["variant"])
    except Refused as no:
        raise Rejected(str(no)) from no


def _take_back(given: Mapping[str, Any]) -> dict[str, Any]:
    return undo(given["step_name"], given["order"])


for _action, _compensation in COMMANDS.values():
    command(_action, inbox=True)(_do)
    if _compensation:
        command(_compensation, inbox=True)(_take_back)
