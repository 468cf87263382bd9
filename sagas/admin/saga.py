"""The saga in Django's admin: its state is only shown; what changes it goes through the orchestrator."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from sagas import orchestrator
from sagas.admin.acting import act_on_selected
from sagas.admin.editing import DataForm
from sagas.admin.reading import KnownValues, ReadOnlyAdmin
from sagas.core.words import TERMINAL
from sagas.models import Definition, Saga, Step

_FINAL = {state.value for state in TERMINAL}


class StepInline(admin.TabularInline):
    """A saga's steps."""

    model = Step
    fields = ("status", "attention", "attempt", "action", "compensation", "error")
    show_change_link = True
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the orchestrator writes."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only the orchestrator writes."""
        return False


class SagaTypes(KnownValues):
    """The types of which there are sagas: each stands on a definition."""

    def known(self) -> Iterable[str]:
        """Return them by name."""
        return Definition.objects.order_by("saga_type").values_list("saga_type", flat=True).distinct()


class AtStep(admin.SimpleListFilter):
    """One step, as a link may name it; it is shown where it is set, and not offered."""

    title = "step"
    parameter_name = "step"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the step that is asked for: names of steps are as many as there are sagas, for all that is known."""
        name = self.value()
        return [(name, name)] if name else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Saga]) -> QuerySet[Saga]:
        """Let those through that have the step, and at attention for the same reason, if one is asked for."""
        if not self.value():
            return queryset
        steps = Step.objects.filter(saga=OuterRef("pk"), name=self.value())
        if attention := request.GET.get("attention__exact"):
            steps = steps.filter(attention=attention)
        return queryset.filter(Exists(steps))


@admin.register(Saga)
class SagaAdmin(ReadOnlyAdmin):
    """Sagas, the newest first."""

    list_display = (
        "short_id", "saga_type", "correlation_id", "state", "attention", "is_paused", "updated_at"
    )  # fmt: skip
    list_filter = (
        "state",
        "attention",
        "paused",
        ("saga_type", SagaTypes),
        AtStep,
        "created_at",
        "updated_at",
    )
    search_fields = ("correlation_id", "idempotency_key")
    search_help_text = "The beginning of an id, or a part of a correlation id or idempotency key"
    ordering = ("-id",)
    saga_field = "id"
    form = DataForm
    inlines = (StepInline,)
    actions = ("retry_selected", "compensate_selected")
    _shown = (
        "id", "saga_type", "state", "attention", "waiting", "is_paused", "version", "correlation_id",
        "idempotency_key", "error", "origin", "origin_kind", "definition", "created_at", "updated_at",
        "finished_at", "records",
    )  # fmt: skip

    @admin.display(description="id", ordering="id")
    def short_id(self, saga: Saga) -> str:
        """Show the end of the id, which differs most; the row's page shows all of it."""
        return f"…{str(saga.pk)[-8:]}"

    @admin.display(description="paused", ordering="paused")
    def is_paused(self, saga: Saga) -> str:
        """Say so in a word: a red cross for each saga that runs would shout that all is well."""
        return "paused" if saga.paused else "-"

    def view_on_site(self, saga: Saga) -> str:
        """Lead to the saga's page on the desk, where it can be acted on."""
        return reverse("saga-detail", args=[saga.pk])

    @admin.display(description="more")
    def records(self, saga: Saga) -> SafeString:
        """Link to what else is known of the saga."""
        names = ("event", "due", "latereply", "operatoraction")
        labels = ("event log", "due work", "late replies", "operator actions")
        pages = [reverse(f"admin:sagas_{name}_changelist") for name in names]
        rows = [(page, saga.pk, label) for page, label in zip(pages, labels, strict=True)]
        return format_html_join(" · ", '<a href="{}?q={}">{}</a>', rows)

    @admin.action(description="Retry…", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse | None:
        """Retry the steps of the selected sagas that are at attention, or else in back-off."""
        return act_on_selected(self, request, queryset, "retry")

    @admin.action(description="Roll back…", permissions=["compensate"])
    def compensate_selected(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse | None:
        """Roll the selected sagas back."""
        return act_on_selected(self, request, queryset, "compensate")

    def response_action(self, request: HttpRequest, queryset: QuerySet[Saga]) -> HttpResponse | None:
        """Tell of what was selected that it cannot be a saga: the admin itself would fall over it."""
        try:
            return super().response_action(request, queryset)
        except ValidationError as wrong:
            self.message_user(request, " ".join(wrong.messages), messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the action is offered; the orchestrator asks again."""
        return request.user.has_perms([orchestrator.SEE, orchestrator.permission("retry")])

    def has_compensate_permission(self, request: HttpRequest) -> bool:
        """Whether the action is offered; the orchestrator asks again."""
        return request.user.has_perms([orchestrator.SEE, orchestrator.permission("compensate")])

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the data can be edited, which is all that can; the orchestrator asks again."""
        final = obj is not None and obj.state in _FINAL
        return not final and request.user.has_perms([orchestrator.SEE, orchestrator.permission("edit")])

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return all but the data, if that may be edited."""
        return self._shown if self.has_change_permission(request, obj) else (*self._shown, "data")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> list[tuple[str | None, dict[str, Any]]]:
        """Add what an edit needs, if the data may be edited."""
        editable = self.has_change_permission(request, obj)
        data = ("data", "reason", "seen_version", "action_id") if editable else ("data",)
        return [(None, {"fields": self._shown}), ("Data", {"fields": data})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Tell the form who is asking."""
        form = super().get_form(request, obj, change, **kwargs)
        form.operator = request.user
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Tell what was refused after all, because the saga moved on since the form was checked."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (orchestrator.OrchestratorError, orchestrator.Refused) as no:
            self.message_user(request, str(no), messages.ERROR)
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: Saga, form: DataForm, change: bool) -> None:
        """Edit the data through the orchestrator, which checks, decides, records and audits."""
        orchestrator.act(obj.pk, "edit", form.asked())
