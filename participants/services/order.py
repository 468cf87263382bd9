"""OrderService: in the choreography of an order, it decides what is asked for next. It keeps no books."""

from collections.abc import Iterator
from typing import Any

from sagas import SagaContext, publish, subscribe

#: After this event, that is asked for, as long as all goes well.
NEXT = {
    "OrderCreated": "ReserveInventory",
    "InventoryReserved": "ProcessPayment",
    "PaymentProcessed": "CreateShipment",
    "ShipmentCreated": "OrderFulfilled",
}
#: What says that something was done -> what takes it back, the latest first.
UNDO = {
    "ShipmentCreated": "CancelShipment",
    "PaymentProcessed": "RefundPayment",
    "InventoryReserved": "ReleaseInventory",
}
#: What asks for it to be taken back -> what says that it is.
UNDONE = {
    "CancelShipment": "ShipmentCancelled",
    "RefundPayment": "PaymentRefunded",
    "ReleaseInventory": "InventoryReleased",
}
#: What was asked for -> what says that it was done, and what, that nothing was.
ANSWERS = {
    "ReserveInventory": ("InventoryReserved", "InventoryFailed"),
    "ProcessPayment": ("PaymentProcessed", "PaymentFailed"),
    "CreateShipment": ("ShipmentCreated", "ShipmentFailed"),
}
TURNING = (*(refused for _, refused in ANSWERS.values()), "OrderCancelled")
#: What is passed on of what was done; the order's own data everybody has.
_KNOWN = ("total_amount", "reservation_id", "payment_id", "tracking_number")


def go_on(context: SagaContext) -> None:
    """Ask for what comes next, or take back what was done; an order has failed only when all of that is undone."""
    told = context.published
    if not any(event in told for event in TURNING):
        _publish(context, NEXT[context.event])
        return
    for done, undo in UNDO.items():
        if done in told and undo not in told:
            _publish(context, undo)
    if "OrderFailed" not in told and not any(_open(context)):
        _publish(context, "OrderFailed", reason=_reason(context))


for _event in (*NEXT, *TURNING, *UNDONE.values()):
    subscribe(_event, name="OrderService", inbox=True)(go_on)


def _open(context: SagaContext) -> Iterator[str]:
    """Yield what is asked for and not answered, and what was done and is not undone."""
    told = context.published
    for asked, answers in ANSWERS.items():
        if asked in told.keys() - {*context.undelivered} and not any(answer in told for answer in answers):
            yield asked
    for done, undo in UNDO.items():
        if done in told and UNDONE[undo] not in told:
            yield done


def _publish(context: SagaContext, event: str, **more: Any) -> None:
    """Publish an event with the order's id, and all that is known by now of what was done about it."""
    known = {k: v for data in context.published.values() for k, v in data.items() if k in _KNOWN}
    publish(event, {"order_id": context["order_id"], **known, **more})


def _reason(context: SagaContext) -> str:
    reasons = (context.published[event].get("reason") for event in TURNING if event in context.published)
    return next(filter(None, reasons), "")
