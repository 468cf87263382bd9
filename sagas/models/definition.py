"""Definitions as they were pinned."""

from django.db import models
from django.db.models.functions import Now


class Definition(models.Model):
    """A saga definition as it was when a saga started with it, kept once however many did."""

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    saga_type = models.CharField(max_length=100, editable=False)
    document = models.JSONField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    used_at = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="When a process last made sure of it, to start sagas with it.",
    )

    def __str__(self) -> str:
        return f"{self.saga_type} {self.digest[:8]}"
