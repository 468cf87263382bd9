"""What is kept of drills."""

from django.db import models
from django.db.models import Value
from django.db.models.functions import Now


class Drill(models.Model):
    """The last drill of a saga type: whether its compensations compensate, and at which code that was seen."""

    saga_type = models.CharField(max_length=100, primary_key=True)
    ran_at = models.DateTimeField(db_default=Now())
    code = models.CharField(
        max_length=100, blank=True, help_text="The git commit of the saga's code, if any."
    )
    definition_digest = models.CharField(max_length=64)
    points = models.PositiveIntegerField(help_text="Failure points that were run.")
    failing = models.PositiveIntegerField(help_text="How many of them do not hold.")
    table = models.JSONField()
    unreached = models.JSONField(
        default=list,
        db_default=Value([], models.JSONField()),
        help_text="Deliveries of a choreography to which no run came.",
    )

    def __str__(self) -> str:
        return self.saga_type
