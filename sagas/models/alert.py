"""What asks for a person, from when it began until it is over, and whom that was told."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from sagas.core.words import AlertKind

KINDS = [kind.value for kind in AlertKind]


class Alert(models.Model):
    """One thing that asks for a person. While it lasts there is one row of its key; when it comes back, another."""

    key = models.CharField(
        max_length=64, help_text="What is the matter, as a digest: the same thing has the same key."
    )
    kind = models.CharField(max_length=16, choices=[(kind, kind) for kind in KINDS])
    about = models.JSONField(default=dict, help_text="What of its kind: a step, a queue, a batch.")
    title = models.TextField()
    hint = models.TextField(help_text="What a person can do about it.")
    count = models.IntegerField(default=1, help_text="Sagas, or deliveries.")
    opened_at = models.DateTimeField(help_text="When it was first seen.")
    gone_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is not there any more.")
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="When it was over.")
    earlier = models.IntegerField(default=0, help_text="How many times it was there in the day before.")
    told = models.IntegerField(
        default=0, help_text="How many times it was to be told of; the first included."
    )
    told_count = models.IntegerField(
        default=0, help_text="How many there were when it was told of, or taken."
    )
    tell_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="When it is told of next, or until when it is taken; null: not again, or until it is over.",
    )
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False
    )
    taken_name = models.CharField(max_length=200, blank=True, help_text="Who is on it; empty: nobody.")
    at_shell = models.BooleanField(default=False, help_text="Taken by whoever has the shell, as no user.")
    taken_at = models.DateTimeField(null=True, blank=True)
    taken_note = models.TextField(blank=True)
    version = models.IntegerField(default=0, help_text="Raised when somebody takes it, or gives it back.")

    class Meta:
        permissions = [("take_alert", "Can take alerts and give them back")]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], name="alert_once_while_open", condition=Q(resolved_at__isnull=True)
            ),
            models.CheckConstraint(condition=Q(kind__in=KINDS), name="alert_kind_known"),
        ]
        indexes = [models.Index(fields=["key", "resolved_at"], name="alert_by_key")]

    def __str__(self) -> str:
        return self.title

    def withdraw(self) -> None:
        """Have nobody told any more of what is not told yet; what is on its way may arrive."""
        unsent = self.notices.filter(sent_at=None)
        unsent.filter(attempt=0).delete()
        unsent.update(given_up=True)


class Notice(models.Model):
    """An alert, and one channel that is told of it: that it began, is still there, or is over."""

    BEGUN, AGAIN, OVER = "begun", "again", "over"
    WHAT = [(what, what) for what in (BEGUN, AGAIN, OVER)]

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="notices", db_index=False)
    channel = models.CharField(max_length=100)
    what = models.CharField(max_length=8, choices=WHAT)
    number = models.IntegerField(help_text="The how-manieth time that it is told of.")
    made_at = models.DateTimeField()
    due_at = models.DateTimeField(
        help_text="When it is tried next; of one that is under way, when another may."
    )
    attempt = models.IntegerField(default=0)
    error = models.TextField(blank=True, help_text="What the latest attempt ended with.")
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["alert", "channel", "what", "number"], name="notice_made_once"),
            models.CheckConstraint(
                condition=Q(what__in=["begun", "again", "over"]), name="notice_what_known"
            ),
        ]
        indexes = [
            models.Index(fields=["channel", "sent_at"], name="notice_by_channel"),
            models.Index(
                fields=["due_at"],
                name="notice_due",
                condition=Q(sent_at__isnull=True, given_up=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel}: {self.what}"


class Watch(models.Model):
    """When a process last looked whether something asks for a person: one row, so that they take turns."""

    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"looked at {self.looked_at:%Y-%m-%d %H:%M:%S}"
