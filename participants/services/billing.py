"""BillingService: charges a card for a month of a subscription, once, and pays it back."""

from typing import Any

from django.db.models import F
from django.utils import timezone
from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Bill, BillingInbox, Effect, Mandate
from sagas import Rejected, command
from sagas.inbox import once


class Month(BaseModel):
    """What billing wants to know of a month."""

    payment_method: str = Field(min_length=1, max_length=100)
    month: int = Field(ge=1)
    amount_cents: int = Field(gt=0)


@command("BillingService.Charge", model=Month)
@staged
@once(BillingInbox)
def charge(renewal: Any) -> dict[str, Any]:
    """Charge a month. Rejected if the bank declines the card, or its limit does not cover it."""
    month, amount = renewal.input.month, renewal.input.amount_cents
    mandate = _mandate(renewal.input.payment_method)
    bill = Bill.objects.create(**Effect.origin(renewal), mandate=mandate, month=month, amount_cents=amount)
    _collect(mandate, amount)
    return {"bill": bill.number, "month": month, "amount": f"{amount / 100:.2f}"}


@command("BillingService.Refund")
@staged
@once(BillingInbox)
def refund(undo: Any) -> dict[str, Any]:
    """Pay a month back."""
    bill = Bill.objects.get(key=undo.meta.undoes)
    if bill.refunded_at is None:
        bill.refunded_at = timezone.now()
        bill.save(update_fields=["refunded_at"])
        same = Mandate.objects.filter(card=bill.mandate_id)
        same.update(left_cents=F("left_cents") + bill.amount_cents)
    return {"bill": bill.number}


def _mandate(card: str) -> Mandate:
    mandate = Mandate.objects.filter(card=card).first()
    if mandate is None:
        raise Rejected(f"nobody has agreed that {card} be charged")
    if mandate.refused:
        raise Rejected(f"card declined: {mandate.refused}")
    return mandate


def _collect(mandate: Mandate, amount: int) -> None:
    """Check and take in one statement, so that two months cannot spend the same money."""
    enough = Mandate.objects.filter(card=mandate.card, left_cents__gte=amount)
    if not enough.update(left_cents=F("left_cents") - amount):
        raise Rejected(f"insufficient funds: {amount / 100:.2f} wanted, {mandate.left_cents / 100:.2f} there")
