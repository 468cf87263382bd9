"""What is kept of replies beside the event log."""

from django.db import models
from django.db.models.functions import Now


class LateReply(models.Model):
    """A reply to a command that was closed, or is not known: kept apart, it changed nothing."""

    saga_id = models.UUIDField(db_index=True)
    step = models.CharField(max_length=100, blank=True)
    number = models.PositiveIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=16)
    payload = models.JSONField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "late replies"

    def __str__(self) -> str:
        return f"late {self.kind} for {self.step or self.number}"


class Callback(models.Model):
    """The answer that a participant elsewhere gave to a command by callback: the first one, which counts.

    Only where that was a no, and a success came after it, is it the success: an effect that nobody knew.
    """

    saga_id = models.UUIDField()
    number = models.PositiveIntegerField(help_text="Of the command.")
    kind = models.CharField(max_length=20, null=True, help_text="Completed, or rejected.")
    digest = models.CharField(max_length=64, help_text="Of what was answered.")
    late = models.BooleanField(help_text="Nobody waited for it any more.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["saga_id", "number"], name="callback_counts_once"),
        ]

    def __str__(self) -> str:
        return f"answer to command {self.number} of {self.saga_id}"
