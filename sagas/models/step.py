"""Steps, and where each stands."""

from django.db import models
from django.db.models import Q

from sagas.core.words import StepStatus
from sagas.models.choices import ATTENTIONS, DIRECTIONS, OUTCOMES, STATUSES, WAITS, known
from sagas.models.saga import Saga


class Step(models.Model):
    """Where one step of a saga stands: a projection of :class:`sagas.core.progress.StepProgress`."""

    saga = models.ForeignKey(  # written in one statement with its saga, so that checking it would find it
        Saga, on_delete=models.CASCADE, related_name="steps", db_index=False, db_constraint=False
    )
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=100)
    action = models.CharField(max_length=200)
    compensation = models.CharField(max_length=200, null=True, blank=True)
    status = models.CharField(max_length=16, choices=STATUSES, default=StepStatus.PENDING.value)
    attention = models.CharField(max_length=32, choices=ATTENTIONS, null=True, blank=True)
    open = models.CharField(max_length=4, choices=DIRECTIONS, null=True, blank=True)
    scheduled = models.BooleanField(default=False)
    action_number = models.IntegerField(null=True, blank=True)
    undo_number = models.IntegerField(null=True, blank=True)
    generation = models.IntegerField(default=0)
    undo_generation = models.IntegerField(default=0)
    attempt = models.IntegerField(default=0)
    budget = models.IntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=16, choices=OUTCOMES, null=True, blank=True)
    action_outcome = models.CharField(max_length=16, choices=OUTCOMES, null=True, blank=True)
    unresolved = models.BooleanField(default=False)
    inbox = models.BooleanField(default=True)
    probe = models.IntegerField(default=0)
    result = models.JSONField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)
    input = models.JSONField(null=True, blank=True)
    standing = models.BooleanField(default=False)
    waiting = models.CharField(max_length=8, choices=WAITS, null=True, blank=True)
    waiting_since = models.DateTimeField(null=True, blank=True)
    approver = models.CharField(max_length=200, null=True, blank=True, help_text="Who may answer.")
    asked = models.JSONField(null=True, blank=True, help_text="What they see, and who has approved.")
    event = models.JSONField(null=True, blank=True, help_text="In a choreography: what is delivered.")
    grown = models.JSONField(null=True, blank=True, help_text="Of a function's step: its definition.")
    former = models.JSONField(
        null=True,
        blank=True,
        help_text="Actions closed as without effect, by number; and which had it after all.",
    )
    dispatched_at = models.DateTimeField(null=True, blank=True)
    executed_at = models.DateTimeField(null=True, blank=True)
    compensated_at = models.DateTimeField(null=True, blank=True)
    refused_at = models.DateTimeField(
        null=True, blank=True, help_text="Of a function's step: when there was a no to be heard of."
    )

    class Meta:
        ordering = ["saga", "position"]
        constraints = [
            models.UniqueConstraint(fields=["saga", "name"], name="step_addressed_by_name"),
            models.CheckConstraint(condition=known("status", STATUSES), name="step_status_known"),
            models.CheckConstraint(
                condition=Q(attention__isnull=True) | known("attention", ATTENTIONS),
                name="step_attention_known",
            ),
            models.CheckConstraint(
                condition=Q(scheduled=False) | Q(open__isnull=False, due_at__isnull=False),
                name="step_scheduled_only_while_open",
            ),
        ]
        indexes = [
            models.Index(
                fields=["attention"], name="step_at_attention", condition=Q(attention__isnull=False)
            ),
            # An inbox of approvals reads these only, however many sagas there are. No column that steps change is
            # in it: each of their updates would go to every index.
            models.Index(fields=["approver"], name="step_approval_open", condition=Q(waiting="approval")),
        ]

    def __str__(self) -> str:
        return self.name
