"""RQ: a job carries no state, it says "look at queue Q"; the database knows what is due.

So a lost, repeated or reordered job is harmless: the clock rings again for whatever is still due.
A worker stays in its job for a while and listens to the bell, since ringing costs less than a job.
"""

import logging
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from redis.exceptions import RedisError
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

from sagas import bell, broker, registry
from sagas.clock import database_now
from sagas.conf import settings
from sagas.engine import Pump
from sagas.models import Due, PausedQueue
from sagas.signals import committed, left_over, no_room
from sagas.soon import Soon

log = logging.getLogger(__name__)

#: The only function that a job may name; Redis is not trusted with more.
WORK = "sagas.jobs.work"

#: Seconds between two rings of one process: whoever makes work due in a burst rings once for all of it.
PACE = 0.005
#: Seconds between two calls of a process that has its hands full. One is enough to wake the next, who calls on.
CALL_PACE = 0.1
#: Seconds that a worker rests after a fault of its pump, if handlers still run whose answers it has to hear.
AFTER_A_FAULT = 2.0
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

    def restore(self, raw_data: Any) -> None:
        """Read what Redis says, but for what a job could make RQ do beside: call addresses, interrupt, repeat."""
        super().restore(raw_data)
        self.webhooks, self.timeout, self.retries_left, self.repeats_left = [], -1, None, None

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


def queue(name: str, redis: Any) -> Queue:
    """Return an RQ queue that speaks JSON and knows only nudges."""
    return Queue(broker.queue(name), connection=redis, serializer=JSONSerializer, job_class=NudgeJob)


def serve_known_queues() -> None:
    """Tell django-rq of every queue that a registered handler is served by, as if the settings named it."""
    queues = getattr(django_settings, "RQ_QUEUES", None) or {}
    if (entry := settings().RQ) in queues:  # else a check says so
        for name in registry.queues():
            queues.setdefault(broker.queue(name), dict(queues[entry]))


def serve(pump: Pump) -> None:
    """Make this process a worker: its jobs run this pump."""
    global _pump
    _pump = pump


def work(name: str) -> None:
    """Do what is due, on this queue and whatever else this worker serves.

    A worker stays, and waits for more, until its budget is used up.
    """
    bell.answer(name)
    if _pump is None:
        Pump([name], "job").run(settings().BUDGET)
    else:
        try:
            _pump.run(settings().BUDGET, stay=True)
        except Exception:
            if _pump.running:  # somebody has to hear what they answer; else the clock calls
                time.sleep(AFTER_A_FAULT)  # which would be met again at once
                _follow(_pump, name)
            raise
        _follow(_pump, name)


def _follow(pump: Pump, name: str) -> None:
    """Leave a job behind, to be woken by, unless one waits already."""
    redis = bell.connection()
    try:
        if not pump.stopping() and not any(queue(each, redis).count for each in pump.queues):
            nudge([name])
    except RedisError as fault:  # its worker goes on without, and begins with a job when Redis is back
        log.info("no job could be left behind: %s", fault)


def ring(queues: Iterable[str]) -> None:
    """Wake whoever serves these queues, at most once for each until it is answered. Raises RedisError."""
    nudge(bell.ring(queues))


def nudge(queues: Iterable[str]) -> None:
    """Wake whoever serves these queues by a job. Raises RedisError."""
    redis = bell.connection()
    for name in queues:
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
    """Wake whoever serves the queues on which something is due, and which are not paused; return how many those are.

    Where it has waited since the last tick, those who listen have their hands full: a job calls the others.
    """
    now = database_now()
    queues = {name: oldest for name, oldest in Due.oldest_by_queue().items() if oldest <= now}
    if queues:
        queues = {name: queues[name] for name in queues.keys() - PausedQueue.names()}
    ring(queues)
    redis = bell.connection()
    late = [name for name, oldest in queues.items() if now - oldest > timedelta(seconds=settings().CLOCK)]
    nudge(name for name in late if queue(name, redis).count == 0)
    return len(queues)


def _wake(queues: Iterable[Any]) -> None:
    try:
        ring(queues)
    except RedisError as fault:
        log.debug("nobody could be woken; the clock will: %s", fault)


_soon = Soon(PACE, _wake)


def _on_due(*, queues: set[str], **_: Any) -> None:
    if queues:
        _soon.add(dict.fromkeys(queues, 1))


committed.connect(_on_due, dispatch_uid="sagas.jobs")

_later = Soon(CALL_PACE, _wake)


def _on_left_over(*, queues: set[str], **_: Any) -> None:
    _later.add(dict.fromkeys(queues, 1))


left_over.connect(_on_left_over, dispatch_uid="sagas.jobs")


def _on_no_room(*, full: bool, **_: Any) -> None:
    try:
        bell.say_full(full)
    except RedisError as fault:
        log.info("nobody could be told how full the database is: %s", fault)


no_room.connect(_on_no_room, dispatch_uid="sagas.jobs.no_room")
