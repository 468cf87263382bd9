"""A saga that is called: started, and carried on in this very process, as far as that is its business."""

import os
import threading
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections, router
from django.db.models import prefetch_related_objects

from sagas import orchestrator, registry
from sagas.conf import settings
from sagas.core.words import Waiting
from sagas.engine import Resident
from sagas.models import Saga

#: Seconds between two looks at a saga that goes on elsewhere: at first, and at most.
LOOK, SLOWEST_LOOK = 0.01, 0.25

_lock = threading.Lock()
_resident: Resident | None = None


def run(
    saga_type: str,
    data: Mapping[str, Any],
    wait: float,
    *,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    started_by: Any = None,
) -> Saga:
    """Start a saga, and carry it on here; see :meth:`sagas.SagaOrchestrator.run`. Raises as ``start`` does."""
    if not isinstance(wait, int | float) or isinstance(wait, bool) or not 0 <= wait < threading.TIMEOUT_MAX:
        raise orchestrator.Invalid("wait", f"must be a number of seconds from 0, not {wait!r:.80}")
    connection = connections[router.db_for_write(Saga)]
    if connection.in_atomic_block or not connection.get_autocommit():
        raise RuntimeError(
            "run() has been called inside a transaction, which would have to be committed before the first step "
            "can have an effect; use start(), or call run() behind it, as by transaction.on_commit"
        )
    end = time.monotonic() + wait
    host = _host()
    started = orchestrator.start(
        saga_type,
        data,
        correlation_id=correlation_id,
        idempotency_key=idempotency_key,
        started_by=started_by,
        claim=host.lease,
    )
    if not started.created:
        return _follow(started.saga.pk, end)
    held = host.receive(started.claimed).wait(wait) if started.claimed else None
    if held is None or not _is_settled(saga := orchestrator.as_it_stands(started.saga, held)):
        return _follow(started.saga.pk, end)
    return saga


async def arun(saga_type: str, data: Mapping[str, Any], wait: float, **options: Any) -> Saga:
    """Call a saga in a thread of its own: in the one that others' queries wait for, they would wait as long."""

    def called() -> Saga:
        try:
            saga = run(saga_type, data, wait, **options)
            prefetch_related_objects([saga], "steps")  # its results are asked for where no query may be
            return saga
        finally:
            close_old_connections()

    return await sync_to_async(called, thread_sensitive=False)()


def _host() -> Resident:
    """Return what carries sagas on in this process."""
    global _resident
    queues = settings().RUN_QUEUES or registry.queues()
    with _lock:
        if _resident is None or _resident.queues != frozenset(queues):
            _resident = Resident(queues)
        return _resident


def _after_fork() -> None:
    """Forget the parent's: its thread is not here."""
    global _resident, _lock
    _resident, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _follow(saga_id: UUID, end: float) -> Saga:
    """Look at a saga that goes on elsewhere, from time to time, until it is settled or time is over."""
    look = LOOK
    while True:
        saga = Saga.objects.get(pk=saga_id)
        left = end - time.monotonic()
        if _is_settled(saga) or left <= 0:
            return saga
        time.sleep(min(look, left))
        look = min(look * 1.5, SLOWEST_LOOK)


def _is_settled(saga: Saga) -> bool:
    """Whether it has ended, or goes on only when a person has done something."""
    asks = saga.waiting is not None and saga.waiting["kind"] == Waiting.APPROVAL.value
    return saga.finished_at is not None or saga.attention is not None or saga.paused or asks
