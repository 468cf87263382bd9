"""A pump in a process that is no worker: it carries on the sagas that are run here, and claims no others.

The first steps of such a saga are leased in the very transaction that starts it, so that no worker has to hear of it.
From then on it is as with a worker: one commit for each step, shared by the sagas that are under way; what is on
somebody else's queue, is to be tried later or waits is left to the workers; if the process ends, its leases do, too.
"""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import close_old_connections, connections

from sagas import rows
from sagas.conf import settings
from sagas.core.commands import DueCommand, due_command, own_wake
from sagas.engine import claims
from sagas.engine.planner import plan_by_keys
from sagas.engine.pump import Pump
from sagas.engine.room import AWAY
from sagas.engine.work import Sent, Work, command_work
from sagas.models import Due
from sagas.orchestrator import ledger, loading
from sagas.orchestrator.loading import DueRow, Held

log = logging.getLogger(__name__)

#: Seconds without a saga after which the thread ends, and its connection with it.
SPARE = 3.0
#: Seconds to wait before the pump is tried again that met a fault.
AFTER_A_FAULT = 2.0


class Visit:
    """A saga that is carried on here, until it has ended or goes on elsewhere."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._held: Held | None = None

    def wait(self, seconds: float) -> Held | None:
        """Return the saga as it was left; None if that is not known, or it is still here after so long."""
        return self._held if self._over.wait(seconds) else None

    def end(self, held: Held | None) -> None:
        """Let go of who waits."""
        self._held = held
        self._over.set()


class Resident(Pump):
    """Carries on what is handed to it, in a thread of its own that ends when there has been nothing for a while."""

    def __init__(self, queues: Collection[str]) -> None:
        name = f"run-{socket.gethostname()[:60]}-{os.getpid()}-{uuid4().hex[:6]}"
        super().__init__(queues, name, self._is_idle)
        self._lock = threading.Lock()
        self._arrived: deque[UUID] = deque()
        self._visits: dict[UUID, Visit] = {}
        self._latest = 0.0
        """When a saga came or went, on this process' monotonic clock."""
        self._thread: threading.Thread | None = None

    def lease(self, queue: str, now: datetime, timeout: float) -> ledger.Lease | None:
        """Lease a command of a saga that is being started, if it may run here and there is room. In any thread."""
        if queue not in self.queues or len(self._visits) >= settings().CONCURRENCY or self.worn_out:
            return None
        until = now + timedelta(seconds=timeout)
        return ledger.Lease(uuid4(), claims.lease_end(now), now, until, self.worker)

    def receive(self, saga_id: UUID) -> Visit:
        """Carry on a saga whose start is committed, with what :meth:`lease` leased of it. In any thread."""
        visit = Visit()
        with self._lock:
            self._visits[saga_id] = visit
            self._latest = time.monotonic()
            self._arrived.append(saga_id)
            if self._thread is None:
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
        ids = [self._arrived.popleft() for _ in range(min(self.free, len(self._arrived)))]
        if not ids:
            return []
        if self._arrived:
            self._more = True
        try:
            found = self._found(ids)
        except BaseException:
            self._arrived.extendleft(reversed(ids))
            self._more = True
            raise
        self._forget(set(ids) - {work.saga_id for work in found})
        return found

    def _found(self, ids: list[UUID]) -> list[Work]:
        """Read sagas, and what of them is leased to us."""
        due: dict[UUID, dict[int, DueRow]] = {}
        ours: list[tuple[UUID, int, UUID, datetime]] = []
        for pk, saga_id, number, token, worker, timeout_at, kind in rows.select(
            Due, _DUE, "saga_id", ids, "id"
        ):
            if kind != Due.COMMAND:
                continue
            due.setdefault(saga_id, {})[number] = DueRow(pk, number, token)
            if worker == self.worker:
                ours.append((saga_id, number, token, timeout_at))
        held, broken = loading.load(ids, due)
        for saga_id, fault in broken.items():
            log.error("saga %s cannot be read", saga_id, exc_info=fault)
        return list(_works(held, ours))

    def _forget(self, ids: set[UUID]) -> None:
        """Let go of whoever waits for a saga of which nothing runs here any more."""
        for saga_id in ids - {each.work.saga_id for each in self.running.values()}:
            held = self._sagas.pop(saga_id, None)
            self._latest = time.monotonic()
            visit = self._visits.pop(saga_id, None)
            if visit is not None:
                visit.end(held)


_DUE = ("id", "saga_id", "number", "lease_token", "worker", "timeout_at", "kind")


def _works(held: dict[UUID, Held], ours: Iterable[tuple[UUID, int, UUID, datetime]]) -> Iterator[Work]:
    for saga_id, number, token, timeout_at in ours:
        saga = held.get(saga_id)
        command = next((c for c in _commands(saga) if c.number == number), None) if saga else None
        if saga is not None and command is not None:
            yield command_work(saga, Sent.of(command), token, timeout_at)


def _commands(held: Held) -> Iterator[DueCommand]:
    listed = [due_command(held.definition, step) for step in held.progress.steps.values()]
    yield from filter(None, [own_wake(held.definition, held.progress), *listed])
