"""The list of sagas, and the search box."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from sagas import orchestrator, registry
from sagas.core.words import Attention, SagaState
from sagas.dashboard.access import desk, page
from sagas.dashboard.batches import offered
from sagas.dashboard.filters import Filters
from sagas.dashboard.paging import keyset
from sagas.dashboard.rows import for_rows, rows
from sagas.dashboard.searching import LEAST, find
from sagas.dashboard.tally import tally
from sagas.dashboard.words import WAITS
from sagas.orchestrator import VERBS, attention_text
from sagas.several import SEVERAL

#: Where a list comes from that was asked for in the search box, in vain.
SEARCH = "search"


@require_safe
@desk
def saga_list(request: HttpRequest) -> HttpResponse:
    """Show the sagas that match the filters, newest first."""
    filters = Filters.read(request.GET)
    found = keyset(for_rows(filters.apply()), request.GET, filters.active)
    context = {
        "filters": filters,
        "page": found,
        "tally": tally(filters, found),
        "rows": rows(found.rows),
        "states": list(SagaState),
        "waits": list(WAITS.items()),
        "attentions": [(a.value, attention_text(a)) for a in reversed(Attention)],
        "several": [(v, VERBS[v]) for v in SEVERAL if request.user.has_perm(orchestrator.permission(v))],
        "offered": offered(filters, request.user) if found.rows else [],
        "types": sorted(registry.saga_types()),
        "live_query": request.GET.urlencode(),
        "empty": _empty(filters, searched=request.GET.get("from") == SEARCH),
    }
    return page(request, "sagas/saga_list.html", context, status=400 if filters.problems else 200)


def _empty(filters: Filters, *, searched: bool) -> str:
    """Say what it means that nothing is listed."""
    if searched and filters.active.keys() == {"correlation"}:
        return (
            f"No saga whose id is, or begins or ends with, “{filters.correlation}”, and none whose correlation id "
            f"begins with it. Of an id, the first {LEAST} digits or the last {LEAST} are enough."
        )
    if filters.active:
        return "No saga matches these filters."
    return "No saga has run yet. Start one, and it appears here."


@require_safe
@desk
def search(request: HttpRequest) -> HttpResponse:
    """Go to the saga that is meant, or to the list of those that may be."""
    text = request.GET.get("q", "").strip()[:200]
    if not text:
        return redirect("saga-list")
    found = find(text)
    if isinstance(found, UUID):
        return redirect("saga-detail", saga_id=found)
    query = found.query if found else Filters(correlation=text).query + f"&from={SEARCH}"
    return redirect(f"{reverse('saga-list')}?{query}")
