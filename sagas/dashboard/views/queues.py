"""The participants' queues: what is due, who serves it, and which are paused."""

from collections.abc import Sequence
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from sagas import orchestrator
from sagas.conf import settings
from sagas.dashboard import overview as figures
from sagas.dashboard.access import desk, page
from sagas.dashboard.chrome import chrome
from sagas.models import Process, Saga
from sagas.orchestrator import QUEUE_PERMISSION
from sagas.undelivered import Tried, Undelivered

#: Processes that are shown, at most.
LISTED = 200


@require_safe
@desk
def queues(request: HttpRequest) -> HttpResponse:
    """Show every queue, the processes, and the deliveries that keep failing."""
    around = chrome()
    context = {
        "chrome": around,
        "queues": orchestrator.queues(),
        "processes": _processes(around.health["now"]),
        "failing": _with_examples(figures.failing()[: figures.LISTED]),
        "lacks": "" if request.user.has_perm(QUEUE_PERMISSION) else QUEUE_PERMISSION,
    }
    return page(request, "sagas/queues.html", context)


def _processes(now: datetime) -> list[tuple[Process, float | None]]:
    """Return the processes, those alive first; each of the others with for how long nothing was heard of it."""
    known = [(each, each.silent_at(now)) for each in Process.objects.order_by("-seen_at")[:LISTED]]
    told = [(each, None if silent < settings().ALIVE else silent) for each, silent in known]
    return sorted(told, key=lambda each: (each[1] is not None, each[0].kind, each[0].name))


def _with_examples(failing: Sequence[Undelivered]) -> list[tuple[Undelivered, list[tuple[Tried, str]]]]:
    """Return what keeps failing, each with some of its deliveries, by the names of their sagas."""
    sagas = {tried.saga_id for each in failing for tried in each.examples}
    names = dict(Saga.objects.filter(pk__in=sagas).values_list("pk", "correlation_id"))
    return [
        (each, [(tried, names.get(tried.saga_id, str(tried.saga_id))) for tried in each.examples])
        for each in failing
    ]
