"""One saga: where it stands, why, what could be done, and everything that happened."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.log import LONGEST, older_log
from sagas.dashboard.numbers import whole
from sagas.dashboard.regions import saga_contexts
from sagas.models import Saga


@require_safe
@desk
def saga_detail(request: HttpRequest, saga_id: UUID) -> HttpResponse:
    """Show the saga."""
    saga = get_object_or_404(Saga, pk=saga_id)
    barred = orchestrator.bars([request.user], [saga.pk]).get((request.user.pk, saga.pk), frozenset())
    (context,) = saga_contexts([saga], orchestrator.permitted(request.user), barred)
    return page(request, "sagas/saga_detail.html", context)


@require_safe
@desk
def saga_log(request: HttpRequest, saga_id: UUID) -> HttpResponse:
    """Show a part of the saga's log: what came before the event of that number."""
    saga = get_object_or_404(Saga, pk=saga_id)
    end = saga.sequence + 1
    before = whole(request.GET.get("before", ""), end)
    log = older_log(saga.pk, end if before is None else before)
    newer = log.ends + LONGEST + 1 if log.ends < saga.sequence else None
    context = {
        "saga": saga,
        "log": log.entries,
        "log_begins": log.begins,
        "log_ends": log.ends,
        "newer": newer,
    }
    return page(request, "sagas/saga_log.html", context)
