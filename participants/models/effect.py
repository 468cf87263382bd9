"""What the services' books have in common."""

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now


class Effect(models.Model):
    """What a command did to a service's books; there is one at most per idempotency key."""

    prefix: ClassVar[str]
    key = models.CharField(max_length=250, help_text="Of the command that had this effect.")
    saga_id = models.UUIDField(db_index=True)
    order_id = models.CharField(
        max_length=100, db_index=True, help_text="Of the order; elsewhere the saga's correlation id."
    )
    at = models.DateTimeField(db_default=Now())

    class Meta:
        abstract = True
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["key"], name="%(class)s_once_per_key")]

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """What people and other services call it."""
        return f"{self.prefix}-{self.pk:06}"

    @staticmethod
    def origin(command: Any) -> dict[str, Any]:
        """Return the columns that say which command had the effect."""
        return {
            "key": command.meta.key,
            "saga_id": command["saga_id"],
            "order_id": command.get("order_id") or command.meta.correlation_id[:100],
        }
