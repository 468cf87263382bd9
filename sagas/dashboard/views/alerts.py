"""Alerts: what asks for a person, who is on it, and what was over lately."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_http_methods, require_safe

from sagas import orchestrator
from sagas.dashboard import alerts
from sagas.dashboard.access import desk, page
from sagas.dashboard.alerts import Shown
from sagas.dashboard.numbers import number_of
from sagas.dashboard.paging import keyset
from sagas.models import Alert
from sagas.orchestrator import ALERT_VERBS, LONGEST_REASON, Asked, Forbidden, Invalid, NotFound, Refused

#: Hours for which the page offers to take one, as texts; none: until it is over.
TERMS = ("", "1", "4", "12")


@require_safe
@desk
def alert_list(request: HttpRequest) -> HttpResponse:
    """Show the open alerts, and those that are over, newest first."""
    found = keyset(Alert.objects.filter(resolved_at__isnull=False), request.GET, {})
    shown = alerts.open_alerts()
    context = {
        "open": Shown.of(shown),
        "more": max(0, Alert.objects.filter(resolved_at=None).count() - len(shown)),
        "page": found,
        "past": Shown.of(found.rows),
        "channels": alerts.channels(),
    }
    return page(request, "sagas/alert_list.html", context)


@dataclass(frozen=True)
class Form:
    """What was sent, or stands in the link that leads here."""

    number: int
    verb: str
    asked: Asked
    hours: float | None

    @classmethod
    def read(cls, request: HttpRequest, number: int, verb: str) -> "Form":
        """Read it. Raises Invalid for a number that is none."""
        sent = request.POST
        asked = Asked(
            operator=request.user,
            via="desk",
            reason=sent.get("reason", "").strip()[: LONGEST_REASON + 1],
            version=number_of("version", sent.get("version", ""), int),
            action_id=sent.get("action_id") or uuid4().hex,
        )
        term = sent.get("term", sent.get("hours", ""))  # a button's, or what was shown
        return cls(number, verb, asked, number_of("hours", term, float))

    @property
    def term(self) -> str:
        """The hours as they are written; empty: until it is over."""
        return "" if self.hours is None else f"{self.hours:g}"


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def alert_verb(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    """Show what the verb would do; a POST does it."""
    alert = get_object_or_404(Alert, pk=number)
    try:
        form = Form.read(request, number, verb)
        if request.method != "POST" or "term" in request.POST:
            return _show(request, form)
        return _do(request, form)
    except NotFound as no:
        raise Http404(str(no)) from no
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no
    except Invalid as no:
        shown = Shown.of([alert])[0]
        written = {"reason": request.POST.get("reason", "")}
        context = {"shown": shown, "verb": verb, "label": ALERT_VERBS[verb], "problem": no, "asked": written}
        return page(request, "sagas/alert_verb.html", context, status=422)


def _do(request: HttpRequest, form: Form) -> HttpResponse:
    try:
        answer = orchestrator.act_on_alert(form.number, form.verb, form.asked, form.hours)
    except Invalid as no:
        if no.field != "reason":
            raise
        return _show(request, form, problem=no, status=422)
    except Refused as no:
        return _show(request, form, refused=str(no), status=409)
    done = "You are on it" if form.verb == "take" else "Nobody is on it any more"
    messages.success(
        request, "This was already done." if answer.repeated else f"{done}: {answer.alert.title}"
    )
    return redirect("saga-alerts")


def _show(request: HttpRequest, form: Form, status: int = 200, **context: Any) -> HttpResponse:
    """Show the form, with what it would do to the alert as it is now; or why it does not apply any more."""
    asked = Asked(operator=form.asked.operator, via="desk", reason="")
    says, refusal = (), ""
    try:
        says = orchestrator.preview_alert(form.number, form.verb, asked, form.hours)
    except Refused as no:
        refusal = str(no)
    shown = {
        "shown": Shown.of([orchestrator.alert_numbered(form.number)])[0],
        "verb": form.verb,
        "label": ALERT_VERBS[form.verb],
        "says": says,
        "refusal": refusal,
        "asked": form.asked,
        "action_id": form.asked.action_id if "refused" not in context else uuid4().hex,
        "term": form.term,
        "terms": TERMS,
        "asks": "What do you do about it?" if form.verb == "take" else "",
        **context,
    }
    return page(request, "sagas/alert_verb.html", shown, status=409 if refusal and status == 200 else status)
