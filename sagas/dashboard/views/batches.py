"""Many sagas at once: what a batch would do, how far it is, and what can be done to it."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.batches import ITEMS, Form, Shown, verbs_for
from sagas.dashboard.confirming import VIA, Confirming, Says, refusals
from sagas.dashboard.numbers import whole
from sagas.dashboard.paging import SIZE, keyset
from sagas.models import Batch, BatchItem, Saga
from sagas.orchestrator import BATCH_VERBS, LARGEST, VERBS, Asked, BatchPlan
from sagas.several import propose


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
    return _Beginning(request, form).answer()


class _Beginning(Confirming):
    template = "sagas/batch_new.html"
    looks = ("preview",)

    def __init__(self, request: HttpRequest, form: Form) -> None:
        super().__init__(request, form.verb)
        self.form = form

    def preview(self, asked: Asked) -> BatchPlan:
        return orchestrator.preview_batch(self.verb, self.form.filters.apply(), asked, self.form.course)

    def act(self) -> HttpResponse:
        form = self.form
        answer = orchestrator.start_batch(
            self.verb,
            form.filters.apply(),
            self.asked,
            form.course,
            filters=form.filters.active,
            seen_at=form.seen_at,
            at_most=form.total,
        )
        return redirect("saga-batch", number=answer.batch.pk)

    def around(self, plan: BatchPlan | None) -> dict[str, Any]:
        return {
            "form": self.form,
            "typed": True,
            "label": VERBS[self.verb],
            "of": "many sagas",
            "first": propose(self.request.user, VIA, self.verb, plan.first) if plan else [],
            "back": f"{reverse('saga-list')}?{self.form.filters.query}",
            "crumb": "Sagas",
            "back_to": "sagas",
        }


@require_safe
@desk
def batch_detail(request: HttpRequest, number: int) -> HttpResponse:
    """Show how far a batch is, and what came of each of its sagas."""
    batch = _batch(number)
    state = request.GET.get("state", "")
    items = batch.items.filter(state=state) if state in ITEMS else batch.items.all()
    after = whole(request.GET.get("after", ""), LARGEST)
    if after is not None:
        items = items.filter(position__gt=after)
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
    return _Confirming(request, verb, _batch(number)).answer()


class _Confirming(Confirming):
    template = "sagas/confirm.html"

    def __init__(self, request: HttpRequest, verb: str, batch: Batch) -> None:
        super().__init__(request, verb)
        self.batch = batch

    def preview(self, asked: Asked) -> Says:
        return Says([orchestrator.preview_batch_verb(self.batch.pk, self.verb, asked)])

    def act(self) -> HttpResponse:
        answer = orchestrator.act_on_batch(self.batch.pk, self.verb, self.asked)
        done = "already done" if answer.repeated else "done"
        messages.success(self.request, f"{BATCH_VERBS[self.verb]}: {done}.")
        return redirect("saga-batch", number=self.batch.pk)

    def _how(self) -> str:
        """Say which, and of how many: of a button that says only Cancel, one expects that it changes nothing."""
        left = self.batch.items.filter(state=BatchItem.WAITING).count()
        what = {"cancel": f": {left} stay as they are", "resume": f": {left} to come"}
        return f" batch {self.batch.pk}{what.get(self.verb, '')}"

    def around(self, plan: Says | None) -> dict[str, Any]:
        return {
            "label": BATCH_VERBS[self.verb],
            "of": f"batch {self.batch.pk}",
            "how": self._how(),
            "leave": "Keep it" if self.verb == "cancel" else "Leave it",
            "back": reverse("saga-batch", args=[self.batch.pk]),
            "crumb": f"Batch {self.batch.pk}",
            "back_to": "batch",
        }


def _batch(number: int) -> Batch:
    with refusals():
        return orchestrator.batch_numbered(number)
