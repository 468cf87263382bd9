"""The trip form: who goes where, and how it is paid."""

from typing import Any

from django import forms

from participants.demos import TRIP
from participants.demos.trip import NO_CAR
from participants.forms.demo import DemoForm
from participants.models import CarClass, Flight, Hotel, Offer


class TripForm(DemoForm):
    """A trip, as many times as wanted. What is left open, chance chooses."""

    demo = TRIP
    how = (*DemoForm.how, "payment_method", "hold_on_failure")

    flight = forms.ChoiceField(required=False)
    fare = forms.ChoiceField(
        choices=[("flexible", "Flexible"), ("saver", "Saver: cannot be cancelled")], required=False
    )
    travellers = forms.IntegerField(
        required=False, min_value=1, max_value=9, help_text="A ticket for each; empty: one to three."
    )
    hotel = forms.ChoiceField(required=False)
    nights = forms.IntegerField(required=False, min_value=1, max_value=30)
    car = forms.ChoiceField(required=False)
    payment_method = forms.ChoiceField(
        required=False, help_text="A scenario about payment brings its own card."
    )
    hold_on_failure = forms.BooleanField(
        required=False, label="Hold on failure", help_text="Ask an operator instead of rolling back."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer("flight", [("", "Any"), *_offered(Flight)])
        self.offer("hotel", [("", "Any"), *_offered(Hotel)])
        self.offer("car", [("", "Any"), (NO_CAR, "No car"), *_offered(CarClass)])
        self.offer_cards()

    def trip_fields(self) -> list[forms.BoundField]:
        """Return the fields that say where the trip goes."""
        return [self[name] for name in ("flight", "fare", "travellers", "hotel", "nights", "car")]

    def choices(self) -> dict[str, Any]:
        """Return what was chosen."""
        chosen = (
            *("flight", "fare", "travellers", "hotel", "nights", "car"),
            *("payment_method", "hold_on_failure"),
        )
        given = {name: self.cleaned_data[name] for name in chosen if self.cleaned_data[name]}
        return {"customer_id": self.customer(), **given}


def _offered(offers: type[Offer]) -> list[tuple[str, str]]:
    return list(offers._default_manager.values_list("code", "name"))
