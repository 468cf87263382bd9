"""The two processes beside the web: a worker that RQ nudges, and a clock. Both are safe to supervise for ever."""

import logging
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db import connection as database
from redis.exceptions import RedisError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from sagas import jobs, registry
from sagas.conf import settings
from sagas.engine import REAPED_AT_ONCE, Life, Pump, hold_unserved, reap
from sagas.models import Process

log = logging.getLogger(__name__)

#: A worker ends, to be started afresh, when this many times its slots are taken by handlers that hang.
TOO_MANY_HUNG = 2
#: How many times the clock reaps before it does something else.
ROUNDS = 20


class NudgeWorker(SimpleWorker):
    """An RQ worker in one process that runs nudges only, and waits for Redis instead of giving up."""

    job_class = jobs.NudgeJob
    #: Nudges have no time limit of their own: the pump has a budget, and each handler its time-out.
    death_penalty_class = TimerDeathPenalty
    max_connection_wait_time = 2.0
    pump: Pump
    busy = False
    executed = 0

    @property
    def worn_out(self) -> bool:
        """Whether this process has done its share, or too many of its handlers hang: time for a fresh one."""
        hung = len(self.pump.hung) > TOO_MANY_HUNG * settings().CONCURRENCY
        return hung or self.executed >= settings().MAX_JOBS

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one nudge, with database connections that are known to work."""
        self.busy = True
        close_old_connections()
        try:
            super().execute_job(job, queue)
        finally:
            close_old_connections()
            self.busy = False
            self.executed += 1
            self._stop_requested = self._stop_requested or self.worn_out

    def _install_signal_handlers(self) -> None:
        """Leave the signals to :class:`_Stop`, which outlives any one worker."""


def run_worker(queues: Collection[str] = (), burst: bool = False) -> None:
    """Serve queues (all that are known, if none are named) until told to stop.

    SIGTERM or SIGINT: what runs is finished, nothing more is claimed. ``burst``: end when nothing is left.
    """
    served = list(queues) or list(registry.queues())
    for unknown in sorted(set(served) - set(registry.queues())):
        log.warning(
            "no handler is registered for the queue %s; known are %s", unknown, ", ".join(registry.queues())
        )
    stop = _Stop()
    life = Life(Process.WORKER, served)
    pump = Pump(served, life.name, lambda: stop.asked)
    life.busy = lambda: pump.busy
    with life:
        jobs.serve(pump)
        log.info("worker %s serves %s", life.name, ", ".join(served))
        if burst:
            pump.run(float("inf"))
        else:
            _work(served, pump, stop)
    _leave(pump)


def _work(served: list[str], pump: Pump, stop: "_Stop") -> None:
    wait = 0.5
    while not stop.asked:
        began = time.monotonic()
        try:
            redis = jobs.connection()
            worker = NudgeWorker(
                [jobs.queue(name, redis) for name in served],
                connection=redis,
                name=f"{pump.worker}-{uuid4().hex[:6]}",
                serializer=JSONSerializer,
                log_job_description=False,
            )
            worker.pump = pump
            with suppress(StopRequested), stop.telling(worker):
                worker.work(logging_level="WARNING")
            if worker.worn_out:
                log.info("ending, to be started afresh; %d handlers hang", len(pump.hung))
                return
        except (RedisError, OSError) as fault:
            log.warning("Redis is away; asking again in %.1f s: %s", wait, fault)
        wait = 0.5 if time.monotonic() - began > 5 else min(wait * 2, 5.0)
        stop.wait(wait)


def _leave(pump: Pump) -> None:
    if pump.hung:  # their threads would keep the process alive for ever
        logging.shutdown()
        os._exit(0)


class _Stop:
    """Whether a signal asked this process to stop, and whom to tell."""

    def __init__(self) -> None:
        self.asked = False
        self._event = threading.Event()
        self._worker: NudgeWorker | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def wait(self, seconds: float) -> None:
        """Wait, but not longer than until asked to stop."""
        self._event.wait(seconds)

    @contextmanager
    def telling(self, worker: NudgeWorker) -> Iterator[None]:
        """Tell this RQ worker of a signal, too."""
        self._worker = worker
        try:
            yield
        finally:
            self._worker = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._event.set()
        if self._worker is not None:
            self._worker._stop_requested = True
            if not self._worker.busy:
                # It blocks on Redis. A nudge that is lost on the way costs a second.
                raise StopRequested


def run_clock() -> None:
    """About once a second: take back lost leases, nudge what is due. Any number of clocks may run."""
    stop = _Stop()
    with Life(Process.CLOCK):
        log.info("the clock ticks every %g s", settings().CLOCK)
        while not stop.asked:
            tick()
            stop.wait(settings().CLOCK)


def tick() -> None:
    """Do the clock's round once; whatever is away now is asked again at the next."""
    close_old_connections()
    try:
        for _ in range(ROUNDS):
            if reap() < REAPED_AT_ONCE:
                break
        hold_unserved()
        jobs.ring_for_due()
    except (DatabaseError, InterfaceError) as fault:
        log.warning("the database did not answer the clock: %s", fault)
        database.close()
    except RedisError as fault:
        log.warning("Redis did not answer the clock: %s", fault)
