"""A pump in a process that is no worker: it carries on the sagas that are run here, and claims no others.

The first steps of such a saga are leased in the very transaction that starts it, so that no worker has to hear of it.
From then on it is as with a worker: one commit for each step, shared by the sagas that are under way; what is on
somebody else's queue, is to be tried later or waits is left to the workers; if the process ends, its leases do, too.
"""

import asyncio
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID, uuid4

from django.db import close_old_connections, connections

from sagas.conf import settings
from sagas.engine import claims
from sagas.engine.planner import plan_by_keys
from sagas.engine.pump import Pump
from sagas.engine.room import AWAY
from sagas.engine.work import Work, work_of
from sagas.orchestrator import ledger
from sagas.orchestrator.loading import Held

log = logging.getLogger(__name__)

#: Seconds without a saga after which the thread ends, and its connection with it.
SPARE = 3.0
#: Seconds to wait before the pump is tried again that met a fault.
AFTER_A_FAULT = 2.0


class Visit:
    """A saga that is carried on here, until it has ended or goes on elsewhere."""

    def __init__(self) -> None:
        self._left: Future[Held | None] = Future()
        self._left.set_running_or_notify_cancel()  # who stops waiting cancels nothing

    def wait(self, seconds: float) -> Held | None:
        """Return the saga as it was left; None if that is not known, or it is still here after so long."""
        try:
            return self._left.result(seconds)
        except TimeoutError:
            return None

    async def await_(self, seconds: float) -> Held | None:
        """Return the same without a thread that waits."""
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._left), seconds)
        except TimeoutError:
            return None

    def end(self, held: Held | None) -> None:
        """Let go of who waits."""
        self._left.set_result(held)


class _Arrival(NamedTuple):
    saga_id: UUID
    work: list[Work]
    """What is to be begun."""
    since: float
    """On this process' monotonic clock."""


class Resident(Pump):
    """Carries on what is handed to it, in a thread of its own that ends when there has been nothing for a while."""

    def __init__(self, queues: Collection[str]) -> None:
        name = f"run-{socket.gethostname()[:60]}-{os.getpid()}-{uuid4().hex[:6]}"
        super().__init__(queues, name, self._is_idle)
        self._lock = threading.Lock()
        self._arrived: deque[_Arrival] = deque()
        self._visits: dict[UUID, Visit] = {}
        self._latest = 0.0
        """When a saga came or went, on this process' monotonic clock."""
        self._thread: threading.Thread | None = None

    def lease(self, queue: str, now: datetime, timeout: float) -> ledger.Lease | None:
        """Lease a command of a saga that is being started, if it may run here and there is room. In any thread."""
        if queue not in self.queues or len(self._visits) >= settings().CONCURRENCY or self.worn_out:
            return None
        if queue in self.pauses.heed():
            return None
        until = now + timedelta(seconds=timeout)
        return ledger.Lease(uuid4(), claims.lease_end(now), now, until, self.worker)

    def receive(self, claimed: Sequence[ledger.Claimed]) -> Visit:
        """Carry on a saga whose start is committed, by what :meth:`lease` leased of it. In any thread."""
        visit = Visit()
        with self._lock:
            self._latest = time.monotonic()
            arrival = _Arrival(claimed[0].held.id, [work_of(each) for each in claimed], self._latest)
            self._visits[arrival.saga_id] = visit
            self._arrived.append(arrival)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._serve, name="saga-resident", daemon=True)
                self._thread.start()
        self.ring()
        return visit

    def _is_idle(self) -> bool:
        return not self._visits and time.monotonic() - self._latest > SPARE

    def _serve(self) -> None:
        plan_by_keys()
        while True:
            try:
                self.run(float("inf"), stay=True)
            except AWAY as fault:
                log.warning(
                    "the database did not answer; what this process runs goes on when it does: %s", fault
                )
                time.sleep(AFTER_A_FAULT)
            except Exception:
                log.exception("what this process runs itself was interrupted; it is tried again")
                time.sleep(AFTER_A_FAULT)
            close_old_connections()
            with self._lock:
                if self._is_idle():
                    self._thread = None
                    break
        connections.close_all()

    def _claim(self) -> list[Work]:
        """Take what has arrived instead of what is due."""
        self._looked = time.monotonic()
        self._more = False
        taken = [self._arrived.popleft() for _ in range(min(self.free, len(self._arrived)))]
        if self._arrived:
            self._more = True
        try:
            begun = self._still_ours(taken)
        except BaseException:
            self._arrived.extendleft(reversed(taken))
            self._more = True
            raise
        self._forget({each.saga_id for each in taken} - {work.saga_id for work in begun})
        return begun

    def _still_ours(self, taken: Sequence[_Arrival]) -> list[Work]:
        """Return what is to be begun. Of what has waited so long that its lease may be over, the database is asked."""
        long_ago = self._looked - settings().LEASE / 3
        late = [work for each in taken if each.since < long_ago for work in each.work]
        lost = {work.token for work in late} - claims.renew(late) if late else set()
        return [work for each in taken for work in each.work if work.token not in lost]

    def _leased(self) -> list[Work]:
        return [*super()._leased(), *(work for each in list(self._arrived) for work in each.work)]

    def _forget(self, ids: set[UUID]) -> None:
        """Let go of whoever waits for a saga of which nothing runs here any more."""
        for saga_id in ids - self._here:
            held = self._sagas.pop(saga_id, None)
            self._latest = time.monotonic()
            visit = self._visits.pop(saga_id, None)
            if visit is not None:
                visit.end(held)
