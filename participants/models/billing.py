"""Billing's tables: the cards that may be charged month by month, and what was charged."""

from django.db import models
from django.db.models import F, Q

from participants.models.effect import Effect
from sagas.inbox import Inbox


class BillingInbox(Inbox):
    """The commands that billing has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "billing inboxes"


class Mandate(models.Model):
    """A customer's word that a card may be charged for subscriptions, up to a limit, and what is left of that."""

    card = models.CharField(max_length=100, primary_key=True)
    holder = models.CharField(max_length=100)
    limit_cents = models.BigIntegerField()
    left_cents = models.BigIntegerField()
    refused = models.CharField(max_length=100, blank=True, help_text="Why the bank refuses it, if it does.")

    class Meta:
        ordering = ["card"]
        constraints = [
            models.CheckConstraint(
                condition=Q(left_cents__gte=0) & Q(left_cents__lte=F("limit_cents")),
                name="mandate_never_overdrawn",
            ),
        ]

    def __str__(self) -> str:
        return self.card


class BillQuerySet(models.QuerySet["Bill"]):
    """Adjectives for bills."""

    def in_force(self) -> "BillQuerySet":
        """Not refunded."""
        return self.filter(refunded_at=None)


class Bill(Effect):
    """A month of a subscription that was charged."""

    prefix = "BIL"
    mandate = models.ForeignKey(Mandate, on_delete=models.PROTECT, related_name="bills")
    month = models.PositiveIntegerField(help_text="Of the subscription, from 1.")
    amount_cents = models.BigIntegerField()
    refunded_at = models.DateTimeField(null=True, blank=True)

    objects = BillQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.UniqueConstraint(
                fields=["saga_id", "month"], condition=Q(refunded_at=None), name="month_is_charged_once"
            ),
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="bill_amount_positive"),
        ]
