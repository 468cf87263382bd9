"""What flight, hotel and car have in common: so many of something, and bookings that take from them."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from participants.models.effect import Effect


class Offer(models.Model):
    """Something that can be booked, and how many of it nobody has booked yet."""

    code = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)
    price_cents = models.BigIntegerField(help_text="For one of it, a day.")
    capacity = models.BigIntegerField()
    free = models.BigIntegerField()

    class Meta:
        abstract = True
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(price_cents__gt=0), name="%(class)s_has_a_price"),
            models.CheckConstraint(
                condition=Q(free__gte=0) & Q(free__lte=F("capacity")), name="%(class)s_never_overbooked"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BookingQuerySet(models.QuerySet[Any]):
    """Adjectives for bookings."""

    def in_force(self) -> "BookingQuerySet":
        """Not cancelled."""
        return self.filter(cancelled_at=None)


class Booking(Effect):
    """So many of an offer, kept for a saga."""

    quantity = models.PositiveIntegerField()
    days = models.PositiveIntegerField(default=1)
    price_cents = models.BigIntegerField(help_text="For one of it, a day, when it was booked.")
    total_cents = models.BigIntegerField()
    cancelled_at = models.DateTimeField(null=True, blank=True)

    objects = BookingQuerySet.as_manager()

    class Meta(Effect.Meta):
        abstract = True
        constraints = [
            *Effect.Meta.constraints,
            models.CheckConstraint(condition=Q(quantity__gt=0, days__gt=0), name="%(class)s_of_something"),
            models.CheckConstraint(
                condition=Q(total_cents=F("quantity") * F("days") * F("price_cents")),
                name="%(class)s_total_adds_up",
            ),
        ]
