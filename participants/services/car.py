"""CarService: the car hire keeps one car for a party."""

from typing import Any

from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import CarBooking, CarClass, CarInbox
from participants.services.booking import book, cancel
from sagas import command
from sagas.inbox import once


class Hire(BaseModel):
    """What the car hire wants to know of a trip."""

    car: str = Field(min_length=1, max_length=40)
    nights: int = Field(ge=1, le=30)


@command("CarService.ReserveCar", model=Hire)
@staged
@once(CarInbox)
def reserve_car(trip: Any) -> dict[str, Any]:
    """Keep a car of the class. Rejected if none is left."""
    return book(CarClass, CarBooking, trip, trip.input.car, 1, trip.input.nights)


@command("CarService.CancelCar")
@staged
@once(CarInbox)
def cancel_car(undo: Any) -> dict[str, Any]:
    """Give the car back."""
    return cancel(CarBooking, undo)
