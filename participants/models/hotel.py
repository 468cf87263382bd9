"""The hotels' tables."""

from django.db import models

from participants.models.booking import Booking, Offer
from sagas.inbox import Inbox


class HotelInbox(Inbox):
    """The commands that the hotels have answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "hotel inboxes"


class Hotel(Offer):
    """A hotel, and its rooms."""


class RoomBooking(Booking):
    """Rooms for a party, for some nights."""

    prefix = "ROOM"
    offer = models.ForeignKey(Hotel, on_delete=models.PROTECT, related_name="bookings")
