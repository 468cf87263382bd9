"""A saga that is called: started, and carried on in this very process, as far as that is its business."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import close_old_connections, connections, router
from django.db.models import prefetch_related_objects

from sagas import orchestrator, registry
from sagas.conf import settings
from sagas.core.words import Waiting
from sagas.engine import Resident, Visit
from sagas.models import Saga
from sagas.orchestrator.loading import Held

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds between two looks at a saga that goes on elsewhere: at first, and at most.
LOOK, SLOWEST_LOOK = 0.01, 0.25

_lock = threading.Lock()
_resident: Resident | None = None


class _Called(NamedTuple):
    """A saga that has been started, and what is known of where it is."""

    saga: Saga
    visit: Visit | None
    """While it is carried on here."""
    end: float
    """Until when its caller waits, on this process' monotonic clock."""


def run(saga_type: str, data: Mapping[str, Any], wait: float, **options: Any) -> Saga:
    """Start a saga, and carry it on here; see :meth:`sagas.SagaOrchestrator.run`. Raises as ``start`` does."""
    called = _call(saga_type, data, wait, **options)
    held = called.visit.wait(wait) if called.visit is not None else None
    saga = _as_left(called, held) or _look(called)
    for pause in _pauses(called.end):
        if _is_settled(saga):
            break
        time.sleep(pause)
        saga = _look(called)
    return saga


async def arun(saga_type: str, data: Mapping[str, Any], wait: float, **options: Any) -> Saga:
    """Do as :func:`run` does, with a thread for what asks the database, and none for what waits."""
    called = await _apart(_call, saga_type, data, wait, **options)
    held = await called.visit.await_(wait) if called.visit is not None else None
    left = _as_left(called, held)
    saga = left if left is not None else await _apart(_look, called)
    for pause in _pauses(called.end):
        if _is_settled(saga):
            break
        await asyncio.sleep(pause)
        saga = await _apart(_look, called)
    # Its results are asked for where no query may be.
    await _apart(lambda: prefetch_related_objects([saga], "steps"))
    return saga


async def _apart(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Ask the database in a thread of its own: in the one that others' queries share, they would wait."""

    def asked() -> T:
        try:
            return ask(*args, **kwargs)
        finally:
            close_old_connections()

    return await sync_to_async(asked, thread_sensitive=False)()


def _call(
    saga_type: str,
    data: Mapping[str, Any],
    wait: float,
    *,
    correlation_id: str | None = None,
    idempotency_key: str | None = None,
    started_by: Any = None,
) -> _Called:
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
    return _Called(started.saga, host.receive(started.claimed) if started.claimed else None, end)


def _as_left(called: _Called, held: Held | None) -> Saga | None:
    """Return a saga as it was left here, if it is settled; else it goes on, here or elsewhere."""
    if held is None:
        return None
    saga = orchestrator.as_it_stands(called.saga, held)
    return saga if _is_settled(saga) else None


def _look(called: _Called) -> Saga:
    return Saga.objects.get(pk=called.saga.pk)


def _pauses(end: float) -> Iterator[float]:
    """Say how long to wait between two looks at a saga that goes on elsewhere, as long as there is time."""
    pause = LOOK
    while (left := end - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(pause * 1.5, SLOWEST_LOOK)


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


def _is_settled(saga: Saga) -> bool:
    """Whether it has ended, or goes on only when a person has done something."""
    asks = saga.waiting is not None and saga.waiting["kind"] == Waiting.APPROVAL.value
    return saga.finished_at is not None or saga.attention is not None or saga.paused or asks
