"""What waits for this person's answer."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas.dashboard.access import desk, page
from sagas.dashboard.approvals import inbox
from sagas.dashboard.numbers import whole

#: Approvals that are turned over, at most.
FURTHEST = 999_999


@require_safe
@desk
def approvals(request: HttpRequest) -> HttpResponse:
    """Show the open approvals that the user may answer; the first page is live."""
    first = whole(request.GET.get("after", ""), FURTHEST) or 0
    return page(request, "sagas/approvals.html", {"first": not first, **inbox(request.user, first)})
