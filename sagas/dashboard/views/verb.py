"""A verb's page: what it would do, a reason, and then it is done, or somebody was faster."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.asking import Asking, outcomes
from sagas.dashboard.buttons import NOWHERE, verb_buttons
from sagas.dashboard.called import LOOKED_UP, called
from sagas.dashboard.confirming import fields_of, refusals
from sagas.models import Saga
from sagas.orchestrator import STEP_VERBS, VERBS, Answer, Conflict, Invalid, Plan

#: The page that answers lead back to, if they were given from there.
INBOX = "approvals"

#: Sentences of the preview that are repeated once it is done: what comes first of it.
COMES = 2
#: Verbs for which much may have been typed: it stays in the form, whatever speaks against them now; and it is done
#: only as it was previewed.
WRITTEN = ("edit", "resolve")
#: Verb -> what became of it, for the message on the next page.
DONE = {
    "retry": "It is tried again.",
    "compensate": "The saga rolls back.",
    "skip": "The step is skipped.",
    "resolve": "Settled, on your word.",
    "edit": "The data is replaced.",
    "pause": "The saga is paused.",
    "resume": "The saga goes on.",
    "approve": "Approved.",
    "reject": "Rejected.",
    "restart": "A new saga has started.",
}


@sensitive_post_parameters("data", "result")
@require_http_methods(["GET", "HEAD", "POST"])
@desk
def saga_verb(request: HttpRequest, saga_id: UUID, verb: str) -> HttpResponse:
    """Show what the verb would do; a POST does it, unless it only asks for another preview."""
    saga = Saga.objects.filter(pk=saga_id).first()
    if saga is None:
        raise Http404(f"There is no saga {saga_id}.")
    asking = Asking.read(request, saga, verb)
    if request.method != "POST" and verb in STEP_VERBS and not asking.step:
        return _of_which_step(request, saga, asking)
    if request.method != "POST" or "preview" in request.POST or _unseen(request, asking):
        moved = request.method == "POST" and asking.version != saga.version
        seen = {"looked_at": asking.version} if moved else {}
        return _show(request, saga, replace(asking, version=saga.version), **seen)
    return _do(request, saga, asking)


def _of_which_step(request: HttpRequest, saga: Saga, asking: Asking) -> HttpResponse:
    """Show the form for the only step that can be meant; ask which one, if several can; say why, if none can."""
    (seen,) = orchestrator.seen_by(request.user, [orchestrator.snapshot(saga)])
    nowhere = {"targets": [], "personal": False, "reason": NOWHERE.get(asking.verb)}
    button = next((each for each in verb_buttons(seen["verbs"]) if each["verb"] == asking.verb), nowhere)
    match button["targets"]:
        case [step]:
            return _show(request, saga, replace(asking, step=step))
        case []:
            if button["personal"]:
                raise PermissionDenied(button["reason"])
            return _show(request, saga, asking, refusal=button["reason"], status=409)
        case steps:
            return _show(request, saga, asking, steps=steps)


def _unseen(request: HttpRequest, asking: Asking) -> bool:
    """Whether nobody has seen yet what that which was typed would do."""
    return asking.verb in WRITTEN and request.POST.get("previewed") != asking.written


def _show(request: HttpRequest, saga: Saga, asking: Asking, **context: Any) -> HttpResponse:
    """Show the form, with the preview for the saga as it is now."""
    status = context.pop("status", 200)
    plan, no, problem = _preview(saga, asking)
    still = request.method == "POST" and "looked_at" not in context  # as the operator saw it
    refusal = "" if no is None else no.refusal if still else str(no)
    context = {"problem": problem, "conflict": None, **context}
    if problem and status == 200:
        status = 422
    if refusal and status == 200:
        status = 409
    snapshot = orchestrator.snapshot(saga)
    step = next((s for s in snapshot["steps"] if s["name"] == asking.step), None)
    shown = {
        "saga": saga,
        "outcomes": outcomes(step),
        "asked": step["asked"] if step and asking.verb in {"approve", "reject"} else None,
        "called": called(step) if asking.verb in LOOKED_UP else None,
        "origin": _origin(request),
        "asking": asking,
        "plan": plan,
        "refusal": refusal,
        "kept": request.method == "POST" and asking.verb in WRITTEN,
        "typed": asking.verb in WRITTEN,
        **context,
    }
    return page(request, "sagas/saga_verb.html", shown, status=status)


def _preview(saga: Saga, asking: Asking) -> tuple[Plan | None, Conflict | None, Invalid | None]:
    """Return the plan, or why the verb is refused, or which field is wrong."""
    if asking.problem or not asking.complete:
        return None, None, asking.problem
    try:
        with refusals():
            return orchestrator.preview(saga.pk, asking.verb, asking.asked(version=None)), None, None
    except Conflict as no:
        return None, no, None
    except Invalid as no:
        return None, None, no


def _do(request: HttpRequest, saga: Saga, asking: Asking) -> HttpResponse:
    if asking.problem:
        return _show(request, saga, asking, status=422)
    plan = _preview(saga, asking)[0] if saga.version == asking.version else None
    asked = asking.asked(version=asking.version if asking.fenced else None)
    try:
        with refusals():
            answer = orchestrator.act(saga.pk, asking.verb, asked)
    except Invalid as no:
        return _show(request, saga, asking, problem=no, status=422)
    except Conflict as no:
        saga.refresh_from_db()
        faster = {"mover": _mover(no), "seen": asking.version}
        return _show(request, saga, asking.afresh(saga.version), conflict=no, status=409, **faster)
    return _done(request, saga, answer, plan)


def _mover(conflict: Conflict) -> dict[str, Any] | None:
    by = conflict.moved_by
    return {**by, "at": datetime.fromisoformat(by["at"])} if by else None


def _origin(request: HttpRequest) -> str:
    """Return where the operator came from, and wants to be again."""
    return INBOX if fields_of(request).get("from") == INBOX else ""


def _repeats(answer: Answer) -> bool:
    """Whether what the preview said is still to come: not of another saga, nor who has answered so far."""
    return not answer.created and answer.verb != "approve"


def _done(request: HttpRequest, saga: Saga, answer: Answer, plan: Plan | None) -> HttpResponse:
    """Say what was done and what comes of it, where the operator finds himself next."""
    if answer.repeated:
        told = [f"{VERBS[answer.verb]}: this was already done."]
    else:
        told = [DONE[answer.verb], *(plan.sentences[:COMES] if plan and _repeats(answer) else ())]
        if answer.saga["paused"] and answer.verb != "pause" and not answer.created:
            told.append("The saga is paused, still: nothing is called until it is resumed.")
    messages.success(request, " ".join(told))
    if _origin(request) == INBOX:
        return redirect("saga-approvals")
    return redirect("saga-detail", saga_id=answer.created or saga.pk)
