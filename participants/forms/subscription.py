"""The subscription form: which plan, for how long, and how long a day lasts."""

from typing import Any

from django import forms

from participants.demos import SUBSCRIPTION
from participants.demos.subscription import DAY, MONTHS
from participants.forms.demo import DemoForm
from participants.models import Plan


class SubscriptionForm(DemoForm):
    """A subscription, as many times as wanted. What is left open, chance chooses, or the scenario."""

    demo = SUBSCRIPTION
    how = (*DemoForm.how, "day", "payment_method", "hold_on_failure")

    plan = forms.ChoiceField(required=False)
    months = forms.IntegerField(required=False, min_value=1, max_value=60, initial=MONTHS)
    cancel_after = forms.IntegerField(
        required=False, min_value=1, max_value=60, label="Cancel after month", help_text="Empty: not at all."
    )
    day = forms.FloatField(
        required=False,
        initial=DAY,
        min_value=0.01,
        max_value=86400,
        label="Seconds per day",
        help_text="A month has thirty; a declined charge is tried again after three, then four.",
    )
    payment_method = forms.ChoiceField(required=False)
    hold_on_failure = forms.BooleanField(
        required=False,
        label="Hold on failure",
        help_text="Ask an operator instead of reminding the customer.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plans = [(p.code, f"{p.name}, {p.price_cents / 100:.2f} a month") for p in Plan.objects.all()]
        self.offer("plan", [("", "Any"), *plans])
        self.offer_cards()

    def subscription_fields(self) -> list[forms.BoundField]:
        """Return the fields that say what is subscribed to."""
        return [self[name] for name in ("plan", "months", "cancel_after")]

    def choices(self) -> dict[str, Any]:
        """Return what was chosen."""
        chosen = ("plan", "months", "cancel_after", "day", "payment_method", "hold_on_failure")
        return {"customer_id": self.customer(), **{name: self.cleaned_data[name] for name in chosen}}
