"""Signs of life: a row per worker and clock, renewed by a thread of its own."""

import os
import socket
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.db.models.functions import Now

from sagas import registry
from sagas.clock import database_now
from sagas.conf import settings
from sagas.models import Process
from sagas.orchestrator import outbox

#: Silent processes are forgotten after so many seconds.
FORGOTTEN = 3600


class Life:
    """Says that this process is alive, until it is closed."""

    busy: Callable[[], int]
    """Asked at each beat how many handlers run."""

    def __init__(self, kind: str, queues: Collection[str] = ()) -> None:
        self.name = f"{kind}-{socket.gethostname()[:60]}-{os.getpid()}-{uuid4().hex[:6]}"
        self.kind = kind
        self.queues = sorted(queues)
        self.busy = lambda: 0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="saga-liveness", daemon=True)

    def __enter__(self) -> "Life":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=5)

    def _beat(self) -> None:
        while True:
            try:
                close_old_connections()
                self._say()
            except (DatabaseError, InterfaceError):
                connection.close()  # the database is away; the next beat tries a new connection
            if self._closed.wait(settings().ALIVE / 4):
                break
        with suppress(DatabaseError, InterfaceError):  # else the row grows old by itself
            Process.objects.filter(pk=self.name).delete()
        connection.close()

    def _say(self) -> None:
        seen = Process.objects.filter(pk=self.name).update(seen_at=Now(), busy=max(0, self.busy()))
        if not seen:
            now = database_now()
            Process.objects.filter(seen_at__lt=now - timedelta(seconds=FORGOTTEN)).delete()
            Process.objects.create(
                name=self.name,
                kind=self.kind,
                queues=self.queues,
                commands=sorted({*registry.names(), *outbox.hooks()}),
                host=socket.gethostname()[:200],
                pid=os.getpid(),
                started_at=now,
                seen_at=now,
            )
