"""Subscriptions' tables: the plans, the months for which they run, and who was put onto the free one."""

from typing import Any

from django.db import models
from django.db.models import Q

from participants.models.effect import Effect
from sagas.inbox import Inbox


class SubscriptionInbox(Inbox):
    """The commands that subscriptions have answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "subscription inboxes"


class Plan(models.Model):
    """What can be subscribed to, at a price a month."""

    code = models.CharField(max_length=40, primary_key=True)
    name = models.CharField(max_length=100)
    price_cents = models.BigIntegerField()
    longest = models.PositiveIntegerField(
        null=True, blank=True, help_text="After so many months nobody can have it any longer."
    )

    class Meta:
        ordering = ["price_cents", "code"]
        constraints = [models.CheckConstraint(condition=Q(price_cents__gt=0), name="plan_has_a_price")]

    def __str__(self) -> str:
        return self.name


class TermQuerySet(models.QuerySet[Any]):
    """Adjectives for terms."""

    def in_force(self) -> "TermQuerySet":
        """Not taken back."""
        return self.filter(ended_at=None)


class Term(Effect):
    """A month for which a subscription runs."""

    prefix = "TRM"
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="terms")
    month = models.PositiveIntegerField(help_text="Of the subscription, from 1.")
    price_cents = models.BigIntegerField()
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TermQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.UniqueConstraint(
                fields=["saga_id", "month"], condition=Q(ended_at=None), name="month_runs_once"
            ),
        ]


class DowngradeQuerySet(models.QuerySet[Any]):
    """Adjectives for downgrades."""

    def in_force(self) -> "DowngradeQuerySet":
        """Not taken back."""
        return self.filter(restored_at=None)


class Downgrade(Effect):
    """A subscription that was put onto the free plan."""

    prefix = "DWN"
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="downgrades")
    month = models.PositiveIntegerField(help_text="From which on it is free.")
    restored_at = models.DateTimeField(null=True, blank=True)

    objects = DowngradeQuerySet.as_manager()
