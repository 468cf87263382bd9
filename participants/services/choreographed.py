"""The services in a choreography: the same work as for their commands, asked for and answered by events.

A no is an event as well, so the delivery is done; only an order that wants to be held has it parked.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

from django.db import transaction
from pydantic import BaseModel

from participants.faults import staged
from participants.models import InventoryInbox, NotificationInbox, PaymentInbox, ShippingInbox
from participants.services import inventory, notification, payment, shipping
from sagas import Rejected, SagaContext, publish, subscribe
from sagas.inbox import Inbox, once


def _serve(
    service: str,
    inbox: type[Inbox],
    on: str,
    work: Callable[[Any], dict[str, Any]],
    done: str | None = None,
    refused: str | None = None,
    model: type[BaseModel] | None = None,
) -> None:
    """Have a service do its work on an event, once per delivery, and publish what came of it with that."""

    def serve(context: SagaContext) -> dict[str, Any]:
        try:
            with transaction.atomic():
                result = unwrap(work)(context)
        except Rejected as no:
            if refused is None or context.get("hold_on_failure"):
                raise
            publish(refused, {**context.data, "reason": str(no)})
            return {"refused": str(no)}
        if done is not None:
            publish(done, {"order_id": context["order_id"], **result})
        return result

    subscribe(on, name=f"{service}Service", queue=service.lower(), model=model)(staged(once(inbox)(serve)))


_serve(
    "Inventory",
    InventoryInbox,
    "ReserveInventory",
    inventory.reserve_items,
    done="InventoryReserved",
    refused="InventoryFailed",
    model=inventory.Goods,
)
_serve(
    "Payment",
    PaymentInbox,
    "ProcessPayment",
    payment.process_payment,
    done="PaymentProcessed",
    refused="PaymentFailed",
    model=payment.Purchase,
)
_serve(
    "Shipping",
    ShippingInbox,
    "CreateShipment",
    shipping.create_shipment,
    done="ShipmentCreated",
    refused="ShipmentFailed",
    model=shipping.Parcel,
)
_serve("Notification", NotificationInbox, "OrderFulfilled", notification.send_order_confirmation)

_serve(
    "Inventory", InventoryInbox, "ReleaseInventory", inventory.release_reservation, done="InventoryReleased"
)
_serve("Payment", PaymentInbox, "RefundPayment", payment.refund_payment, done="PaymentRefunded")
_serve("Shipping", ShippingInbox, "CancelShipment", shipping.cancel_shipment, done="ShipmentCancelled")
