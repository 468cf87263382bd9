"""Inventory's tables: what is in the warehouse, to whom it is promised, and how it came to be so."""

from typing import Any

from django.db import models
from django.db.models import Q, Sum
from django.db.models.functions import Now

from participants.models.effect import Effect
from sagas.inbox import Inbox


class InventoryInbox(Inbox):
    """The commands that inventory has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "inventory inboxes"


class Product(models.Model):
    """Something the shop sells, and how many of it lie in the warehouse, free to be promised."""

    sku = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)
    price_cents = models.BigIntegerField()
    on_hand = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(on_hand__gte=0), name="stock_never_negative"),
            models.CheckConstraint(condition=Q(price_cents__gt=0), name="product_has_a_price"),
        ]

    def __str__(self) -> str:
        return self.name


class ReservationQuerySet(models.QuerySet["Reservation"]):
    """Adjectives for reservations."""

    def in_force(self) -> "ReservationQuerySet":
        """Not released."""
        return self.filter(released_at=None)


class Reservation(Effect):
    """Goods promised to an order; its lines are its stock movements."""

    prefix = "RES"
    total_cents = models.BigIntegerField(help_text="At the prices of that moment.")
    released_at = models.DateTimeField(null=True, blank=True)

    objects = ReservationQuerySet.as_manager()


class StockMovementQuerySet(models.QuerySet["StockMovement"]):
    """Sums of stock movements."""

    def by_product(self) -> models.QuerySet[Any, Any]:
        """Add up what came and went."""
        return self.order_by().values("product").annotate(pieces=Sum("quantity"))


class StockMovement(models.Model):
    """One line of the stock's journal: the sum of a product's movements is what is on hand."""

    RECEIVED, RESERVED, RELEASED = "received", "reserved", "released"
    KINDS = [(kind, kind) for kind in (RECEIVED, RESERVED, RELEASED)]

    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="movements")
    kind = models.CharField(max_length=8, choices=KINDS)
    quantity = models.BigIntegerField(help_text="What came to the hand; negative: what left it.")
    price_cents = models.BigIntegerField(default=0, help_text="Of a piece, when it was reserved.")
    reservation = models.ForeignKey(
        Reservation, on_delete=models.PROTECT, null=True, blank=True, related_name="movements"
    )
    at = models.DateTimeField(db_default=Now())

    objects = StockMovementQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["reservation", "product", "kind"], name="stock_moves_once_per_reservation"
            ),
            models.CheckConstraint(
                condition=Q(kind="received", reservation__isnull=True, quantity__gt=0)
                | Q(kind="reserved", reservation__isnull=False, quantity__lt=0)
                | Q(kind="released", reservation__isnull=False, quantity__gt=0),
                name="stock_moves_the_right_way",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity:+} {self.product_id} {self.kind}"
