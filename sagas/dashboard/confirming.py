"""A page on which a verb is confirmed: what it would do, a reason, and then it is done, or what speaks against it.

The pages of alerts, queues and batches are this one; a saga's own has more to say, of who was faster.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict

from sagas.dashboard.access import page
from sagas.orchestrator import LONGEST_REASON, Asked, Forbidden, Invalid, NotFound, Refused

VIA = "desk"


def fields_of(request: HttpRequest) -> QueryDict:
    """Return what was sent, or stands in the link that leads here."""
    return request.POST if request.method == "POST" else request.GET


def reason_of(fields: Mapping[str, str]) -> str:
    """Return the reason that was given; of one that is too long, enough for the orchestrator to say so."""
    return fields.get("reason", "").strip()[: LONGEST_REASON + 1]


@contextmanager
def refusals() -> Iterator[None]:
    """Answer 404 for what the orchestrator does not know, 403 for what it forbids."""
    try:
        yield
    except NotFound as no:
        raise Http404(str(no)) from no
    except Forbidden as no:
        raise PermissionDenied(str(no)) from no


@dataclass(frozen=True)
class Says:
    """What a verb would do, where that is all that there is to say of it."""

    sentences: Sequence[str]


class Confirming(ABC):
    """One such page. What the orchestrator, or a form's field, has to say against it is told on the page."""

    template: ClassVar[str]
    looks: ClassVar[Collection[str]] = ()
    """The buttons that ask for another look, and for nothing to be done."""

    def __init__(self, request: HttpRequest, verb: str) -> None:
        self.request, self.verb, self.fields = request, verb, fields_of(request)
        self.asked = Asked(
            operator=request.user,
            via=VIA,
            reason=reason_of(self.fields),
            action_id=self.fields.get("action_id") or uuid4().hex,
        )

    @abstractmethod
    def preview(self, asked: Asked) -> Any:
        """Return what it would do: something with sentences."""

    @abstractmethod
    def act(self) -> HttpResponse:
        """Do it, and lead to the next page."""

    @abstractmethod
    def around(self, plan: Any) -> dict[str, Any]:
        """Return what else the page shows beside what it would do, which is None if nothing is done."""

    def answer(self) -> HttpResponse:
        """Show what the verb would do; a POST does it, unless it asks for another look."""
        with refusals():
            if self.request.method != "POST" or any(button in self.fields for button in self.looks):
                return self._show()
            try:
                return self.act()
            except Invalid as no:
                return self._show(problem=no)
            except Refused as no:
                return self._show(refused=str(no))

    def _show(self, problem: Invalid | None = None, refused: str = "") -> HttpResponse:
        """Show the form, with what it would do as things are now; or why it does not apply, any more."""
        plan, refusal, asked = None, "", self.asked
        try:
            plan = self.preview(replace(asked, reason="", action_id=None))
        except Invalid as no:
            problem = problem or no
        except Refused as no:
            refusal = str(no)
        if refused or (problem and problem.field == "action_id"):
            asked = replace(asked, action_id=uuid4().hex)  # whoever presses the button again asks for it anew
        told = {"verb": self.verb, "asked": asked, "plan": plan, "problem": problem}
        context = {**told, "refused": refused, "refusal": refusal, **self.around(plan)}
        status = 422 if problem else 409 if refused or refusal else 200
        return page(self.request, self.template, context, status=status)
