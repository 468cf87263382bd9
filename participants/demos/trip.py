"""The demo of branches and a point of no return: a trip."""

import random
from typing import Any

from participants.demos.customers import customer
from participants.demos.demo import Demo
from participants.models import CarClass, Flight, Hotel, Offer
from participants.opening.books import CUSTOMERS, OFFERS
from participants.sagas import TripBooking
from participants.scenarios import Scenario
from participants.scenarios.trip import SCENARIOS

#: Chosen as the car: none is wanted.
NO_CAR = "none"


def _trip(
    played: Scenario,
    *,
    customer_id: str | None = None,
    travellers: int | None = None,
    flight: str | None = None,
    hotel: str | None = None,
    nights: int | None = None,
    car: str | None = None,
    fare: str = "flexible",
    payment_method: str | None = None,
    hold_on_failure: bool = False,
) -> dict[str, Any]:
    who, card, _ = customer(customer_id)
    return {
        "customer_id": who,
        "travellers": _party(who, travellers or random.randint(1, 3)),
        "flight": flight or _any(Flight),
        "fare": fare,
        "hotel": hotel or _any(Hotel),
        "nights": nights or random.randint(1, 10),
        "car": None if car == NO_CAR else car or _any(CarClass),
        "payment_method": payment_method or card,
        **({"hold_on_failure": True} if hold_on_failure else {}),
        **played.brings,
    }


def _party(who: str, size: int) -> list[str]:
    """Return the names of the customer and of those who come along."""
    others = [name for known, (name, _) in CUSTOMERS.items() if known != who]
    first = CUSTOMERS[who][0] if who in CUSTOMERS else who
    return [first, *random.sample(others, size - 1)]


def _any(offers: type[Offer]) -> str:
    return random.choice([code for code, (_, _, capacity) in OFFERS[offers].items() if capacity])


TRIP = Demo(
    name="trip",
    pitch="A trip reserves flight, hotel and car side by side, pays for them, and prints a ticket per traveller.",
    saga=TripBooking,
    prefix="TRIP",
    scenarios=SCENARIOS,
    choose=_trip,
)
