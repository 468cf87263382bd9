"""Alerts: what asks for a person, who is on it, and what was over lately."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from sagas import orchestrator
from sagas.dashboard import alerts
from sagas.dashboard.access import desk, page
from sagas.dashboard.alerts import Shown
from sagas.dashboard.confirming import Confirming, Says
from sagas.dashboard.numbers import number_of
from sagas.dashboard.paging import keyset
from sagas.models import Alert
from sagas.orchestrator import ALERT_PERMISSION, ALERT_VERBS, Asked

#: Hours for which the page offers to take one, as texts; none: until it is over.
TERMS = ("", "1", "4", "12")
#: Verb -> what became of it, for the message on the next page.
DONE = {"take": "You are on it", "give_back": "Nobody is on it any more"}


@require_safe
@desk
def alert_list(request: HttpRequest) -> HttpResponse:
    """Show the open alerts, and those that are over, newest first."""
    found = keyset(Alert.objects.filter(resolved_at__isnull=False), request.GET, {})
    shown, count = alerts.open_alerts(), alerts.Count.now()
    context = {
        "open": Shown.of(shown),
        "count": count,
        "more": max(0, count.open - len(shown)),
        "page": found,
        "past": Shown.of(found.rows),
        "channels": alerts.channels(),
        "lacks": "" if request.user.has_perm(ALERT_PERMISSION) else ALERT_PERMISSION,
    }
    return page(request, "sagas/alert_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def alert_verb(request: HttpRequest, number: int, verb: str) -> HttpResponse:
    """Show what the verb would do; a POST does it."""
    return _Confirming(request, verb, number).answer()


class _Confirming(Confirming):
    template = "sagas/alert_verb.html"
    looks = ("term",)

    def __init__(self, request: HttpRequest, verb: str, number: int) -> None:
        super().__init__(request, verb)
        self.number = number
        self.term = self.fields.get(
            "term", self.fields.get("hours", "")
        ).strip()  # a button's, or what was shown

    @property
    def hours(self) -> float | None:
        return number_of("hours", self.term, float)

    def preview(self, asked: Asked) -> Says:
        return Says(orchestrator.preview_alert(self.number, self.verb, asked, self.hours))

    def act(self) -> HttpResponse:
        version = number_of("version", self.fields.get("version", ""), int)
        asked = replace(self.asked, version=version)
        answer = orchestrator.act_on_alert(self.number, self.verb, asked, self.hours)
        done = "This was already done." if answer.repeated else f"{DONE[self.verb]}: {answer.alert.title}"
        messages.success(self.request, done)
        return redirect("saga-alerts")

    def around(self, plan: Says | None) -> dict[str, Any]:
        alert = orchestrator.alert_numbered(self.number)
        return {
            "alert": alert,
            "label": ALERT_VERBS[self.verb],
            "of": alert.title,
            "how": f" for {self.term} h" if self.term else "",
            "back": reverse("saga-alerts"),
            "crumb": "Alerts",
            "back_to": "alerts",
            "term": self.term,
            "terms": TERMS,
            "asks": "What do you do about it?" if self.verb == "take" else "",
            "sees": "looks at it",
        }
