"""The records beside the saga: what happened, what is due, who did what, who is alive."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from sagas import models
from sagas.admin.reading import KnownValues, ReadOnlyAdmin
from sagas.conf import settings
from sagas.core.events import EVENT_TYPES


@admin.register(models.Step)
class StepAdmin(ReadOnlyAdmin):
    """Steps."""

    list_display = ("name", "saga_link", "action", "status", "attention", "attempt", "outcome", "executed_at")
    list_filter = ("status", "attention", "outcome")
    search_fields = ("name__exact", "action__exact", "compensation__exact")
    search_help_text = "A step's name, its action or its compensation, or the beginning of a saga's id"
    ordering = ("-id",)


class EventTypes(KnownValues):
    """All that can happen."""

    def known(self) -> Iterable[str]:
        """Return what events are called."""
        return sorted(EVENT_TYPES)


@admin.register(models.Event)
class EventAdmin(ReadOnlyAdmin):
    """The event log."""

    list_display = ("type", "saga_link", "sequence", "version", "step", "at")
    list_filter = (("type", EventTypes), "at")
    search_fields = ("type__exact", "step__exact")
    search_help_text = "An event's type, a step's name, or the beginning of a saga's id"
    ordering = ("-id",)


@admin.register(models.Due)
class DueAdmin(ReadOnlyAdmin):
    """Work that is due, the next first."""

    list_display = ("name", "saga_link", "queue", "due_at", "attempt", "paused", "worker", "timeout_at")
    list_filter = ("kind", "queue", "paused", "direction")
    search_fields = ("name", "step", "worker")
    ordering = ("due_at", "id")


@admin.register(models.LateReply)
class LateReplyAdmin(ReadOnlyAdmin):
    """Replies that came too late, the latest first."""

    list_display = ("kind", "saga_id", "step", "number", "at")
    list_filter = ("kind", "at")
    search_fields = ("step", "kind")
    ordering = ("-id",)


@admin.register(models.Callback)
class CallbackAdmin(ReadOnlyAdmin):
    """What participants elsewhere answered by callback, the latest first."""

    list_display = ("saga_id", "number", "kind", "late", "at")
    list_filter = ("late", "at")
    ordering = ("-id",)


@admin.register(models.OperatorAction)
class OperatorActionAdmin(ReadOnlyAdmin):
    """The audit trail, the latest first."""

    list_display = ("verb", "saga_link", "step", "operator_name", "via", "reason", "version_after", "at")
    list_filter = ("verb", "via", "at")
    search_fields = ("operator_name", "reason", "step", "action_id")


@admin.register(models.Definition)
class DefinitionAdmin(ReadOnlyAdmin):
    """Pinned definitions, the latest first."""

    list_display = ("saga_type", "digest", "created_at")
    list_filter = ("saga_type",)
    search_fields = ("saga_type", "digest")
    ordering = ("-created_at",)
    saga_field = None


@admin.register(models.Process)
class ProcessAdmin(ReadOnlyAdmin):
    """Workers and clocks, those heard of last first."""

    list_display = ("name", "kind", "queues", "host", "pid", "busy", "started_at", "seen_at")
    list_filter = ("kind", "host")
    search_fields = ("name", "host")
    ordering = ("-seen_at",)
    saga_field = None


@admin.register(models.PausedQueue)
class PausedQueueAdmin(ReadOnlyAdmin):
    """Queues that operators have paused; the desk's page of queues resumes them."""

    list_display = ("queue", "since", "operator_name", "reason")
    search_fields = ("queue", "operator_name", "reason")
    ordering = ("queue",)
    saga_field = None


@admin.register(models.Batch)
class BatchAdmin(ReadOnlyAdmin):
    """Batches, the latest first; the desk's pages of batches pause, resume and cancel them."""

    list_display = ("__str__", "verb", "state", "total", "operator_name", "via", "reason", "created_at")
    list_filter = ("state", "verb", "via", "created_at")
    search_fields = ("operator_name", "reason")
    ordering = ("-id",)
    saga_field = None


@admin.register(models.BatchItem)
class BatchItemAdmin(ReadOnlyAdmin):
    """What came of each saga of a batch, the latest batch first."""

    list_display = ("batch", "position", "saga_link", "state", "steps", "text", "acted_at")
    list_filter = ("state",)
    search_fields = ("batch__id__exact",)
    search_help_text = "A batch's number, or the beginning of a saga's id"
    ordering = ("-batch", "position")


@admin.register(models.Alert)
class AlertAdmin(ReadOnlyAdmin):
    """What asks for a person, the latest first; the desk's page of alerts takes one, and gives it back."""

    list_display = ("title", "kind", "count", "opened_at", "resolved_at", "told", "taken_name", "taken_note")
    list_filter = ("kind", ("resolved_at", admin.EmptyFieldListFilter), "opened_at")
    search_fields = ("title", "taken_name")
    ordering = ("-id",)
    saga_field = None


class Channels(KnownValues):
    """Those of the settings."""

    def known(self) -> Iterable[str]:
        """Return what channels are called."""
        return sorted(settings().ALERTS)


@admin.register(models.Notice)
class NoticeAdmin(ReadOnlyAdmin):
    """Which channels were told of alerts, the latest first."""

    list_display = (
        "alert",
        "channel",
        "what",
        "number",
        "made_at",
        "attempt",
        "sent_at",
        "given_up",
        "error",
    )
    list_filter = (("channel", Channels), "what", "given_up", "made_at")
    list_select_related = ("alert",)
    search_fields = ("channel__exact", "alert__id__exact")
    search_help_text = "A channel's name, or an alert's number"
    ordering = ("-id",)
    saga_field = None


@admin.register(models.Token)
class TokenAdmin(ReadOnlyAdmin):
    """Bearer tokens. ``manage.py saga token USER`` makes one; deleting it here takes it back."""

    list_display = ("user", "created_at")
    list_filter = ("created_at",)
    search_fields = ("user__username",)
    ordering = ("-created_at",)
    fields = ("user", "created_at")
    saga_field = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever has Django's permission may take a token back."""
        return admin.ModelAdmin.has_delete_permission(self, request, obj)
