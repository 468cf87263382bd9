"""Shipping's tables: parcels, and where the carrier does not go."""

from django.db import models

from participants.models.effect import Effect
from sagas.inbox import Inbox


class ShippingInbox(Inbox):
    """The commands that shipping has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "shipping inboxes"


class ClosedRegion(models.Model):
    """A country that the carrier does not serve; it goes everywhere else."""

    name = models.CharField(max_length=100, primary_key=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ShipmentQuerySet(models.QuerySet["Shipment"]):
    """Adjectives for shipments."""

    def in_force(self) -> "ShipmentQuerySet":
        """Not cancelled."""
        return self.filter(cancelled_at=None)


class Shipment(Effect):
    """A parcel that the carrier was told to fetch."""

    prefix = "SHP"
    region = models.CharField(max_length=100)
    address = models.JSONField()
    tracking_number = models.CharField(max_length=40)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    objects = ShipmentQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.UniqueConstraint(fields=["tracking_number"], name="tracking_number_names_one_shipment"),
        ]
