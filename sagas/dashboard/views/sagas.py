"""The list of sagas, and the search box."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from sagas import registry
from sagas.core.words import Attention, SagaState
from sagas.dashboard.access import desk, page
from sagas.dashboard.filters import Filters
from sagas.dashboard.paging import keyset
from sagas.dashboard.rows import for_rows, rows
from sagas.dashboard.words import WAITS, attention_text
from sagas.models import Saga


@require_safe
@desk
def saga_list(request: HttpRequest) -> HttpResponse:
    """Show the sagas that match the filters, newest first."""
    filters = Filters.read(request.GET)
    found = keyset(for_rows(filters.apply()), request.GET, filters.active)
    context = {
        "filters": filters,
        "page": found,
        "rows": rows(found.rows),
        "states": list(SagaState),
        "waits": list(WAITS.items()),
        "attentions": [(a.value, attention_text(a)) for a in reversed(Attention)],
        "types": sorted(registry.saga_types()),
        "live_query": request.GET.urlencode(),
    }
    return page(request, "sagas/saga_list.html", context, status=400 if filters.problems else 200)


@require_safe
@desk
def search(request: HttpRequest) -> HttpResponse:
    """Go to the saga with that id, or with that correlation id; else to the list of those that begin so."""
    text = request.GET.get("q", "").strip()[:200]
    found = _one(text)
    if found:
        return redirect("saga-detail", saga_id=found)
    filters = Filters(correlation=text)
    return redirect(f"{reverse('saga-list')}?{filters.query}")


def _one(text: str) -> UUID | None:
    try:
        sought = UUID(text)
    except ValueError:
        pass
    else:
        if Saga.objects.filter(pk=sought).exists():
            return sought
    named = list(Saga.objects.filter(correlation_id=text).values_list("pk", flat=True)[:2]) if text else []
    return named[0] if len(named) == 1 else None
