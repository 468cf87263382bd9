"""The two processes beside the web: a worker that RQ nudges, and a clock. Both are safe to supervise for ever."""

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.db import connection as database
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from rq import SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.queue import Queue
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty

from sagas import alerts, bell, broker, jobs, registry
from sagas.conf import settings
from sagas.engine import (
    REAPED_AT_ONCE,
    Jumps,
    Life,
    Periodic,
    Pump,
    Room,
    carry_on,
    hold_unserved,
    plan_by_keys,
    reap,
)
from sagas.fuse import Resting
from sagas.models import Process

log = logging.getLogger(__name__)

#: Objects that a worker makes before Python looks for circles among them. A group of sagas is thousands that go
#: with it, and without being looked for: at Python's 700 up to a tenth of the time went by in vain.
YOUNG = 50_000
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
        return self.pump.worn_out or self.executed >= settings().MAX_JOBS

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

    @property
    def dequeue_timeout(self) -> int:
        """Seconds for which Redis is asked for a job, before it is asked again."""
        return 2

    @property
    def connection_timeout(self) -> int:
        """Seconds for which an answer is awaited: RQ's own would be minutes in which nothing is done."""
        return 4

    def check_for_suspension(self, burst: bool) -> None:
        """Heed no key in Redis: what is paused, the database says."""

    def subscribe(self) -> None:
        """Take no commands from Redis: whoever may start and stop workers has signals for it."""

    def unsubscribe(self) -> None:
        """There is nothing to leave."""

    def heartbeat(self, *args: Any, **options: Any) -> None:
        """Say that RQ's worker is alive; without Redis, leave RQ's loop, in which nothing would be done meanwhile."""
        try:
            super().heartbeat(*args, **options)
        except (RedisConnectionError, RedisTimeoutError) as fault:
            raise StopRequested from fault

    def _install_signal_handlers(self) -> None:
        """Leave the signals to :class:`_Stop`, which outlives any one worker."""


def run_worker(queues: Collection[str] = (), burst: bool = False) -> None:
    """Serve queues (all that are known, if none are named) until told to stop.

    SIGTERM or SIGINT: what runs is finished, nothing more is claimed. ``burst``: end when nothing is left.
    """
    served = served_by(queues)
    for unknown in sorted(set(served) - set(registry.queues())):
        log.warning(
            "no handler is registered for the queue %s; known are %s", unknown, ", ".join(registry.queues())
        )
    stop = _Stop()
    life = Life(Process.WORKER, served)
    pump = Pump(served, life.name, lambda: stop.asked)
    life.busy = lambda: pump.busy
    plan_by_keys()
    gc.freeze()  # what is loaded by now stays: no collection need look through it again
    gc.set_threshold(YOUNG)
    with life:
        jobs.serve(pump)
        log.info("worker %s serves %s", life.name, ", ".join(served))
        if burst:
            pump.run(float("inf"))
        else:
            listener = bell.Listener(served, pump.staying, pump.ring)
            with alerts.Watching():
                _work(served, pump, stop)
            listener.close()
    _leave(bool(pump.hung))


def served_by(queues: Collection[str]) -> list[str]:
    """Return the queues that a worker serves which is told to serve these; none: all that are known.

    A shop whose workers have queues of their own must not lose its timers: what waits is everybody's.
    """
    return list(dict.fromkeys([*queues, registry.WAITS_QUEUE])) if queues else list(registry.queues())


def _work(served: list[str], pump: Pump, stop: "_Stop") -> None:
    wait = 0.5
    redis = broker.connection()  # its own: RQ sets how long its answers are awaited
    while not stop.asked:
        began = time.monotonic()
        try:
            bell.brief(lambda redis: redis.ping())
            jobs.nudge(served[:1])
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
            log.warning("Redis is away; working without it for %.1f s: %s", wait, fault)
        wait = 0.5 if time.monotonic() - began > 5 else min(wait * 2, 5.0)
        _work_alone(pump, wait, stop)


def _work_alone(pump: Pump, seconds: float, stop: "_Stop") -> None:
    """Serve without RQ for a while: what is due is in the database. The listener says when to look."""
    try:
        pump.run(seconds, stay=True)
    except (DatabaseError, InterfaceError) as fault:
        log.warning("the database did not answer: %s", fault)
        close_old_connections()
        stop.wait(seconds)
    except Exception:  # ours, and of one round: whoever supervises us would only start us into the next
        log.exception("a round of work went wrong; the next one begins")
        stop.wait(seconds)


def _leave(hung: bool = False) -> None:
    """End this process at once if something in it hangs: threads, and what they look up, can keep it alive."""
    if hung or alerts.sending():
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
        """Tell this RQ worker of a signal, too. Raises StopRequested if one came before there was anybody to tell."""
        self._worker = worker
        try:
            if self.asked:
                raise StopRequested
            yield
        finally:
            self._worker = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._event.set()
        if self._worker is not None:
            self._worker._stop_requested = True
            self._worker.pump.ring()
            if not self._worker.busy:
                # It blocks on Redis. A nudge that is lost on the way costs a second.
                raise StopRequested


def run_clock() -> None:
    """About once a second: take back lost leases, nudge what is due. Any number of clocks may run."""
    stop, clock = _Stop(), Clock()
    with Life(Process.CLOCK), alerts.Watching():
        log.info("the clock ticks every %g s", settings().CLOCK)
        while not stop.asked:
            clock.tick()
            stop.wait(settings().CLOCK)
    _leave()


class Clock:
    """What one clock process knows from tick to tick; whatever is away now is asked again at the next."""

    def __init__(self) -> None:
        self.room = Room()
        self.jumps = Jumps()
        self.periodic = Periodic()

    def tick(self) -> None:
        """Do the round once."""
        close_old_connections()
        try:
            if self.room.there:  # else whoever could be woken could record nothing
                self._round()
        except (DatabaseError, InterfaceError) as fault:
            self.room.noticed(fault)
            log.warning("the database did not answer the clock: %s", fault)
            database.close()

    def _ring(self) -> None:
        """Wake whoever serves what is due. Without Redis nobody can be, and the rest of a round has to go on."""
        try:
            jobs.ring_for_due()
        except Resting:
            pass  # it was said when it failed
        except RedisError as fault:
            log.warning("Redis did not answer the clock: %s", fault)

    def _round(self) -> None:
        self.jumps.look()
        if self.jumps.leases_can_be_read:
            for _ in range(ROUNDS):
                if reap() < REAPED_AT_ONCE:
                    break
        self._ring()
        hold_unserved()
        self.periodic.look()  # these two last: an author's code may take its time
        carry_on()
