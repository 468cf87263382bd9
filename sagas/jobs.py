"""RQ: the doorbell. A job carries no state, it says "look at queue Q"; the database knows what is due.

So a lost, repeated or reordered job is harmless: the clock rings again for whatever is still due.
"""

import logging
from collections.abc import Iterable
from typing import Any

import django_rq
from django.conf import settings as django_settings
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from sagas import registry
from sagas.clock import database_now
from sagas.conf import settings
from sagas.engine import Pump
from sagas.models import Due
from sagas.signals import committed

log = logging.getLogger(__name__)

#: The only function that a job may name; Redis is not trusted with more.
WORK = "sagas.jobs.work"
#: A bell that nobody answered may ring again after so many milliseconds.
RING_AGAIN = 1000

#: The pump of this process, while it is a worker.
_pump: Pump | None = None


class NudgeJob(Job):
    """A job that can only be a nudge: whatever else is found in Redis is refused."""

    @property
    def func(self) -> Any:
        """The nudge itself; PermissionError for every other function."""
        if self.func_name != WORK:
            raise PermissionError(f"job {self.id} names {self.func_name!r}, which is not a nudge")
        return work

    @property
    def success_callback(self) -> None:
        """Nudges have no callbacks."""
        return None

    @property
    def failure_callback(self) -> None:
        """Nudges have no callbacks."""
        return None

    @property
    def stopped_callback(self) -> None:
        """Nudges have no callbacks."""
        return None


def connection() -> Any:
    """Return a connection to Redis."""
    return django_rq.get_connection("default")


def queue(name: str, redis: Any) -> Queue:
    """Return an RQ queue that speaks JSON and knows only nudges."""
    return Queue(name, connection=redis, serializer=JSONSerializer, job_class=NudgeJob)


def serve_known_queues() -> None:
    """Tell django-rq of every queue that a registered handler is served by, as if the settings named it."""
    from django_rq.settings import QUEUES

    template = django_settings.RQ_QUEUES["default"]
    for name in registry.queues():
        QUEUES.setdefault(name, dict(template))


def serve(pump: Pump) -> None:
    """Make this process a worker: its jobs run this pump."""
    global _pump
    _pump = pump


def work(name: str) -> None:
    """Do what is due, on this queue and whatever else this worker serves, until nothing is."""
    try:
        connection().delete(_bell(name))
    except RedisError:
        log.info("the bell of %s could not be taken down", name)
    pump = _pump or Pump([name], "job")
    pump.run(settings().BUDGET)


def ring(queues: Iterable[str]) -> None:
    """Nudge whoever serves these queues, at most once for each until it is answered. Raises RedisError."""
    redis = connection()
    for name in queues:
        if redis.set(_bell(name), 1, nx=True, px=RING_AGAIN):
            queue(name, redis).enqueue_call(
                WORK,
                args=(name,),
                timeout=-1,
                result_ttl=0,
                ttl=60,
                failure_ttl=600,
                description=f"look at {name}",
            )


def ring_for_due() -> int:
    """Nudge every queue on which something is due; return how many those are."""
    due = Due.objects.filter(due_at__lte=database_now(), lease_token=None, paused=False)
    queues = list(due.values_list("queue", flat=True).distinct())
    ring(queues)
    return len(queues)


def _bell(name: str) -> str:
    return f"sagadesk:bell:{name}"


def _on_committed(*, queues: set[str], **_: Any) -> None:
    try:
        ring(queues)
    except RedisError as fault:
        log.info("nobody could be nudged; the clock will: %s", fault)


committed.connect(_on_committed, dispatch_uid="sagas.jobs")
