"""NotificationService: writes to customers. A message cannot be unsent; its undo is a second message."""

from typing import Any

from participants.faults import staged
from participants.models import Effect, Notice, NotificationInbox
from sagas import command
from sagas.inbox import once


@command("NotificationService.SendOrderConfirmation")
@staged
@once(NotificationInbox)
def send_order_confirmation(order: Any) -> dict[str, Any]:
    """Tell the customer that the order is on its way."""
    return _confirm(order, f"Your order {order.get('order_id')} is confirmed.{_tracking(order)}")


@command("NotificationService.SendItinerary")
@staged
@once(NotificationInbox)
def send_itinerary(trip: Any) -> dict[str, Any]:
    """Tell the customer that the trip is booked, with the numbers of the tickets."""
    return _confirm(
        trip,
        f"Your trip {trip.get('trip_id')} is booked. Tickets: {', '.join(_tickets(trip)) or 'to follow'}.",
    )


@command("NotificationService.SendRefundNotice")
@staged
@once(NotificationInbox)
def send_refund_notice(refund: Any) -> dict[str, Any]:
    """Tell the customer that the money is on its way."""
    return _confirm(refund, f"Your refund {refund.get('refund_id')} is paid out.")


@command("NotificationService.SendPaymentReminder")
@staged
@once(NotificationInbox)
def send_payment_reminder(renewal: Any) -> dict[str, Any]:
    """Tell the customer that a month could not be charged, and that it will be tried again."""
    return _confirm(
        renewal, f"We could not charge month {renewal.get('month')} of {renewal.get('subscription_id')}."
    )


#: How a subscription ended -> what its customer reads.
_ENDINGS = {
    "renewed": "has run to its end. Thank you for staying.",
    "cancelled": "has ended, as you wished.",
    "downgraded": "could not be charged any longer and is free, and smaller, from now on.",
}


@command("NotificationService.SendSubscriptionNotice")
@staged
@once(NotificationInbox)
def send_subscription_notice(renewal: Any) -> dict[str, Any]:
    """Tell the customer how the subscription ended."""
    ending = _ENDINGS.get(renewal.get("ended") or "", "has ended.")
    return _confirm(renewal, f"Your subscription {renewal.get('subscription_id')} {ending}")


def _confirm(work: Any, text: str) -> dict[str, Any]:
    """Write to the customer of whatever is being confirmed."""
    notice = Notice.objects.create(
        **Effect.origin(work),
        kind=Notice.CONFIRMATION,
        customer_id=work.get("customer_id") or "",
        text=text,
    )
    return {"notice_id": notice.number}


@command("NotificationService.SendCancellationNotice")
@staged
@once(NotificationInbox)
def send_cancellation_notice(undo: Any) -> dict[str, Any]:
    """Tell the customer that the confirmation no longer holds."""
    confirmation = Notice.objects.get(key=undo.meta.undoes)
    notice = Notice.objects.filter(undoes=confirmation).first() or _take_back(confirmation, undo)
    return {"notice_id": notice.number}


def _take_back(confirmation: Notice, undo: Any) -> Notice:
    return Notice.objects.create(
        **Effect.origin(undo),
        kind=Notice.CANCELLATION,
        customer_id=confirmation.customer_id,
        text=f"{confirmation.order_id} is cancelled; please ignore what we wrote about it.",
        undoes=confirmation,
    )


def _tracking(order: Any) -> str:
    for result in order["results"].values():
        if isinstance(result, dict) and result.get("tracking_number"):
            return f" Follow it under {result['tracking_number']}."
    return ""


def _tickets(trip: Any) -> list[str]:
    issued = (result for result in trip["results"].values() if isinstance(result, dict))
    return [result["ticket"] for result in issued if result.get("ticket")]
