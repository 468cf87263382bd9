"""What the form of every demo has: what shall happen, how fast, how often."""

from typing import Any

from django import forms

from participants.demos.demo import Demo
from participants.faults import MAX_PACE
from participants.models import Account
from participants.opening.books import CUSTOMERS
from participants.scenarios import DEFAULT
from sagas.models import Saga

MOST = 500


class DemoForm(forms.Form):
    """Derive a demo's own form from this one."""

    demo: Demo
    #: The fields that say how, in the order in which they are shown; what they are about is a panel of its own.
    how: tuple[str, ...] = ("count", "pace")

    scenario = forms.ChoiceField(initial=DEFAULT, label="What shall happen")
    count = forms.IntegerField(initial=1, min_value=1, max_value=MOST)
    pace = forms.FloatField(
        initial=1,
        min_value=0,
        max_value=MAX_PACE,
        label="Seconds per step",
        help_text="So that there is something to watch.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["count"].label = f"How many {self.demo.name}s"
        self.offer("scenario", [(s.name, s.title) for s in self.demo.scenarios.values()])

    def offer(self, field: str, choices: list[tuple[str, str]]) -> None:
        """Let a field choose among these."""
        self.fields[field].choices = choices  # type: ignore[attr-defined]

    def offer_cards(self) -> None:
        """Let ``payment_method`` choose among the accounts at the demo bank."""
        holders = Account.objects.order_by("declined", "-balance_cents", "method")
        cards = [(a.method, f"{a.method} ({a.declined or a.holder})") for a in holders]
        self.offer("payment_method", [("", "The customer's own card"), *cards])

    def how_fields(self) -> list[forms.BoundField]:
        """Return the fields that say how."""
        return [self[name] for name in self.how]

    def choices(self) -> dict[str, Any]:
        """Return what was chosen, as the demo takes it; nothing chosen means that chance chooses."""
        raise NotImplementedError

    def start(self, batch: str, by: Any = None) -> list[Saga]:
        """Start the sagas, as a user; their correlation ids begin with the batch."""
        filled = self.cleaned_data
        started = self.demo.start(
            filled["scenario"], filled["count"], pace=filled["pace"], batch=batch, by=by, **self.choices()
        )
        return list(started)

    def customer(self) -> str | None:
        """Return the one to whom the card belongs, if it is somebody's."""
        who: str = self.cleaned_data["payment_method"].removeprefix("card-")
        return who if who in CUSTOMERS else None
