"""FlightService: the airline keeps seats for a party."""

from typing import Any

from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Flight, FlightInbox, SeatBooking
from participants.services.booking import book, cancel
from sagas import command
from sagas.inbox import once


class Party(BaseModel):
    """What the airline wants to know of a trip."""

    flight: str = Field(min_length=1, max_length=40)
    travellers: list[str] = Field(min_length=1, max_length=9)


@command("FlightService.ReserveSeats", model=Party)
@staged
@once(FlightInbox)
def reserve_seats(trip: Any) -> dict[str, Any]:
    """Keep a seat for each traveller. Rejected if the flight is full."""
    return book(Flight, SeatBooking, trip, trip.input.flight, len(trip.input.travellers))


@command("FlightService.CancelSeats")
@staged
@once(FlightInbox)
def cancel_seats(undo: Any) -> dict[str, Any]:
    """Give the seats back."""
    return cancel(SeatBooking, undo)
