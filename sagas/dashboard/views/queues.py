"""The participants' queues: what is due, who serves it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from sagas import registry
from sagas.dashboard.access import desk, page
from sagas.dashboard.chrome import chrome
from sagas.models import Due, Process


@dataclass
class Queue:
    """One queue's work and workers."""

    name: str
    due: int = 0
    later: int = 0
    leased: int = 0
    held: int = 0
    oldest: datetime | None = None
    workers: list[str] = field(default_factory=list)


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
        "queues": all_queues(around.health["workers"]),
        "processes": Process.objects.order_by("kind", "name")[:200],
        "failing": failing,
        "now": timezone.now(),
    }
    return page(request, "sagas/queues.html", context)


def all_queues(workers: list[dict[str, Any]]) -> list[Queue]:
    """Return the queues that have work or handlers, each with who serves it."""
    found = {name: Queue(name) for name in registry.queues()}
    for row in _due(timezone.now()):
        found[row["queue"]] = Queue(
            row["queue"], row["due"], row["later"], row["leased"], row["held"], row["oldest"]
        )
    for queue in found.values():
        queue.workers = [w["name"] for w in workers if w["alive"] and queue.name in w["queues"]]
    return [found[name] for name in sorted(found)]


def _due(now: datetime) -> Any:
    free = Q(lease_token__isnull=True, paused=False)
    return (
        Due.objects.values("queue")
        .annotate(
            due=Count("pk", filter=free & Q(due_at__lte=now)),
            later=Count("pk", filter=free & Q(due_at__gt=now)),
            leased=Count("pk", filter=Q(lease_token__isnull=False)),
            held=Count("pk", filter=Q(paused=True)),
            oldest=Min("due_at", filter=free & Q(due_at__lte=now)),
        )
        .order_by("queue")
    )
