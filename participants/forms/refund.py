"""The refund form: how much, to whom, why."""

from decimal import Decimal
from typing import Any

from django import forms

from participants.demos import REFUND
from participants.forms.demo import DemoForm


class RefundForm(DemoForm):
    """A refund, as many times as wanted. What is left open, chance chooses, and the scenario the amount."""

    demo = REFUND

    amount = forms.DecimalField(
        required=False,
        min_value=Decimal("0.01"),
        max_value=10**9,
        decimal_places=2,
        help_text="From 100.00 a manager is asked, from 1000.00 two; empty: as the scenario needs it.",
    )
    payment_method = forms.ChoiceField(required=False, label="Paid to")
    reason = forms.CharField(required=False, max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer_cards()

    def refund_fields(self) -> list[forms.BoundField]:
        """Return the fields that say what is paid back."""
        return [self[name] for name in ("amount", "payment_method", "reason")]

    def choices(self) -> dict[str, Any]:
        """Return what was chosen."""
        amount = self.cleaned_data["amount"]
        return {
            "customer_id": self.customer(),
            "payment_method": self.cleaned_data["payment_method"],
            "amount_cents": int(amount * 100) if amount else None,
            "reason": self.cleaned_data["reason"],
        }
