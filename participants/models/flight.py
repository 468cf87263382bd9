"""The airline's tables."""

from django.db import models

from participants.models.booking import Booking, Offer
from sagas.inbox import Inbox


class FlightInbox(Inbox):
    """The commands that the airline has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "flight inboxes"


class Flight(Offer):
    """A flight there and back, and its seats."""


class SeatBooking(Booking):
    """Seats for a party."""

    prefix = "SEAT"
    offer = models.ForeignKey(Flight, on_delete=models.PROTECT, related_name="bookings")
