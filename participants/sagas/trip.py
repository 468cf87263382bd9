"""A trip: reserved at three services side by side, paid once, and from then on only forward."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, field_validator

from participants.faults import patience
from participants.sagas.drillable import Drillable
from participants.scenarios import Played
from participants.scenarios.trip import SCENARIOS

# The handlers are registered by being imported.
from participants.services import car, flight, hotel, notification, payment, ticketing  # noqa: F401
from sagas import CANNOT_UNDO, Retry, SagaStep

Code = Annotated[str, Field(min_length=1, max_length=40)]
Name = Annotated[str, Field(min_length=1, max_length=100)]

#: The services are near: try again soon, and give up soon; but after the payment do not give up.
SOON = Retry(max_attempts=5, first=0.5, cap=5)
STUBBORNLY = Retry(max_attempts=20, first=0.5, cap=5)


class Demo(Played):
    """What a trip asks of the demo."""

    scenarios = SCENARIOS


class TripData(BaseModel, extra="forbid"):
    """A trip, as it must be for its saga to start."""

    trip_id: Name
    customer_id: Name
    travellers: list[Name] = Field(min_length=1, max_length=9)
    flight: Code
    fare: Literal["flexible", "saver"] = "flexible"
    """A saver fare cannot be cancelled."""
    hotel: Code
    nights: int = Field(ge=1, le=30, strict=True)
    car: Code | None = None
    """Its class; none: no car."""
    payment_method: Name
    hold_on_failure: bool = Field(default=False, strict=True)
    """When a step fails, wait for an operator instead of rolling back."""
    demo: Demo | None = None

    @field_validator("travellers")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("each traveller is named once")
        return names


class TripBooking(Drillable):
    """Reserve flight, hotel and car side by side, charge the customer, then print the tickets."""

    saga_type = "TripBooking"
    data_model = TripData
    sample_data: ClassVar[Mapping[str, Any]] = {
        "trip_id": "TRIP-SAMPLE",
        "customer_id": "ada",
        "travellers": ["Ada Lovelace", "Charles Babbage"],
        "flight": "SD-204",
        "hotel": "ALFAMA",
        "nights": 3,
        "car": "COMPACT",
        "payment_method": "card-ada",
    }

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the steps for this trip: a car only where one is wanted, a ticket for each traveller."""
        reservations = list(_reservations(data))
        tickets = list(_tickets(data))
        return [
            *reservations,
            SagaStep(
                name="take_payment",
                action="PaymentService.ProcessPayment",
                compensation="PaymentService.RefundPayment",
                needs=tuple(step.name for step in reservations),
                pivot=True,
                retry=SOON,
                undo_retry=SOON,
                hold=data.get("hold_on_failure", False),
                timeout=patience(data, "PaymentService.ProcessPayment"),
            ),
            *tickets,
            SagaStep(
                name="send_itinerary",
                action="NotificationService.SendItinerary",
                needs=tuple(step.name for step in tickets),
                retriable=True,
                retry=STUBBORNLY,
            ),
        ]


def _reservations(data: Mapping[str, Any]) -> Iterator[SagaStep]:
    kept_for_good = data.get("fare") == "saver"
    yield _reservation(data, "flight", "Seats", CANNOT_UNDO if kept_for_good else None)
    yield _reservation(data, "hotel", "Rooms")
    if data.get("car") is not None:
        yield _reservation(data, "car", "Car")


def _reservation(data: Mapping[str, Any], what: str, noun: str, undo: str | None = None) -> SagaStep:
    service = f"{what.title()}Service"
    return SagaStep(
        name=f"reserve_{what}",
        action=f"{service}.Reserve{noun}",
        compensation=undo or f"{service}.Cancel{noun}",
        needs=(),
        retry=SOON,
        undo_retry=SOON,
        hold=data.get("hold_on_failure", False),
        timeout=patience(data, f"{service}.Reserve{noun}"),
    )


def _tickets(data: Mapping[str, Any]) -> Iterator[SagaStep]:
    for number, traveller in enumerate(data["travellers"], 1):
        yield SagaStep(
            name=f"ticket_{number}",
            action="TicketingService.IssueTicket",
            needs=("take_payment",),
            input={"traveller": traveller},
            retriable=True,
            retry=STUBBORNLY,
        )
