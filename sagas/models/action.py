"""The audit trail."""

from django.conf import settings
from django.db import models

from sagas.models.batch import Batch
from sagas.models.saga import Saga


class OperatorAction(models.Model):
    """What an operator did to a saga, and the answer that was given: the audit trail.

    Written in the transaction that it describes. The action id makes repeating harmless.
    It outlives its saga, and then has the id of one that is no longer there; null: of none in particular.
    """

    action_id = models.CharField(max_length=100)
    saga = models.ForeignKey(
        Saga, on_delete=models.DO_NOTHING, null=True, related_name="actions", db_constraint=False
    )
    verb = models.CharField(max_length=16)
    step = models.CharField(max_length=100, null=True, blank=True)
    operator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="saga_actions"
    )
    operator_name = models.CharField(max_length=200)
    via = models.CharField(max_length=16, help_text="desk, admin, api or command; saga: its parent did.")
    batch = models.ForeignKey(  # outlives its batch, as its saga
        Batch,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="actions",
        db_constraint=False,
        db_index=False,
        help_text="In which it was done.",
    )
    reason = models.TextField()
    request = models.JSONField(default=dict)
    version_before = models.PositiveIntegerField()
    version_after = models.PositiveIntegerField()
    answer = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.UniqueConstraint(fields=["action_id"], name="action_happens_once")]
        indexes = [models.Index(fields=["-at"], name="action_by_time")]

    def __str__(self) -> str:
        return f"{self.operator_name}: {self.verb}"
