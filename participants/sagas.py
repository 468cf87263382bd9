"""The shop's saga: an order is fulfilled by four services, or by none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import BaseModel, Field, field_validator

# The handlers are registered by being imported.
from participants import inventory, notification, payment, shipping  # noqa: F401
from participants.faults import MAX_PACE, PATIENCE, SLOW_SCENARIO, demo_of
from participants.inventory import Item
from participants.scenarios import SCENARIOS
from participants.shipping import Address
from sagas import Retry, SagaOrchestrator, SagaStep


class Demo(BaseModel, extra="forbid"):
    """What an order asks of the demo: which scenario is played, and how many seconds each step takes."""

    scenario: str | None = None
    pace: float = Field(default=0, ge=0, le=MAX_PACE, allow_inf_nan=False)

    @field_validator("scenario")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        if name is not None and name not in SCENARIOS:
            raise ValueError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
        return name


class OrderData(BaseModel, extra="forbid"):
    """An order, as it must be for its saga to start."""

    order_id: str = Field(min_length=1, max_length=100)
    customer_id: str = Field(min_length=1, max_length=100)
    items: list[Item] = Field(min_length=1, max_length=50)
    payment_method: str = Field(min_length=1, max_length=100)
    shipping_address: Address
    hold_on_failure: bool = Field(default=False, strict=True)
    """When a step fails, wait for an operator instead of rolling back."""
    demo: Demo | None = None


class OrderFulfillment(SagaOrchestrator):
    """Reserve the goods, charge the customer, hand over the parcel, confirm."""

    saga_type = "OrderFulfillment"
    data_model = OrderData
    sample_data: ClassVar[Mapping[str, Any]] = {
        "order_id": "ORD-SAMPLE",
        "customer_id": "ada",
        "items": [{"sku": "TEA-100", "quantity": 2}],
        "payment_method": "card-ada",
        "shipping_address": "12 Analytical Row, London, United Kingdom",
    }

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the four steps; the shop's services are near, so it tries again soon and gives up soon."""
        hold = data.get("hold_on_failure", False)
        soon = Retry(max_attempts=5, first=0.5, cap=5)
        return [
            SagaStep(
                name="reserve_inventory",
                action="InventoryService.ReserveItems",
                compensation="InventoryService.ReleaseReservation",
                hold=hold,
            ),
            SagaStep(
                name="process_payment",
                action="PaymentService.ProcessPayment",
                compensation="PaymentService.RefundPayment",
                timeout=_payment_timeout(data),
                retry=replace(soon, max_attempts=8),
                undo_retry=soon,
                hold=hold,
            ),
            SagaStep(
                name="create_shipment",
                action="ShippingService.CreateShipment",
                compensation="ShippingService.CancelShipment",
                retry=soon,
                hold=hold,
            ),
            SagaStep(
                name="send_confirmation",
                action="NotificationService.SendOrderConfirmation",
                compensation="NotificationService.SendCancellationNotice",
                hold=hold,
            ),
        ]


def _payment_timeout(data: Mapping[str, Any]) -> float:
    """Half a minute for the bank; in the scenario that is about it, seconds. The demo's pace counts on top."""
    scenario, pace = demo_of(data)
    return (PATIENCE if scenario == SLOW_SCENARIO else 30.0) + pace
