"""Due work, and who holds it."""

from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import Q

from sagas.models.choices import DIRECTIONS
from sagas.models.saga import Saga

#: The rows that it makes are none of the table's; ``raw`` reads no rows without a key.
_FIRSTS = """
    WITH RECURSIVE first(queue) AS (
        SELECT (SELECT min(queue) FROM sagas_due WHERE lease_token IS NULL AND NOT paused)
        UNION ALL
        SELECT (
            SELECT min(queue) FROM sagas_due
            WHERE lease_token IS NULL AND NOT paused AND sagas_due.queue > first.queue
        ) FROM first WHERE first.queue IS NOT NULL
    )
    SELECT 0 AS id, queue, (
        SELECT min(due_at) FROM sagas_due
        WHERE lease_token IS NULL AND NOT paused AND sagas_due.queue = first.queue
    ) AS due_at FROM first WHERE queue IS NOT NULL
"""


class DueQuerySet(models.QuerySet["Due"]):
    """Adjectives for due work."""

    def free(self) -> "DueQuerySet":
        """Held by nobody, and of a saga that is not paused; due now, or later."""
        return self.filter(lease_token=None, paused=False)


class Due(models.Model):
    """Work that has to be done at a time: a command for a participant, or an event for a subscriber.

    A row without a lease is free to claim once it is due. A lease is for liveness only:
    what a reply may change is decided by the number of the command that it answers.
    """

    COMMAND, DELIVERY = "command", "delivery"
    KINDS = [(COMMAND, "command"), (DELIVERY, "delivery")]

    kind = models.CharField(max_length=8, choices=KINDS)
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="due", db_index=False)
    queue = models.CharField(max_length=100)
    due_at = models.DateTimeField()
    paused = models.BooleanField(default=False)
    name = models.CharField(max_length=200, help_text="The command's name, or the subscriber's.")
    attempt = models.IntegerField(default=1)
    timeout = models.FloatField(default=300.0, help_text="Seconds that the attempt may take, from its claim.")
    step = models.CharField(max_length=100, null=True, blank=True)
    direction = models.CharField(max_length=4, choices=DIRECTIONS, null=True, blank=True)
    number = models.IntegerField(null=True, blank=True)
    generation = models.IntegerField(null=True, blank=True)
    event = models.CharField(max_length=100, null=True, blank=True)
    payload = models.JSONField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    timeout_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=100, null=True, blank=True)

    objects = DueQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "due work"
        constraints = [
            models.UniqueConstraint(fields=["saga", "number"], name="due_once_per_command"),
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="due_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(kind="delivery", event__isnull=False)
                | Q(kind="command", number__isnull=False, step__isnull=False),
                name="due_says_what",
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "due_at"],
                name="due_free",
                condition=Q(lease_token__isnull=True, paused=False),
            ),
            models.Index(fields=["lease_until"], name="due_leased", condition=Q(lease_token__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.queue})"

    @classmethod
    def sagas_on(cls, queue: str) -> models.QuerySet["Due", Any]:
        """Return the keys of the sagas of which something waits on a queue, due now or later."""
        return cls.objects.free().filter(queue=queue).values("saga")

    @classmethod
    def oldest_by_queue(cls) -> dict[str, datetime]:
        """Return for each queue when what is free there is due first: one query, with a look into the index for each.

        However much waits for a time to come, none of it is read but the first.
        """
        return {first.queue: first.due_at for first in cls.objects.raw(_FIRSTS)}
