"""Claims' tables: what customers want back, and the budget that it comes out of."""

from django.db import models
from django.db.models import F, Q

from participants.models.effect import Effect
from sagas.inbox import Inbox


class ClaimsInbox(Inbox):
    """The commands that the claims desk has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "claims inboxes"


class Budget(models.Model):
    """Money set aside for refunds, and how much of it no claim has taken yet."""

    name = models.CharField(max_length=40, primary_key=True)
    granted_cents = models.BigIntegerField()
    left_cents = models.BigIntegerField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(left_cents__gte=0) & Q(left_cents__lte=F("granted_cents")),
                name="budget_never_overspent",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ClaimQuerySet(models.QuerySet["Claim"]):
    """Adjectives for claims."""

    def in_force(self) -> "ClaimQuerySet":
        """Not withdrawn."""
        return self.filter(withdrawn_at=None)


class Claim(Effect):
    """A customer's claim to money, for which the budget has set it aside."""

    prefix = "CLM"
    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="claims")
    amount_cents = models.BigIntegerField()
    reason = models.TextField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ClaimQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.CheckConstraint(condition=Q(amount_cents__gt=0), name="claim_amount_positive"),
        ]
