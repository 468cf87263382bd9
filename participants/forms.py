"""The order form: what to buy, how it is paid, where it goes, and what shall happen to it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from participants import orders
from participants.faults import MAX_PACE
from participants.models import Account, Product
from participants.opening import CUSTOMERS
from participants.scenarios import DEFAULT, SCENARIOS
from participants.shipping import region_of
from sagas.models import Saga

QUANTITY = "quantity_"
MOST = 500


class OrderForm(forms.Form):
    """An order, as many times as wanted. Fields for the products are made from the shop's stock."""

    payment_method = forms.ChoiceField(
        required=False, help_text="A scenario about payment brings its own card."
    )
    shipping_address = forms.CharField(
        required=False,
        max_length=300,
        strip=True,
        help_text="Ends with the country; left empty, the customer's own.",
    )
    scenario = forms.ChoiceField(
        choices=[(s.name, s.title) for s in SCENARIOS.values()], initial=DEFAULT, label="What shall happen"
    )
    pace = forms.FloatField(
        initial=1,
        min_value=0,
        max_value=MAX_PACE,
        label="Seconds per step",
        help_text="So that there is something to watch.",
    )
    count = forms.IntegerField(initial=1, min_value=1, max_value=MOST, label="How many orders")
    hold_on_failure = forms.BooleanField(
        required=False, label="Hold on failure", help_text="Ask an operator instead of rolling back."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.products = list(Product.objects.all())
        for product in self.products:
            self.fields[QUANTITY + product.sku] = forms.IntegerField(
                required=False, min_value=0, max_value=99, label=product.name
            )
        holders = Account.objects.order_by("declined", "-balance_cents", "method")
        choices = [(a.method, f"{a.method} ({a.declined or a.holder})") for a in holders]
        self.fields["payment_method"].choices = [("", "The customer's own card"), *choices]  # type: ignore[attr-defined]

    def product_fields(self) -> list[tuple[Product, forms.BoundField]]:
        """Return each product with the field for its quantity."""
        return [(product, self[QUANTITY + product.sku]) for product in self.products]

    def clean_shipping_address(self) -> str:
        """Accept nothing, or an address that names a country."""
        address: str = self.cleaned_data["shipping_address"]
        if address:
            try:
                region_of(address)
            except ValueError:
                raise ValidationError("End the address with the country, after a comma.") from None
        return address

    def items(self) -> list[dict[str, Any]]:
        """Return what was chosen; nothing chosen means that chance chooses."""
        picked = [(p.sku, self.cleaned_data.get(QUANTITY + p.sku)) for p in self.products]
        return [{"sku": sku, "quantity": quantity} for sku, quantity in picked if quantity]

    def start(self, batch: str) -> list[Saga]:
        """Start the orders; their correlation ids begin with the batch."""
        chosen = self.cleaned_data
        return list(
            orders.start_orders(
                chosen["scenario"],
                chosen["count"],
                pace=chosen["pace"],
                batch=batch,
                items=self.items() or None,
                customer_id=self._customer(),
                payment_method=chosen["payment_method"],
                shipping_address=chosen["shipping_address"],
                hold_on_failure=chosen["hold_on_failure"],
            )
        )

    def _customer(self) -> str | None:
        """The one to whom the card belongs, if it is somebody's."""
        who = self.cleaned_data["payment_method"].removeprefix("card-")
        return who if who in CUSTOMERS else None
