"""The same order as a choreography: nobody directs it, four services react to events and publish others."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from participants.faults import patience
from participants.sagas.drillable import Drillable
from participants.sagas.order import OrderData, OrderFulfillment

# The subscribers are registered by being imported.
from participants.services import choreographed, order  # noqa: F401
from sagas import Choreography, Reaction, Retry

SOON = Retry(max_attempts=5, first=0.5, cap=5)


class ChoreographedOrder(OrderData):
    """An order that only the shop's own vans can carry: the express carrier hears commands, and no events."""

    @field_validator("carrier")
    @classmethod
    def is_our_own(cls, carrier: str | None) -> str | None:
        """Refuse what nobody would heed."""
        if carrier is not None:
            text = (
                "the {carrier} carrier reacts to no events, so it carries no choreographed order: leave it out for "
                "the shop's own vans, or start an OrderFulfillment or an OrderFunction"
            )
            raise PydanticCustomError("carrier", text, {"carrier": carrier})
        return carrier


class OrderChoreography(Drillable, Choreography):
    """Reserve, charge and ship by events alone; what was done is taken back by events as well."""

    saga_type = "OrderChoreography"
    data_model = ChoreographedOrder
    sample_data: ClassVar[Mapping[str, Any]] = OrderFulfillment.sample_data
    first_event = "OrderCreated"
    completed_events = ("OrderFulfilled",)
    failed_events = ("OrderFailed",)
    turning_events = ("InventoryFailed", "PaymentFailed", "ShipmentFailed")
    compensation_event = "OrderCancelled"
    within = 3600.0

    def define_steps(self, data: Mapping[str, Any]) -> list[Reaction]:
        """Return what the services are asked for, each with its undo, and how the order's own service goes on."""
        patient = patience(data, "PaymentService.ProcessPayment")
        return [
            _on("OrderCreated", may_publish=("ReserveInventory", *BACK)),
            _service(
                "reserve_inventory", "Inventory", "ReserveInventory", ("InventoryReserved", "InventoryFailed")
            ),
            _on("InventoryReserved", may_publish=("ProcessPayment", *BACK)),
            replace(
                _service(
                    "process_payment", "Payment", "ProcessPayment", ("PaymentProcessed", "PaymentFailed")
                ),
                timeout=patient,
                retry=replace(SOON, max_attempts=8),
            ),
            _on("PaymentProcessed", may_publish=("CreateShipment", *BACK)),
            _service("create_shipment", "Shipping", "CreateShipment", ("ShipmentCreated", "ShipmentFailed")),
            _on("ShipmentCreated", may_publish=("OrderFulfilled", *BACK)),
            Reaction("send_confirmation", on="OrderFulfilled", by="NotificationService", retry=SOON),
            *(_on(event, may_publish=BACK) for event in (*self.turning_events, self.compensation_event)),
            _undo("cancel_shipment", "Shipping", "CancelShipment", "ShipmentCancelled", of="create_shipment"),
            _undo("refund_payment", "Payment", "RefundPayment", "PaymentRefunded", of="process_payment"),
            _undo(
                "release_inventory",
                "Inventory",
                "ReleaseInventory",
                "InventoryReleased",
                of="reserve_inventory",
            ),
            *(_on(event, may_publish="OrderFailed") for event in order.UNDONE.values()),
        ]


#: What the order's own service publishes on the way back.
BACK = (*order.UNDO.values(), "OrderFailed")


def _on(event: str, **published: Any) -> Reaction:
    """Return how the order's own service goes on after an event."""
    return Reaction(f"after_{event}", on=event, by="OrderService", retry=SOON, **published)


def _service(name: str, service: str, on: str, publishes: tuple[str, ...]) -> Reaction:
    return Reaction(name, on=on, by=f"{service}Service", publishes=publishes, within=60.0, retry=SOON)


def _undo(name: str, service: str, on: str, publishes: str, *, of: str) -> Reaction:
    return replace(_service(name, service, on, (publishes,)), compensates=of)
