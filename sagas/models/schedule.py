"""How far periodic sagas have come."""

from django.db import models

from sagas.core.cron import LONGEST


class Schedule(models.Model):
    """How far a periodic saga type has come by one cron expression: a row for each, so that versions do not meet."""

    saga_type = models.CharField(max_length=100)
    every = models.CharField(max_length=LONGEST, help_text="The cron expression.")
    tick = models.DateTimeField(
        help_text="The latest tick that was seen to; at first, when it was first looked at."
    )
    saga_id = models.UUIDField(null=True, blank=True, help_text="What was started for it.")
    missed = models.IntegerField(default=0, help_text="Ticks before it for which nothing was started.")
    error = models.TextField(null=True, blank=True, help_text="Why the next one could not be started so far.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["saga_type", "every"], name="schedule_once_per_expression"),
        ]

    def __str__(self) -> str:
        return f"{self.saga_type} {self.every}"
