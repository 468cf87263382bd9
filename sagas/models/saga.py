"""Sagas: the row to lock, and the adjectives to find them by."""

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from sagas.core.ids import uuid7
from sagas.core.words import FORWARD, TERMINAL, SagaState
from sagas.models.choices import ATTENTIONS, STATES, known
from sagas.models.definition import Definition

FINISHED = Q(state__in=sorted(s.value for s in TERMINAL))
#: The ``origin_kind`` of a saga that ran elsewhere, and is only a record here.
IMPORT = "import"
#: That of one which begins anew what its origin, which failed, was to do.
RESTART = "restart"
#: That of one which undoes a late effect of its origin.
REPAIR = "repair"
#: That of one which answers a step of its origin, its parent.
CHILD = "child"
#: That of one which undoes its origin, a child that was completed.
UNDO = "undo"


class SagaQuerySet(models.QuerySet["Saga"]):
    """Adjectives for sagas."""

    def active(self) -> "SagaQuerySet":
        """Not terminal, and this installation's own."""
        unfinished = self.filter(state__in=[s.value for s in SagaState if s not in TERMINAL])
        return unfinished.exclude(origin_kind=IMPORT)

    def forward(self) -> "SagaQuerySet":
        """On the way to completion."""
        return self.filter(state__in=[s.value for s in FORWARD])

    def paused(self) -> "SagaQuerySet":
        """By an operator, here; what is over is not paused any more."""
        return self.filter(paused=True).exclude(origin_kind=IMPORT)

    def waiting(self) -> "SagaQuerySet":
        """For a moment, for people or for a reply from outside, here; all is well."""
        return self.filter(waiting__isnull=False).exclude(origin_kind=IMPORT)

    def at_attention(self) -> "SagaQuerySet":
        """Waiting for a person's decision, here."""
        return self.filter(attention__isnull=False).exclude(origin_kind=IMPORT)


class Saga(models.Model):
    """One run of a saga definition, and the row to lock while deciding about it."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    saga_type = models.CharField(max_length=100)
    # Indexes are what a saga's speed is paid for with: each stands below, with its use.
    definition = models.ForeignKey(
        Definition, on_delete=models.PROTECT, related_name="sagas", editable=False, db_index=False
    )
    correlation_id = models.CharField(max_length=200)
    idempotency_key = models.CharField(
        max_length=200, null=True, blank=True, help_text="Starting twice with one key starts one saga."
    )
    fingerprint = models.CharField(max_length=64, help_text="Of the data it was started with.")
    state = models.CharField(max_length=16, choices=STATES, default=SagaState.STARTED.value)
    attention = models.CharField(max_length=32, choices=ATTENTIONS, null=True, blank=True)
    waiting = models.JSONField(
        null=True, blank=True, help_text="For what, all being well: {kind, step, since, until}."
    )
    begins_at = models.DateTimeField(null=True, blank=True, help_text="As long as that is to come.")
    deadline_at = models.DateTimeField(
        null=True, blank=True, help_text="Then it rolls back, unless its point of no return is passed."
    )
    expired = models.BooleanField(default=False, help_text="Its deadline passed, and it was not.")
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        editable=False,
        db_index=False,
        help_text="Who may not approve what it asks; null: code did.",
    )
    paused = models.BooleanField(default=False)
    # Plain integers here and below: each check is parsed anew by every statement that writes.
    version = models.IntegerField(default=0)
    sequence = models.IntegerField(default=0, help_text="Of its latest event.")
    data = models.JSONField(default=dict)
    error = models.TextField(null=True, blank=True, help_text="Why it rolled back.")
    origin = models.ForeignKey(  # outlives its saga: that it was a restart, and of what, stays known
        "self",
        on_delete=models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="successors",
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    origin_kind = models.CharField(
        max_length=16,
        blank=True,
        help_text="restart, repair, child or undo, of the origin; import: it ran elsewhere.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = SagaQuerySet.as_manager()

    class Meta:
        permissions = [
            ("start_saga", "Can start sagas"),
            ("retry_saga", "Can retry steps and undos"),
            ("compensate_saga", "Can roll sagas back"),
            ("skip_saga", "Can skip steps"),
            ("resolve_saga", "Can settle steps by hand"),
            ("edit_saga", "Can edit a saga's data"),
            ("pause_saga", "Can pause and resume sagas"),
            ("approve_saga", "Can answer approvals"),
            ("restart_saga", "Can restart failed sagas"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["saga_type", "idempotency_key"],
                name="saga_starts_once_per_key",
                condition=Q(idempotency_key__isnull=False),
            ),
            models.CheckConstraint(condition=known("state", STATES), name="saga_state_known"),
            models.CheckConstraint(
                condition=Q(attention__isnull=True) | known("attention", ATTENTIONS),
                name="saga_attention_known",
            ),
            models.CheckConstraint(
                condition=(FINISHED & Q(finished_at__isnull=False))
                | (~FINISHED & Q(finished_at__isnull=True)),
                name="saga_finished_at_iff_finished",
            ),
            models.CheckConstraint(
                condition=Q(version__lte=F("sequence")), name="saga_events_for_each_version"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "-id"], name="saga_by_state"),
            models.Index(fields=["saga_type", "-id"], name="saga_by_type"),
            models.Index(
                fields=["-finished_at"], name="saga_by_finish", condition=Q(finished_at__isnull=False)
            ),
            # Serves equality, and a search by the beginning.
            models.Index(
                fields=["correlation_id"], name="saga_by_correlation", opclasses=["varchar_pattern_ops"]
            ),
            models.Index(fields=["origin"], name="saga_by_origin", condition=Q(origin__isnull=False)),
            models.Index(fields=["-id"], name="saga_at_attention", condition=Q(attention__isnull=False)),
            models.Index(fields=["-id"], name="saga_waiting", condition=Q(waiting__isnull=False)),
            models.Index(fields=["-id"], name="saga_paused", condition=Q(paused=True)),
            models.Index(fields=["-id"], name="saga_unfinished", condition=~FINISHED),
        ]

    def __str__(self) -> str:
        return f"{self.saga_type} {self.correlation_id}"

    @property
    def saga_id(self) -> uuid.UUID:
        """The saga's id, by the name that saga authors know."""
        return self.id

    @property
    def results(self) -> dict[str, Any]:
        """Step name -> what its action returned; a durable function's is that of the step ``function``.

        One query; none where the steps have been prefetched, as :meth:`sagas.SagaOrchestrator.arun` does.
        """
        if "steps" in getattr(self, "_prefetched_objects_cache", {}):
            return {step.name: step.result for step in self.steps.all()}
        steps: Any = self.steps.order_by("position")
        return dict(steps.values_list("name", "result"))
