"""What every page carries: how the processes are, and what to say if nothing can move."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sagas.health import NO_CLOCK, NO_WORKER
from sagas.health import health as look
from sagas.models import Batch
from sagas.orchestrator import VERBS

#: Batches that the banner names, at most.
MOST_BATCHES = 5


@dataclass(frozen=True)
class Chrome:
    """The health of the processes, and the banner that follows from it."""

    health: dict[str, Any]
    banner: str
    """Why nothing moves; empty when all is well."""
    remedy: str
    """The command that would help; empty where none does."""
    batches: Sequence[tuple[Batch, str]] = ()
    """Those that run, or are paused, each with what its verb is called."""


def chrome() -> Chrome:
    """Look at the processes."""
    health = look()
    banner, remedy = banner_for(health)
    open_ones = Batch.objects.filter(ended_at=None, state__in=[Batch.RUNNING, Batch.PAUSED])
    batches = [(each, VERBS[each.verb].lower()) for each in open_ones.order_by("pk")[:MOST_BATCHES]]
    return Chrome(health, banner, remedy, batches)


def banner_for(health: dict[str, Any]) -> tuple[str, str]:
    """Say what is missing for sagas to move, and the command that helps; both empty if nothing is."""
    if health["full"]:
        return "The database's disk is full: nothing new is begun, and what runs waits to be recorded.", ""
    if not health["workers_alive"] and not health["clock"]:
        return "No worker and no clock is alive: sagas are recorded, and none of them moves.", (
            "manage.py saga worker & manage.py saga clock"
        )
    if not health["workers_alive"]:
        return NO_WORKER, "manage.py saga worker"
    if not health["clock"]:
        return NO_CLOCK, "manage.py saga clock"
    if health["queues_unserved"]:
        queues = ", ".join(health["queues_unserved"])
        return f"No worker serves {queues}: what is due there waits.", (
            "manage.py saga worker " + " ".join(health["queues_unserved"])
        )
    return "", ""
