"""Who is alive."""

from datetime import datetime

from django.db import models
from django.db.models import Value


class Process(models.Model):
    """A worker or a clock that says it is alive."""

    WORKER, CLOCK = "worker", "clock"

    name = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=8, choices=[(WORKER, "worker"), (CLOCK, "clock")])
    queues = models.JSONField(default=list)
    commands = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text="Names of the commands that its code handles.",
    )
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    busy = models.PositiveIntegerField(default=0, help_text="Handlers running.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return self.name

    def silent_at(self, now: datetime) -> float:
        """Return for how many seconds it has said nothing."""
        return abs(now - self.seen_at).total_seconds()  # seen ahead of now: before the clock was set back
