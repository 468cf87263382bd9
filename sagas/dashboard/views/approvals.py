"""What waits for this person's answer."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas.dashboard.access import desk, page
from sagas.dashboard.approvals import inbox


@require_safe
@desk
def approvals(request: HttpRequest) -> HttpResponse:
    """Show the open approvals that the user may answer; the first page is live."""
    after = request.GET.get("after", "")
    first = int(after) if after.isascii() and after.isdecimal() and len(after) < 7 else 0
    return page(request, "sagas/approvals.html", {"first": not first, **inbox(request.user, first)})
