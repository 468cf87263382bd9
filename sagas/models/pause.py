"""Queues that nobody is to take anything from."""

from django.db import models


class PausedQueue(models.Model):
    """A queue of which nothing is begun until an operator resumes it. Its key tells one pause from the next."""

    queue = models.CharField(max_length=100, unique=True)
    since = models.DateTimeField()
    operator_name = models.CharField(max_length=200)
    reason = models.TextField()

    class Meta:
        permissions = [("pause_queue", "Can pause and resume queues")]

    def __str__(self) -> str:
        return self.queue

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the queues that are paused."""
        return frozenset(cls.objects.values_list("queue", flat=True))
