"""Is somebody there to do the work? What the desk's banner, ``/readyz`` and ``/metrics`` say."""

from datetime import datetime
from typing import Any

from redis.exceptions import RedisError

from sagas import bell
from sagas.clock import database_now
from sagas.conf import settings
from sagas.models import Due, PausedQueue, Process

#: What it means that no worker, or no clock, is alive.
NO_WORKER = "No worker is alive: sagas are recorded, and none of them moves."
NO_CLOCK = "No clock is alive: retries, timers, deadlines and batches wait."


def health() -> dict[str, Any]:
    """Return who is alive, which queues are paused, which nobody serves, and for how many seconds work has been due.

    What waits on a paused queue counts as neither: somebody wants it to.
    """
    now = database_now()
    processes = [_process(each, now) for each in Process.objects.order_by("kind", "name")]
    alive = [each for each in processes if each["alive"]]
    workers = [each for each in alive if each["kind"] == Process.WORKER]
    known = [each for each in processes if each["kind"] == Process.WORKER]
    served = {queue for worker in workers for queue in worker["queues"]}
    pauses = list(PausedQueue.objects.order_by("queue"))
    ripe = {name: first for name, first in Due.oldest_by_queue().items() if first <= now}
    for pause in pauses:
        ripe.pop(pause.queue, None)
    oldest = min(ripe.values(), default=None)
    return {
        "now": now,
        "queues_due": {queue: (now - first).total_seconds() for queue, first in ripe.items()},
        "workers": known,
        "workers_alive": len(workers),
        "workers_silent": [each for each in known if _holds_on(each)],
        "clock": any(each["kind"] == Process.CLOCK for each in alive),
        "queues_paused": pauses,
        "queues_unserved": sorted(ripe.keys() - served),
        "oldest_due_seconds": (now - oldest).total_seconds() if oldest else None,
        **_redis(),
    }


def _holds_on(worker: dict[str, Any]) -> bool:
    """Whether a worker ended without a word, or hangs, so lately that what it held is not given to another yet.

    One that is only busy is not silent: its signs of life come from a thread of their own.
    """
    return not worker["alive"] and worker["silent_seconds"] < settings().LEASE


def _redis() -> dict[str, bool]:
    """Say whether Redis answers, and what it says of the database's disk."""
    try:
        return {"full": bell.heard_full(), "redis": True}
    except RedisError:
        return {"full": False, "redis": False}


def _process(process: Process, now: datetime) -> dict[str, Any]:
    silent = process.silent_at(now)
    return {
        "name": process.name,
        "kind": process.kind,
        "queues": process.queues,
        "busy": process.busy,
        "seen_at": process.seen_at.isoformat(),
        "silent_seconds": silent,
        "alive": silent < settings().ALIVE,
    }
