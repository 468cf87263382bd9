"""Verbs on many sagas: a page that says what each would do, and then each through the orchestrator's door."""

from collections.abc import Sequence

from django.contrib import messages
from django.contrib.admin import ModelAdmin, helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sagas import orchestrator
from sagas.models import Saga
from sagas.several import MOST, Confirmed, Proposal, carry_out, propose

VIA = "admin"


def act_on_selected(
    admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Saga], verb: str
) -> HttpResponse | None:
    """Show what a verb would do to the selected sagas; do it once that is confirmed, with a reason."""
    selected = list(queryset.order_by("-pk")[: MOST + 1])
    if len(selected) > MOST:
        admin.message_user(request, f"Select at most {MOST} sagas.", messages.ERROR)
        return None
    reason = request.POST.get("reason", "").strip()
    if "confirmed" in request.POST and reason:
        for saga in selected:
            _act(admin, request, saga, verb, reason)
        _tell_of_others(admin, request, selected)
        return None
    proposals = propose(request.user, VIA, verb, selected)
    return _ask(admin, request, verb, proposals, missing_reason="confirmed" in request.POST)


def _ask(
    admin: ModelAdmin,
    request: HttpRequest,
    verb: str,
    proposals: Sequence[Proposal],
    *,
    missing_reason: bool,
) -> HttpResponse:
    label = orchestrator.VERBS[verb]
    context = {
        **admin.admin_site.each_context(request),
        "title": f"{label}: are you sure?",
        "opts": admin.model._meta,
        "label": label,
        "action": request.POST.get("action", ""),
        "proposals": proposals,
        "possible": any(not proposal.refusal for proposal in proposals),
        "missing_reason": missing_reason,
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/sagas/act_on_selected.html", context)


def _act(admin: ModelAdmin, request: HttpRequest, saga: Saga, verb: str, reason: str) -> None:
    confirmed = Confirmed.read(request.POST, saga.pk)
    if confirmed is None:
        return  # the page had said that nothing would happen to this one
    outcome = carry_out(request.user, VIA, verb, reason, confirmed)
    level = messages.ERROR if outcome.refusal else messages.SUCCESS
    admin.message_user(request, f"{saga}: {outcome.text}", level)


def _tell_of_others(admin: ModelAdmin, request: HttpRequest, acted_on: Sequence[Saga]) -> None:
    """Say which sagas were confirmed, but are no longer among those that the list's filters show."""
    there = {str(saga.pk) for saga in acted_on}
    for gone in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME):
        if gone not in there and f"version-{gone}" in request.POST:
            text = f"{gone}: nothing more was done: it has moved on, and the list's filters do not show it any more."
            admin.message_user(request, text, messages.WARNING)
