"""The event log."""

from django.db import models

from sagas.models.saga import Saga


class Event(models.Model):
    """One entry of a saga's event log. Never changed, never deleted while the saga is kept."""

    saga = models.ForeignKey(  # as of a step
        Saga, on_delete=models.CASCADE, related_name="events", db_index=False, db_constraint=False
    )
    sequence = models.IntegerField(help_text="Gapless, per saga.")
    version = models.IntegerField(help_text="Of the transition that decided it.")
    type = models.CharField(max_length=40)
    step = models.CharField(max_length=100, null=True, blank=True)
    data = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["saga", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["saga", "sequence"], name="event_sequence_gapless_per_saga"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}"
