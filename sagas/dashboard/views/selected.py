"""A verb on the sagas that were selected in the list: what it would do to each, one reason, and what came of each."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_http_methods

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.confirming import VIA, fields_of, reason_of
from sagas.dashboard.filters import Filters
from sagas.models import Saga
from sagas.orchestrator import VERBS, Asked, Invalid, NotFound
from sagas.orchestrator.operators import check_reason, check_words
from sagas.several import MOST, SEVERAL, Confirmed, carry_out, propose


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def selected_verb(request: HttpRequest, verb: str) -> HttpResponse:
    """Show what the verb would do to each; a POST with a reason does it, and says what came of each."""
    if verb not in SEVERAL:
        raise Http404(f"{VERBS[verb]} is for one saga at a time.")
    if not request.user.has_perm(orchestrator.permission(verb)):
        raise PermissionDenied(f"Your account lacks the permission {orchestrator.permission(verb)}.")
    fields = fields_of(request)
    chosen, problem = _chosen(fields)
    if problem or not chosen:
        messages.error(request, problem or "Select the sagas first.")
        return redirect(_list(fields))
    if request.method != "POST" or "preview" in fields:
        return _show(request, verb, chosen, fields)
    try:
        return _do(request, verb, chosen, fields)
    except Invalid as no:
        return _show(request, verb, chosen, fields, problem=no, status=422)


def _chosen(fields: QueryDict) -> tuple[list[UUID], str]:
    """Return the ids that were sent, in the list's order; or what is wrong with them."""
    sent = list(dict.fromkeys(fields.getlist("saga")))
    if len(sent) > MOST:
        return [], f"Select at most {MOST} sagas."
    try:
        return sorted({orchestrator.as_uuid(each) for each in sent}, reverse=True), ""
    except NotFound as no:
        return [], str(no)


def _list(fields: QueryDict) -> str:
    """Return the list that one came from, as it was filtered."""
    query = QueryDict(fields.get("list", ""))
    kept = {
        **Filters.read(query).active,
        **{name: query[name] for name in ("after", "before") if query.get(name)},
    }
    return reverse("saga-list") + (f"?{urlencode(kept)}" if kept else "")


def _show(
    request: HttpRequest,
    verb: str,
    chosen: list[UUID],
    fields: QueryDict,
    problem: Invalid | None = None,
    status: int = 200,
) -> HttpResponse:
    """Show the form, with the preview of each saga as it is now."""
    found = Saga.objects.filter(pk__in=chosen).order_by("-pk")
    proposals = propose(request.user, VIA, verb, found)
    known = {proposal.saga["id"] for proposal in proposals}
    context = {
        "able": [each for each in proposals if not each.refusal],
        "unable": [each for each in proposals if each.refusal],
        "gone": [pk for pk in chosen if str(pk) not in known],
        "reason": reason_of(fields),
        "problem": problem,
    }
    return _page(request, "sagas/selected.html", verb, fields, context, status)


def _do(request: HttpRequest, verb: str, chosen: list[UUID], fields: QueryDict) -> HttpResponse:
    """Act on each that the page had named; what has moved on since is refused, and said.

    Raises Invalid for a reason that is none: that is said once, and not of each.
    """
    asked = Asked(operator=request.user, via=VIA, reason=reason_of(fields))
    check_reason(asked)
    check_words(asked)
    named = [each for pk in chosen if (each := Confirmed.read(fields, pk)) is not None]
    outcomes = [carry_out(request.user, VIA, verb, asked.reason, each) for each in named]
    sagas = Saga.objects.in_bulk([each.saga_id for each in outcomes])
    context = {
        "outcomes": [(each, sagas.get(each.saga_id)) for each in outcomes],
        "done": sum(not each.refusal for each in outcomes),
        "again": _again(verb, fields, (each.saga_id for each in outcomes if each.refusal)),
    }
    return _page(request, "sagas/selected_done.html", verb, fields, context)


def _again(verb: str, fields: QueryDict, refused: Iterable[UUID]) -> str:
    """Return the preview of those that were refused, as they are now; empty if none was."""
    sagas = [("saga", str(pk)) for pk in refused]
    kept = [("list", fields.get("list", ""))]
    return f"{reverse('saga-selected-verb', args=[verb])}?{urlencode(sagas + kept)}" if sagas else ""


def _page(
    request: HttpRequest,
    template: str,
    verb: str,
    fields: QueryDict,
    context: dict[str, Any],
    status: int = 200,
) -> HttpResponse:
    around = {"verb": verb, "label": VERBS[verb], "list": fields.get("list", ""), "back": _list(fields)}
    return page(request, template, {**around, **context}, status=status)
