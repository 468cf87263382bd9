"""Verbs on many sagas: a page that says what each would do, and then each through the orchestrator's door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.contrib.admin import ModelAdmin, helpers
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from sagas import orchestrator
from sagas.models import Saga

#: More than that nobody reads before pressing the button.
MOST = 50
#: The digits of a version, at most; Python itself reads no number of thousands of digits.
LONGEST_VERSION = 18


@dataclass
class Proposal:
    """What a verb would do to one saga."""

    saga: Mapping[str, Any]
    steps: list[str] = field(default_factory=list)
    """The steps that it would be about; empty for a verb about the whole saga."""
    sentences: list[str] = field(default_factory=list)
    refusal: str = ""
    action_id: str = field(default_factory=lambda: uuid4().hex)


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
    proposals = [_propose(request, saga, verb) for saga in orchestrator.snapshots(selected)]
    return _ask(admin, request, verb, proposals, missing_reason="confirmed" in request.POST)


def _propose(request: HttpRequest, saga: Mapping[str, Any], verb: str) -> Proposal:
    proposal = Proposal(saga, _steps(saga, verb))
    if verb in orchestrator.STEP_VERBS and not proposal.steps:
        proposal.refusal = f"No step can be acted on: {saga['why']['text']}"
        return proposal
    try:
        for step in proposal.steps or (None,):
            asked = orchestrator.Asked(operator=request.user, via="admin", reason="", step=step)
            proposal.sentences += orchestrator.preview(saga["id"], verb, asked).sentences
    except (orchestrator.OrchestratorError, orchestrator.Refused) as no:
        proposal.refusal = str(no)
    return proposal


def _steps(saga: Mapping[str, Any], verb: str) -> list[str]:
    """Return the steps that a verb is about: those at attention, or else all that it applies to."""
    if verb not in orchestrator.STEP_VERBS:
        return []
    fitting = [v["step"] for v in saga["verbs"] if v["verb"] == verb and v["applies"]]
    asking = {step["name"] for step in saga["steps"] if step["attention"]}
    return [name for name in fitting if name in asking] or fitting


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
    version = request.POST.get(f"version-{saga.pk}", "")
    if not version.isdecimal() or len(version) > LONGEST_VERSION:
        return  # the page had said that nothing would happen to this one
    done: list[str] = []
    try:
        state = _carry_out(request, saga, verb, reason, int(version), done)
    except (orchestrator.OrchestratorError, orchestrator.Refused) as no:
        before = f"{orchestrator.VERBS[verb].lower()} of {', '.join(done)} was done. Then: " if done else ""
        admin.message_user(request, f"{saga}: {before}{no}", messages.ERROR)
    else:
        text = f"{saga}: {orchestrator.VERBS[verb].lower()} was done; it is {state} now."
        admin.message_user(request, text, messages.SUCCESS)


def _tell_of_others(admin: ModelAdmin, request: HttpRequest, acted_on: Sequence[Saga]) -> None:
    """Say which sagas were confirmed, but are no longer among those that the list's filters show."""
    there = {str(saga.pk) for saga in acted_on}
    for gone in request.POST.getlist(helpers.ACTION_CHECKBOX_NAME):
        if gone not in there and f"version-{gone}" in request.POST:
            text = f"{gone}: nothing more was done: it has moved on, and the list's filters do not show it any more."
            admin.message_user(request, text, messages.WARNING)


def _carry_out(
    request: HttpRequest, saga: Saga, verb: str, reason: str, version: int, done: list[str]
) -> str:
    """Act on each step that the page named, or on the saga; return the state that this left. Note what is ``done``."""
    state = saga.state
    for index, step in enumerate(request.POST.getlist(f"step-{saga.pk}") or [None]):
        asked = orchestrator.Asked(
            operator=request.user,
            via="admin",
            reason=reason,
            step=step,
            version=version,
            action_id=f"{request.POST.get(f'action-{saga.pk}', uuid4().hex)}-{index}",
        )
        answer = orchestrator.act(saga.pk, verb, asked)
        # What the next step's verb has to meet is what this one left.
        version, state = answer.saga["version"], answer.saga["state"]
        done += [step] if step else []
    return state
