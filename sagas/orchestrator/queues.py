"""The participants' queues as they stand: what is due on each, who serves it, and whether it is paused."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Q

from sagas import registry
from sagas.clock import database_now
from sagas.conf import settings
from sagas.models import Due, PausedQueue, Process


@dataclass(frozen=True)
class Queue:
    """One queue: its work, its workers, and its pause."""

    name: str
    commands: tuple[str, ...]
    """What is handled there, as far as this code and the workers alive know."""
    workers: tuple[str, ...]
    """Who serves it, and is alive."""
    pause: PausedQueue | None
    due: int = 0
    later: int = 0
    leased: int = 0
    """What workers hold."""
    held: int = 0
    """What belongs to sagas that are paused themselves."""
    oldest: datetime | None = None
    """Since when the longest due is due."""

    @property
    def pausable(self) -> bool:
        """Whether it can be paused: what is due because a time is up is no participant's."""
        return self.name != registry.WAITS_QUEUE

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "queue": self.name,
            "due": self.due,
            "later": self.later,
            "running": self.leased,
            "of_paused_sagas": self.held,
            "oldest_due_at": self.oldest.isoformat() if self.oldest else None,
            "workers": list(self.workers),
            "commands": list(self.commands),
            "paused": pause_document(self.pause) if self.pause else None,
        }


def pause_document(pause: PausedQueue) -> dict[str, Any]:
    """Return who paused a queue, when and why, as plain JSON data."""
    return {
        "number": pause.pk,
        "since": pause.since.isoformat(),
        "operator": pause.operator_name,
        "reason": pause.reason,
    }


def queues(only: str | None = None) -> list[Queue]:
    """Return the queues that have work, handlers or workers, by name, or ``only`` one of that name.

    A few queries, however many they are; of one, what waits on the others is not read.
    """
    now = database_now()
    due = {row.pop("queue"): row for row in _due(now, only)}
    alive = now - timedelta(seconds=settings().ALIVE)
    told = Process.objects.filter(kind=Process.WORKER, seen_at__gte=alive).order_by("name")
    workers = list(told.values_list("name", "queues", "commands"))
    serving: dict[str, list[str]] = defaultdict(list)
    for worker, served, _ in workers:
        for queue in served:
            serving[queue].append(worker)
    pauses = {pause.queue: pause for pause in PausedQueue.objects.all()}
    handled = _handled(command for *_, commands in workers for command in commands)
    names = {*registry.queues(), *due, *serving, *pauses}
    return [
        Queue(
            name,
            tuple(sorted(handled.get(name, ()))),
            tuple(serving.get(name, ())),
            pauses.get(name),
            **due.get(name, {}),
        )
        for name in sorted(names)
        if only in {None, name}
    ]


def paused(names: Iterable[str]) -> Mapping[str, dict[str, Any]]:
    """Return of these queues those that are paused, each with who paused it: one query, or none if there are none."""
    wanted = set(names)
    found = PausedQueue.objects.filter(queue__in=wanted) if wanted else ()
    return {pause.queue: pause_document(pause) for pause in found}


def _handled(elsewhere: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in {*registry.names(), *elsewhere}:
        found[registry.queue_for(name)].add(name)
    return found


def _due(now: datetime, only: str | None) -> Any:
    free = Q(lease_token__isnull=True, paused=False)
    rows = Due.objects.all() if only is None else Due.objects.filter(queue=only)
    return (
        rows.values("queue")
        .annotate(
            due=Count("pk", filter=free & Q(due_at__lte=now)),
            later=Count("pk", filter=free & Q(due_at__gt=now)),
            leased=Count("pk", filter=Q(lease_token__isnull=False)),
            held=Count("pk", filter=Q(paused=True)),
            oldest=Min("due_at", filter=free & Q(due_at__lte=now)),
        )
        .order_by("queue")
    )
