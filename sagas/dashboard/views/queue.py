"""The page on which a queue is paused or resumed: what that would do, a reason, and then it is done."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.numbers import number_of
from sagas.orchestrator import (
    LONGEST_REASON,
    QUEUE_VERBS,
    Asked,
    Forbidden,
    Invalid,
    NotFound,
    QueuePlan,
    Refused,
)

#: Calls a second that the page offers for a queue that is resumed slowly, as texts; none: at once.
PACES = ("", "1", "5", "25", "100")
#: Verb -> what became of it, for the message on the next page.
DONE = {
    "pause": "{} is paused: within a second, nothing on it is begun any more.",
    "resume": "{} is resumed: what is due on it is begun.",
}


@dataclass(frozen=True)
class Form:
    """What was sent, or stands in the link that leads here."""

    name: str
    verb: str
    asked: Asked
    per_second: float | None

    @classmethod
    def read(cls, request: HttpRequest, name: str, verb: str) -> "Form":
        """Read it. Raises Invalid for a number that is none."""
        fields = request.POST if request.method == "POST" else request.GET
        asked = Asked(
            operator=request.user,
            via="desk",
            reason=fields.get("reason", "").strip()[: LONGEST_REASON + 1],
            version=number_of("pause", fields.get("pause", ""), int),
            action_id=fields.get("action_id") or uuid4().hex,
        )
        pace = fields.get("pace", fields.get("per_second", ""))  # a button's, or what was shown
        return cls(name, verb, asked, number_of("per_second", pace, float))

    @property
    def pace(self) -> str:
        """The pace as it is written; empty: at once."""
        return "" if self.per_second is None else f"{self.per_second:g}"


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def queue_verb(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Show what the verb would do; a POST does it."""
    try:
        form = Form.read(request, name, verb)
        if request.method != "POST" or "pace" in request.POST:
            return _show(request, form)
        return _do(request, form)
    except NotFound as no:
        raise Http404(str(no)) from no
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no
    except Invalid as no:
        written = {"reason": request.POST.get("reason", "")}
        context = {"name": name, "verb": verb, "label": QUEUE_VERBS[verb], "problem": no, "asked": written}
        return page(request, "sagas/queue_verb.html", context, status=422)


def _do(request: HttpRequest, form: Form) -> HttpResponse:
    try:
        answer = orchestrator.act_on_queue(form.name, form.verb, form.asked, form.per_second)
    except Invalid as no:
        if no.field != "reason":
            raise
        return _show(request, form, problem=no, status=422)
    except Refused as no:
        return _show(request, form, refused=str(no), status=409)
    messages.success(request, f"{form.name}: this was already done." if answer.repeated else _told(form))
    return redirect("saga-queues")


def _told(form: Form) -> str:
    if form.pace:
        return f"{form.name} is resumed: of what is due on it, {form.pace} a second begin."
    return DONE[form.verb].format(form.name)


def _show(request: HttpRequest, form: Form, status: int = 200, **context: Any) -> HttpResponse:
    """Show the form, with what it would do to the queue as it is now; or why it does not apply any more."""
    plan, refusal = _preview(form)
    shown = {
        "name": form.name,
        "verb": form.verb,
        "label": QUEUE_VERBS[form.verb],
        "plan": plan,
        "refusal": refusal,
        "asked": form.asked,
        "action_id": form.asked.action_id if "refused" not in context else uuid4().hex,
        "pace": form.pace,
        "paces": PACES,
        **context,
    }
    return page(request, "sagas/queue_verb.html", shown, status=409 if refusal and status == 200 else status)


def _preview(form: Form) -> tuple[QueuePlan | None, str]:
    asked = Asked(operator=form.asked.operator, via="desk", reason="")
    try:
        return orchestrator.preview_queue(form.name, form.verb, asked, form.per_second), ""
    except Refused as no:
        return None, str(no)
