"""The order form: what to buy, how it is paid, where it goes."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from participants.demos import CHOREOGRAPHY, FUNCTION, ORDER
from participants.forms.demo import DemoForm
from participants.models import Product
from participants.services.shipping import region_of

QUANTITY = "quantity_"


class OrderForm(DemoForm):
    """An order, as many times as wanted. Fields for the products are made from the shop's stock."""

    demo = ORDER
    how = (*DemoForm.how, "payment_method", "shipping_address", "carrier", "hold_on_failure")

    payment_method = forms.ChoiceField(
        required=False, help_text="A scenario about payment brings its own card."
    )
    shipping_address = forms.CharField(
        required=False,
        max_length=300,
        strip=True,
        help_text="Ends with the country; left empty, the customer's own.",
    )
    carrier = forms.ChoiceField(
        required=False,
        choices=[("", "The shop's own vans"), ("express", "The express carrier, a service elsewhere")],
        help_text="Scenarios about the carrier are played by the vans.",
    )
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
        self.offer_cards()

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

    def choices(self) -> dict[str, Any]:
        """Return what was chosen."""
        chosen = ("payment_method", "shipping_address", "carrier", "hold_on_failure")
        return {
            "items": self.items() or None,
            "customer_id": self.customer(),
            **{name: self.cleaned_data[name] for name in chosen if name in self.cleaned_data},
        }


class ChoreographyForm(OrderForm):
    """The same order, choreographed; only the shop's own vans react to its events."""

    demo = CHOREOGRAPHY
    how = tuple(name for name in OrderForm.how if name != "carrier")
    carrier = None


class FunctionForm(OrderForm):
    """The same order, as a durable function."""

    demo = FUNCTION
