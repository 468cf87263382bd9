"""Notification's tables: the outbox."""

from django.db import models
from django.db.models import Q

from participants.models.effect import Effect
from sagas.inbox import Inbox


class NotificationInbox(Inbox):
    """The commands that notification has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "notification inboxes"


class NoticeQuerySet(models.QuerySet["Notice"]):
    """Adjectives for notices."""

    def in_force(self) -> "NoticeQuerySet":
        """Confirmations that were not taken back."""
        return self.filter(kind=Notice.CONFIRMATION, undone_by=None)


class Notice(Effect):
    """A message in the outbox for a customer. What is sent cannot be unsent, only answered by another."""

    prefix = "NTC"
    CONFIRMATION, CANCELLATION = "confirmation", "cancellation"
    KINDS = [(kind, kind) for kind in (CONFIRMATION, CANCELLATION)]

    kind = models.CharField(max_length=12, choices=KINDS)
    customer_id = models.CharField(max_length=100)
    text = models.TextField()
    undoes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="undone_by"
    )

    objects = NoticeQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.CheckConstraint(
                condition=Q(kind="confirmation", undoes__isnull=True)
                | Q(kind="cancellation", undoes__isnull=False),
                name="notice_only_cancellations_undo",
            ),
        ]
