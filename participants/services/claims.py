"""ClaimsService: takes up what customers want back, and sets the money aside for it."""

from typing import Any

from django.db.models import F
from django.utils import timezone
from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Budget, Claim, ClaimsInbox, Effect
from sagas import Rejected, command
from sagas.inbox import once

#: The budget that refunds come out of.
GOODWILL = "goodwill"


class Wish(BaseModel):
    """What the claims desk wants to know of a refund."""

    amount_cents: int = Field(gt=0)
    reason: str = Field(min_length=1, max_length=500)


@command("ClaimsService.OpenClaim", model=Wish)
@staged
@once(ClaimsInbox)
def open_claim(refund: Any) -> dict[str, Any]:
    """Set the amount aside. Rejected if the budget does not hold so much."""
    amount = refund.input.amount_cents
    claim = Claim.objects.create(
        **Effect.origin(refund), budget_id=GOODWILL, amount_cents=amount, reason=refund.input.reason
    )
    _set_aside(amount)
    return {"claim": claim.number, "amount": f"{amount / 100:.2f}"}


@command("ClaimsService.WithdrawClaim")
@staged
@once(ClaimsInbox)
def withdraw_claim(undo: Any) -> dict[str, Any]:
    """Give the amount back to the budget."""
    claim = Claim.objects.get(key=undo.meta.undoes)
    if claim.withdrawn_at is None:
        claim.withdrawn_at = timezone.now()
        claim.save(update_fields=["withdrawn_at"])
        Budget.objects.filter(name=claim.budget_id).update(left_cents=F("left_cents") + claim.amount_cents)
    return {"claim": claim.number}


def _set_aside(amount: int) -> None:
    """Check and take in one statement, so that two claims cannot be given the same money."""
    enough = Budget.objects.filter(name=GOODWILL, left_cents__gte=amount)
    if not enough.update(left_cents=F("left_cents") - amount):
        left = Budget.objects.get(name=GOODWILL).left_cents
        raise Rejected(f"the budget is spent: {amount / 100:.2f} wanted, {left / 100:.2f} left")
