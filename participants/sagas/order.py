"""An order is fulfilled by four services, or by none."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, Field

from participants.carrier.moods import MOODS
from participants.faults import patience
from participants.sagas.drillable import Drillable
from participants.scenarios import Played
from participants.scenarios.order import SCENARIOS

# The handlers are registered by being imported.
from participants.services import inventory, notification, payment, shipping  # noqa: F401
from participants.services.inventory import Item
from participants.services.shipping import Address
from sagas import Retry, SagaStep

#: The shop's services are near: try again soon, and give up soon.
SOON = Retry(max_attempts=5, first=0.5, cap=5)


class Demo(Played):
    """What an order asks of the demo."""

    scenarios = SCENARIOS
    carrier: Literal[tuple(MOODS)] | None = None  # type: ignore[valid-type]
    """The express carrier's mood."""


class OrderData(BaseModel, extra="forbid"):
    """An order, as it must be for its saga to start."""

    order_id: str = Field(min_length=1, max_length=100)
    customer_id: str = Field(min_length=1, max_length=100)
    items: list[Item] = Field(min_length=1, max_length=50)
    payment_method: str = Field(min_length=1, max_length=100)
    shipping_address: Address
    hold_on_failure: bool = Field(default=False, strict=True)
    """When a step fails, wait for an operator instead of rolling back."""
    carrier: Literal["express"] | None = None
    """Who carries it: the shop's own vans, or the express carrier, which is a service elsewhere."""
    demo: Demo | None = None


class OrderFulfillment(Drillable):
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
        """Return the four steps."""
        hold = data.get("hold_on_failure", False)
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
                timeout=patience(data, "PaymentService.ProcessPayment"),
                retry=replace(SOON, max_attempts=8),
                undo_retry=SOON,
                hold=hold,
            ),
            SagaStep(name="create_shipment", retry=SOON, hold=hold, **carried_by(data.get("carrier"))),
            SagaStep(
                name="send_confirmation",
                action="NotificationService.SendOrderConfirmation",
                compensation="NotificationService.SendCancellationNotice",
                hold=hold,
            ),
        ]


def carried_by(carrier: str | None) -> dict[str, Any]:
    """Return the commands of who carries the parcel. The express carrier can be asked what became of one."""
    if carrier is None:
        return {"action": "ShippingService.CreateShipment", "compensation": "ShippingService.CancelShipment"}
    asks = dict.fromkeys(("probe", "undo_probe"), "CarrierService.WhatBecameOf")
    commands = {"action": "CarrierService.BookPickup", "compensation": "CarrierService.CancelPickup"}
    return {**commands, **asks, "timeout": 10}
