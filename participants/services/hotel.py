"""HotelService: hotels keep rooms for a party, two travellers to a room."""

from math import ceil
from typing import Any

from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Hotel, HotelInbox, RoomBooking
from participants.services.booking import book, cancel
from sagas import command
from sagas.inbox import once


class Stay(BaseModel):
    """What a hotel wants to know of a trip."""

    hotel: str = Field(min_length=1, max_length=40)
    nights: int = Field(ge=1, le=30)
    travellers: list[str] = Field(min_length=1, max_length=9)


@command("HotelService.ReserveRooms", model=Stay)
@staged
@once(HotelInbox)
def reserve_rooms(trip: Any) -> dict[str, Any]:
    """Keep the rooms. Rejected if the hotel is full."""
    stay = trip.input
    return book(Hotel, RoomBooking, trip, stay.hotel, ceil(len(stay.travellers) / 2), stay.nights)


@command("HotelService.CancelRooms")
@staged
@once(HotelInbox)
def cancel_rooms(undo: Any) -> dict[str, Any]:
    """Give the rooms back."""
    return cancel(RoomBooking, undo)
