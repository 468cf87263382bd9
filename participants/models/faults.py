"""What the demo's faults have to remember."""

from django.db import models, transaction
from django.db.models import F


class CallCount(models.Model):
    """How often a command reached a service that a scenario makes fail: committed apart from any effect."""

    key = models.CharField(max_length=250, primary_key=True)
    calls = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.key}: {self.calls}"

    @staticmethod
    def another(key: str) -> int:
        """Count one more call and return how many there were by now."""
        counts = CallCount.objects.filter(key=key)
        with transaction.atomic():
            CallCount.objects.bulk_create([CallCount(key=key)], ignore_conflicts=True)
            counts.update(calls=F("calls") + 1)
            return counts.get().calls
