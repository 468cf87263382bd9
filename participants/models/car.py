"""The car hire's tables."""

from django.db import models

from participants.models.booking import Booking, Offer
from sagas.inbox import Inbox


class CarInbox(Inbox):
    """The commands that the car hire has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "car inboxes"


class CarClass(Offer):
    """A class of cars, and how many of them there are."""

    class Meta(Offer.Meta):
        verbose_name_plural = "car classes"


class CarBooking(Booking):
    """A car for some days."""

    prefix = "CAR"
    offer = models.ForeignKey(CarClass, on_delete=models.PROTECT, related_name="bookings")
