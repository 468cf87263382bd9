"""The same order as a durable function: plain Python, run again from its record whenever a step has ended."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from participants.faults import patience
from participants.sagas.drillable import DRILLED
from participants.sagas.order import SOON, OrderData, OrderFulfillment, carried_by
from sagas import durable_saga


@durable_saga("OrderFunction", data_model=OrderData, sample_data=OrderFulfillment.sample_data, **DRILLED)
def order_function(saga: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Reserve the goods, charge the customer, hand over the parcel, confirm. What is refused rolls it back."""
    hold = data.get("hold_on_failure", False)
    saga.step(
        "reserve_inventory",
        "InventoryService.ReserveItems",
        undo="InventoryService.ReleaseReservation",
        hold=hold,
    )
    payment = saga.step(
        "process_payment",
        "PaymentService.ProcessPayment",
        undo="PaymentService.RefundPayment",
        timeout=patience(data, "PaymentService.ProcessPayment"),
        retry=replace(SOON, max_attempts=8),
        undo_retry=SOON,
        hold=hold,
    )
    commands = carried_by(data.get("carrier"))
    action, undo = commands.pop("action"), commands.pop("compensation")
    parcel = saga.step("create_shipment", action, undo=undo, retry=SOON, hold=hold, **commands)
    saga.step(
        "send_confirmation",
        "NotificationService.SendOrderConfirmation",
        undo="NotificationService.SendCancellationNotice",
        hold=hold,
    )
    return {"payment": payment, "parcel": parcel}
