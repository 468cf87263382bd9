"""The rows: sagas, their steps and events, the work that is due, and what operators did.

Saga and step rows are a projection of the saga's events, and due rows follow from them.
Only the orchestrator writes them; the engine writes the lease columns of due rows.
"""

import hashlib
import secrets
import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now

from sagas.core.ids import uuid7
from sagas.core.words import FORWARD, TERMINAL, Attention, Direction, Outcome, SagaState, StepStatus, Waiting

# Plain strings: a migration must not import the enum it was made from.
STATES = [(str(s.value), s.value) for s in SagaState]
STATUSES = [(str(s.value), s.value) for s in StepStatus]
ATTENTIONS = [(str(a.value), a.value.replace("_", " ")) for a in Attention]
DIRECTIONS = [(str(d.value), d.value) for d in Direction]
WAITS = [(str(w.value), w.value) for w in Waiting]
OUTCOMES = [(str(o.value), o.value) for o in Outcome]
FINISHED = Q(state__in=sorted(s.value for s in TERMINAL))
#: The ``origin_kind`` of a saga that ran elsewhere, and is only a record here.
IMPORT = "import"
#: That of one which undoes a late effect of its origin.
REPAIR = "repair"
#: That of one which answers a step of its origin, its parent.
CHILD = "child"
#: That of one which undoes its origin, a child that was completed.
UNDO = "undo"


def _known(field: str, choices: list[tuple[str, str]]) -> Q:
    return Q(**{f"{field}__in": [value for value, _ in choices]})


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


class SagaQuerySet(models.QuerySet["Saga"]):
    """Adjectives for sagas."""

    def active(self) -> "SagaQuerySet":
        """Not terminal, and this installation's own."""
        unfinished = self.filter(state__in=[s.value for s in SagaState if s not in TERMINAL])
        return unfinished.exclude(origin_kind=IMPORT)

    def forward(self) -> "SagaQuerySet":
        """On the way to completion."""
        return self.filter(state__in=[s.value for s in FORWARD])

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
            models.CheckConstraint(condition=_known("state", STATES), name="saga_state_known"),
            models.CheckConstraint(
                condition=Q(attention__isnull=True) | _known("attention", ATTENTIONS),
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
            models.Index(fields=["-id"], name="saga_unfinished", condition=~FINISHED),
        ]

    def __str__(self) -> str:
        return f"{self.saga_type} {self.correlation_id}"

    @property
    def saga_id(self) -> uuid.UUID:
        """The saga's id, by the name that saga authors know."""
        return self.id


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
            models.CheckConstraint(condition=_known("status", STATUSES), name="step_status_known"),
            models.CheckConstraint(
                condition=Q(attention__isnull=True) | _known("attention", ATTENTIONS),
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


class Event(models.Model):
    """One entry of a saga's event log. Never changed, never deleted while the saga is kept."""

    saga = models.ForeignKey(  # as of a step
        Saga, on_delete=models.CASCADE, related_name="events", db_index=False, db_constraint=False
    )
    sequence = models.IntegerField(help_text="Gapless, per saga.")
    version = models.IntegerField(help_text="Of the transition that decided it.")
    type = models.CharField(max_length=40)
    step = models.CharField(max_length=100, null=True, blank=True)
    data = models.JSONField(default=dict)
    at = models.DateTimeField()

    class Meta:
        ordering = ["saga", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["saga", "sequence"], name="event_sequence_gapless_per_saga"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.type}"


class DueQuerySet(models.QuerySet["Due"]):
    """Adjectives for due work."""

    def free(self) -> "DueQuerySet":
        """Held by nobody, and of a saga that is not paused; due now, or later."""
        return self.filter(lease_token=None, paused=False)

    def oldest_by_queue(self) -> dict[str, datetime]:
        """Return for each queue when what is free there is due first: one look into the index for each.

        However much waits for a time to come, none of it is read but the first.
        """
        found: dict[str, datetime] = {}
        firsts = self.free().order_by("queue", "due_at").values_list("queue", "due_at")
        last = ""
        while first := firsts.filter(queue__gt=last).first():
            last = first[0]
            found[last] = first[1]
        return found


class Due(models.Model):
    """Work that has to be done at a time: a command for a participant, or an event for a subscriber.

    A row without a lease is free to claim once it is due. A lease is for liveness only:
    what a reply may change is decided by the number of the command that it answers.
    """

    COMMAND, DELIVERY = "command", "delivery"
    KINDS = [(COMMAND, "command"), (DELIVERY, "delivery")]

    kind = models.CharField(max_length=8, choices=KINDS)
    saga = models.ForeignKey(Saga, on_delete=models.CASCADE, related_name="due", db_index=False)
    queue = models.CharField(max_length=100)
    due_at = models.DateTimeField()
    paused = models.BooleanField(default=False)
    name = models.CharField(max_length=200, help_text="The command's name, or the subscriber's.")
    attempt = models.IntegerField(default=1)
    timeout = models.FloatField(default=300.0, help_text="Seconds that the attempt may take, from its claim.")
    step = models.CharField(max_length=100, null=True, blank=True)
    direction = models.CharField(max_length=4, choices=DIRECTIONS, null=True, blank=True)
    number = models.IntegerField(null=True, blank=True)
    generation = models.IntegerField(null=True, blank=True)
    event = models.CharField(max_length=100, null=True, blank=True)
    payload = models.JSONField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    timeout_at = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=100, null=True, blank=True)

    objects = DueQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "due work"
        constraints = [
            models.UniqueConstraint(fields=["saga", "number"], name="due_once_per_command"),
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="due_lease_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(kind="delivery", event__isnull=False)
                | Q(kind="command", number__isnull=False, step__isnull=False),
                name="due_says_what",
            ),
        ]
        indexes = [
            models.Index(
                fields=["queue", "due_at"],
                name="due_free",
                condition=Q(lease_token__isnull=True, paused=False),
            ),
            models.Index(fields=["lease_until"], name="due_leased", condition=Q(lease_token__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.queue})"


class LateReply(models.Model):
    """A reply to a command that was closed, or is not known: kept apart, it changed nothing."""

    saga_id = models.UUIDField(db_index=True)
    step = models.CharField(max_length=100, blank=True)
    number = models.PositiveIntegerField(null=True, blank=True)
    kind = models.CharField(max_length=16)
    payload = models.JSONField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "late replies"

    def __str__(self) -> str:
        return f"late {self.kind} for {self.step or self.number}"


class Callback(models.Model):
    """The answer that a participant elsewhere gave to a command by callback: the first one, which counts."""

    saga_id = models.UUIDField()
    number = models.PositiveIntegerField(help_text="Of the command.")
    digest = models.CharField(max_length=64, help_text="Of what was answered.")
    late = models.BooleanField(help_text="Nobody waited for it any more.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["saga_id", "number"], name="callback_counts_once"),
        ]

    def __str__(self) -> str:
        return f"answer to command {self.number} of {self.saga_id}"


class Child(models.Model):
    """Which saga answers a command that starts one; or that none does, and why. Either closes the command's key."""

    key = models.CharField(max_length=200, primary_key=True, help_text="The command's idempotency key.")
    parent = models.ForeignKey(
        Saga, on_delete=models.CASCADE, related_name="children", db_constraint=False, help_text="Whose it is."
    )
    child_id = models.UUIDField(null=True, help_text="The saga that it started; null: it starts none.")
    refused = models.TextField(blank=True, help_text="Why it starts none.")
    undo_id = models.UUIDField(null=True, help_text="The saga that undoes the child, which was completed.")
    awaiter_id = models.UUIDField(help_text="The saga that waits for the end of either.")
    number = models.IntegerField(help_text="Of its command that is answered then.")
    undoing = models.BooleanField(default=False, help_text="That command is to undo the child.")

    class Meta:
        verbose_name_plural = "children"

    def __str__(self) -> str:
        return f"child of {self.key}"


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


class Schedule(models.Model):
    """How far a periodic saga type has come by one cron expression: a row for each, so that versions do not meet."""

    saga_type = models.CharField(max_length=100)
    every = models.CharField(max_length=100, help_text="The cron expression.")
    tick = models.DateTimeField(
        help_text="The latest tick that was seen to; at first, when it was first looked at."
    )
    saga_id = models.UUIDField(null=True, blank=True, help_text="What was started for it.")
    missed = models.IntegerField(default=0, help_text="Ticks before it for which nothing was started.")
    error = models.TextField(null=True, blank=True, help_text="Why the next one could not be started so far.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["saga_type", "every"], name="schedule_once_per_expression"),
        ]

    def __str__(self) -> str:
        return f"{self.saga_type} {self.every}"


class Token(models.Model):
    """A bearer token for the API. Only its hash is kept."""

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saga_tokens")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"token of {self.user}"

    @classmethod
    def issue(cls, user: Any) -> str:
        """Make a token for a user and return its text, which is shown only now."""
        text = "sd_" + secrets.token_urlsafe(32)
        cls.objects.create(digest=cls.digest_of(text), user=user)
        return text

    @staticmethod
    def digest_of(text: str) -> str:
        """Return what is kept of a token's text."""
        return hashlib.sha256(text.encode()).hexdigest()


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

    def __str__(self) -> str:
        return self.saga_type
