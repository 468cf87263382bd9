"""The page on which a queue is paused or resumed: what that would do, a reason, and then it is done."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from sagas import orchestrator
from sagas.dashboard.access import desk
from sagas.dashboard.confirming import Confirming
from sagas.dashboard.numbers import number_of
from sagas.orchestrator import QUEUE_VERBS, Asked, QueuePlan

#: Calls a second that the page offers for a queue that is resumed slowly, as texts; none: at once.
PACES = ("", "1", "5", "25", "100")
#: Verb -> what became of it, for the message on the next page.
DONE = {
    "pause": "{} is paused: within a second, nothing on it is begun any more.",
    "resume": "{} is resumed: what is due on it is begun.",
}


@require_http_methods(["GET", "HEAD", "POST"])
@desk
def queue_verb(request: HttpRequest, name: str, verb: str) -> HttpResponse:
    """Show what the verb would do; a POST does it."""
    return _Confirming(request, verb, name).answer()


class _Confirming(Confirming):
    template = "sagas/queue_verb.html"
    looks = ("pace",)

    def __init__(self, request: HttpRequest, verb: str, name: str) -> None:
        super().__init__(request, verb)
        self.name = name
        self.pace = self.fields.get(
            "pace", self.fields.get("per_second", "")
        ).strip()  # a button's, or what was shown

    @property
    def per_second(self) -> float | None:
        return number_of("per_second", self.pace, float)

    def preview(self, asked: Asked) -> QueuePlan:
        return orchestrator.preview_queue(self.name, self.verb, asked, self.per_second)

    def act(self) -> HttpResponse:
        pause = number_of("pause", self.fields.get("pause", ""), int)
        asked = replace(self.asked, version=pause)
        answer = orchestrator.act_on_queue(self.name, self.verb, asked, self.per_second)
        messages.success(
            self.request, f"{self.name}: this was already done." if answer.repeated else self._done()
        )
        return redirect("saga-queues")

    def _done(self) -> str:
        if self.pace:
            return f"{self.name} is resumed: of what is due on it, {self.pace} a second begin."
        return DONE[self.verb].format(self.name)

    def around(self, plan: QueuePlan | None) -> dict[str, Any]:
        return {
            "label": QUEUE_VERBS[self.verb],
            "of": self.name,
            "how": f" {self.name}, {self.pace} a second" if self.pace else f" {self.name}",
            "back": reverse("saga-queues"),
            "crumb": "Queues",
            "back_to": "queues",
            "pace": self.pace,
            "paces": PACES,
        }
