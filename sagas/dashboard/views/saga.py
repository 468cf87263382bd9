"""One saga: where it stands, why, what could be done, and everything that happened."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from sagas.dashboard.access import desk, page
from sagas.dashboard.regions import may, saga_context
from sagas.models import Saga


@require_safe
@desk
def saga_detail(request: HttpRequest, saga_id: UUID) -> HttpResponse:
    """Show the saga."""
    saga = get_object_or_404(Saga, pk=saga_id)
    return page(request, "sagas/saga_detail.html", saga_context(saga, may(request.user)))
