"""The participants' queues: what is due, who serves it, and which are paused."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from sagas import orchestrator
from sagas.dashboard.access import desk, page
from sagas.dashboard.chrome import chrome
from sagas.models import Due, Process
from sagas.orchestrator import QUEUE_PERMISSION


@require_safe
@desk
def queues(request: HttpRequest) -> HttpResponse:
    """Show every queue, the processes, and the deliveries that keep failing."""
    around = chrome()
    failing = (
        Due.objects.filter(kind=Due.DELIVERY, attempt__gt=1).select_related("saga").order_by("due_at")[:20]
    )
    context = {
        "chrome": around,
        "queues": orchestrator.queues(),
        "processes": Process.objects.order_by("kind", "name")[:200],
        "failing": failing,
        "now": timezone.now(),
        "lacks": "" if request.user.has_perm(QUEUE_PERMISSION) else QUEUE_PERMISSION,
    }
    return page(request, "sagas/queues.html", context)
