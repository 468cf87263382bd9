"""One verb on many sagas, in waves."""

from uuid import uuid4

from django.conf import settings
from django.db import models

from sagas.models.saga import Saga


class Batch(models.Model):
    """A verb that a clock carries out on one saga after another, for the operator who began it.

    Which sagas, and as which version each was seen, was put down when it began: nothing is added to it later.
    """

    RUNNING, PAUSED, DONE, CANCELLED = "running", "paused", "done", "cancelled"
    STATES = [(state, state) for state in (RUNNING, PAUSED, DONE, CANCELLED)]

    key = models.UUIDField(default=uuid4, editable=False, help_text="Of which its action ids are made.")
    verb = models.CharField(max_length=16)
    state = models.CharField(max_length=16, choices=STATES, default=RUNNING)
    filters = models.JSONField(default=dict, help_text="Which sagas were asked for.")
    reason = models.TextField()
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="saga_batches"
    )
    operator_name = models.CharField(max_length=200)
    at_shell = models.BooleanField(default=False, help_text="Begun by whoever has the shell, as no user.")
    via = models.CharField(max_length=16, help_text="desk, api or command.")
    total = models.IntegerField()
    waves = models.JSONField(
        default=list, help_text="How many sagas the first waves have; then come the others."
    )
    wave = models.IntegerField(default=0, help_text="The one that is under way, the first being 0.")
    per_second = models.FloatField(help_text="Sagas, at most.")
    stop_above = models.IntegerField(
        null=True, blank=True, help_text="It pauses when more percent of them fail again; null: never."
    )
    released = models.IntegerField(
        default=0, help_text="What came of those before this position is not waited for."
    )
    note = models.TextField(null=True, blank=True, help_text="Why it paused itself, or cannot go on.")
    next_at = models.DateTimeField(help_text="When the next saga's turn is, at the earliest.")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it is also known what came of each that had its turn."
    )

    class Meta:
        verbose_name_plural = "batches"
        permissions = [("run_batch", "Can act on many sagas at once")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(state__in=["running", "paused", "done", "cancelled"]),
                name="batch_state_known",
            ),
            models.CheckConstraint(
                condition=models.Q(state__in=["done", "cancelled"]) | models.Q(ended_at__isnull=True),
                name="batch_ended_at_only_if_over",
            ),
        ]
        indexes = [
            models.Index(fields=["state"], name="batch_open", condition=models.Q(ended_at__isnull=True))
        ]

    def __str__(self) -> str:
        return f"batch {self.pk}"

    @property
    def over(self) -> bool:
        """Whether no further saga has its turn, and nothing can be done to it any more."""
        return self.state in {self.DONE, self.CANCELLED}


class BatchItem(models.Model):
    """One saga of a batch, and what came of it."""

    WAITING, ACTED, WELL, FAILED, REFUSED = "waiting", "acted", "well", "failed", "refused"
    STATES = [(state, state) for state in (WAITING, ACTED, WELL, FAILED, REFUSED)]

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items", db_index=False)
    position = models.IntegerField()
    saga = models.ForeignKey(Saga, on_delete=models.DO_NOTHING, related_name="+", db_constraint=False)
    version = models.IntegerField(help_text="As which the saga was seen when the batch began.")
    state = models.CharField(
        max_length=16,
        choices=STATES,
        default=WAITING,
        help_text="acted: the verb was carried out, and what comes of it is to be seen.",
    )
    created = models.ForeignKey(
        Saga,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The saga that the verb started.",
    )
    steps = models.JSONField(default=list, help_text="The steps that it was done to; empty: the saga itself.")
    forward = models.BooleanField(default=True, help_text="The saga was on its way forward then.")
    asking = models.JSONField(default=dict, help_text="Step -> for what it asked a person before.")
    counted = models.BooleanField(
        default=True, help_text="False: whoever resumed the batch knew of it, and it does not stop it again."
    )
    text = models.TextField(blank=True, help_text="Why it was refused, or how it failed.")
    acted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["batch", "position"]
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="batch_item_in_order")]
        indexes = [models.Index(fields=["batch", "state", "position"], name="batch_item_by_state")]

    def __str__(self) -> str:
        return f"{self.batch_id}: {self.position}"
