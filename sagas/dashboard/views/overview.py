"""The first page: what needs a person, and whether all is well."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas.dashboard.access import desk, page
from sagas.dashboard.regions import overview_context


@require_safe
@desk
def overview(request: HttpRequest) -> HttpResponse:
    """Show what needs a person, the counts, the last hour and what changed last."""
    return page(request, "sagas/overview.html", overview_context())
