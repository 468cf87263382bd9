"""Many sagas at once: what a batch would do, how far it is, and what can be done to it."""

from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.batches import ITEMS, Form, Shown, verbs_for
from sagas.dashboard.paging import SIZE, keyset
from sagas.models import Batch, Saga
from sagas.orchestrator import (
    BATCH_PERMISSION,
    BATCH_VERBS,
    LONGEST_REASON,
    VERBS,
    Asked,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
)
from sagas.several import propose

VIA = "desk"


@require_safe
@desk
def batch_list(request: HttpRequest) -> HttpResponse:
    """Show the batches, newest first."""
    found = keyset(Batch.objects.all(), request.GET, {})
    return page(request, "sagas/batch_list.html", {"page": found, "batches": Shown.of(found.rows)})


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def batch_new(request: HttpRequest, verb: str) -> HttpResponse:
    """Show what a batch on the sagas that match would do; a POST begins it."""
    form = Form.read(request, verb)
    if not form.filters.active or form.filters.problems:
        messages.error(request, "Say first which sagas: choose a filter.")
        return redirect(f"{reverse('saga-list')}?{form.filters.query}")
    try:
        if request.method != "POST" or "preview" in request.POST:
            return _show(request, form)
        return _begin(request, form)
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no
    except Invalid as no:
        return _show(request, form, problem=no, status=422)


def _begin(request: HttpRequest, form: Form) -> HttpResponse:
    try:
        answer = orchestrator.start_batch(
            form.verb,
            form.filters.apply(),
            form.asked,
            form.course,
            filters=form.filters.active,
            seen_at=form.seen_at,
            at_most=form.total,
        )
    except Refused as no:
        return _show(request, form, refused=str(no), status=409)
    return redirect("saga-batch", number=answer.batch.pk)


def _show(request: HttpRequest, form: Form, status: int = 200, **context: Any) -> HttpResponse:
    """Show the form, with what it would do to the sagas that match now; of a course that is none, without that."""
    plan, problem = None, context.pop("problem", None)
    try:
        plan = orchestrator.preview_batch(form.verb, form.filters.apply(), form.asked, form.course)
    except Invalid as no:
        problem = problem or no
        status = max(status, 422)
    shown = {
        "form": form,
        "label": VERBS[form.verb],
        "plan": plan,
        "first": propose(request.user, VIA, form.verb, plan.first) if plan else [],
        "problem": problem,
        "back": f"{reverse('saga-list')}?{form.filters.query}",
        **context,
    }
    return page(request, "sagas/batch_new.html", shown, status=status)


@require_safe
@desk
def batch_detail(request: HttpRequest, number: int) -> HttpResponse:
    """Show how far a batch is, and what came of each of its sagas."""
    batch = _batch(number)
    state = request.GET.get("state", "")
    items = batch.items.filter(state=state) if state in ITEMS else batch.items.all()
    after = request.GET.get("after", "")
    if after.isascii() and after.isdecimal() and len(after) < 10:
        items = items.filter(position__gt=int(after))
    found = list(items.order_by("position")[: SIZE + 1])
    rows = found[:SIZE]
    sagas = Saga.objects.defer("data").in_bulk({item.saga_id for item in rows})
    more = {"state": state, "after": rows[-1].position} if len(found) > SIZE else None
    shown = Shown.of([batch])[0]
    context = {
        "shown": shown,
        "verbs": verbs_for(request.user, shown),
        "rows": [(item, sagas.get(item.saga_id), *ITEMS[item.state]) for item in rows],
        "state": state if state in ITEMS else "",
        "older": f"?{urlencode(more)}" if more else "",
        "which": f"{reverse('saga-list')}?{urlencode(batch.filters)}",
    }
    return page(request, "sagas/batch.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def batch_verb(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    """Show what a verb would do to a batch; a POST with a reason does it."""
    batch = _batch(number)
    if not request.user.has_perm(BATCH_PERMISSION):
        raise PermissionDenied(f"Your account lacks the permission {BATCH_PERMISSION}.")
    asked, problem, refused, status = _asked(request), None, "", 200
    try:
        if request.method == "POST":
            answer = orchestrator.act_on_batch(number, verb, asked)
            done = "already done" if answer.repeated else "done"
            messages.success(request, f"{BATCH_VERBS[verb]}: {done}.")
            return redirect("saga-batch", number=number)
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no
    except Invalid as no:
        problem, status = no, 422
    except Refused as no:
        refused, status = str(no), 409
    context = {"batch": batch, "verb": verb, "label": BATCH_VERBS[verb], "asked": asked, "problem": problem}
    try:
        says = "" if refused else orchestrator.preview_batch_verb(number, verb, asked)
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no
    except Refused as no:
        says, refused, status = "", str(no), 409
    return page(
        request, "sagas/batch_verb.html", {**context, "says": says, "refused": refused}, status=status
    )


def _asked(request: HttpRequest) -> Asked:
    reason = request.POST.get("reason", "").strip()[: LONGEST_REASON + 1]
    action_id = request.POST.get("action_id") or uuid4().hex
    return Asked(operator=request.user, via=VIA, reason=reason, action_id=action_id)


def _batch(number: int) -> Batch:
    try:
        return orchestrator.batch_numbered(number)
    except NotFound as no:
        raise Http404(str(no)) from no
