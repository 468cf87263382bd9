"""Room in the database: writing what handlers have answered, and claiming nothing while the disk is full."""

import logging
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from django.db import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    close_old_connections,
    connections,
    router,
    transaction,
)

from sagas.conf import settings
from sagas.models import Due
from sagas.rows import LOCKED, TOO_LARGE, Stale
from sagas.signals import no_room

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two looks whether there is room again.
LOOK_AGAIN = 2.0
#: Bytes that must be free for things to go on: what is running has to be recorded, too.
SPARE = 4 * 1024 * 1024
_DISK_FULL = "53100"
"""PostgreSQL's code for it."""


#: What says that the database is away for now, or does not take anything: PostgreSQL calls it internal when it may
#: only be read, or has ended a transaction that idled.
AWAY = (OperationalError, InterfaceError, InternalError)
_BROKEN = "XX"
"""How PostgreSQL's codes for faults of its own begin, such as a page that cannot be read: they may be one row's."""


class Unwritable(Exception):
    """Some of what was to be written cannot be, however often the database is asked."""


class Locked(Exception):
    """Somebody keeps a row locked of what was to be written."""


def is_unwritable(fault: BaseException) -> bool:
    """Whether it cannot be kept, so that waiting does not help."""
    code = _code(fault)
    return code == TOO_LARGE or code.startswith(_BROKEN)


def is_locked(fault: BaseException) -> bool:
    """Whether it waited for a lock until PostgreSQL had enough of it."""
    return _code(fault) == LOCKED


def _code(fault: BaseException) -> str:
    return getattr(fault.__cause__, "sqlstate", None) or ""


def is_full(fault: BaseException | None) -> bool:
    """Whether the database had no room for what it was to write."""
    while fault is not None:
        if getattr(fault, "sqlstate", None) == _DISK_FULL:
            return True
        if getattr(fault, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        fault = fault.__cause__
    return False


class Room:
    """What one process knows of the room there is; it tells others by :data:`sagas.signals.no_room`."""

    def __init__(self, stopping: Callable[[], bool] = lambda: False) -> None:
        self.full = False
        self._stopping = stopping
        self._look_at = 0.0

    @property
    def there(self) -> bool:
        """Whether something new may be begun."""
        if self.full and time.monotonic() >= self._look_at:
            if has_room():
                self._open()
            else:
                self._close()
        return not self.full

    def noticed(self, fault: BaseException) -> bool:
        """Take note of a fault of the database; whether it was that there is no room."""
        if is_full(fault):
            if not self.full:
                log.error("the database has no room left; nothing new is begun until there is: %s", fault)
            self._close()
            return True
        return False

    def insist(self, write: Callable[[], T], meanwhile: Callable[[], None] = lambda: None) -> T:
        """Write what handlers have answered, however often the database has to be asked; do something ``meanwhile``.

        For as long as its disk is full; else up to a lease's length: after that the leases have
        ended, and the clock has recorded the attempts as unknown.
        """
        end = time.monotonic() + settings().LEASE
        wait = 0.05
        while True:
            try:
                written = write()
            except (*AWAY, Stale) as fault:
                awaited = self.noticed(fault) and not self._stopping()
                if time.monotonic() > end and not awaited:
                    raise
                log.warning("the database did not take it, trying again in %.2f s: %s", wait, fault)
                close_old_connections()
                time.sleep(wait)
                wait = min(wait * 2, 2.0)
                meanwhile()
            else:
                return written

    def _close(self) -> None:
        self.full, self._look_at = True, time.monotonic() + LOOK_AGAIN
        no_room.send_robust(sender=Room, full=True)

    def _open(self) -> None:
        self.full = False
        log.warning("the database has room again")
        no_room.send_robust(sender=Room, full=False)


def has_room() -> bool:
    """Whether the database could grow by what is to be spare. Not asked unless it was full a moment ago."""
    connection = connections[router.db_for_write(Due)]
    if connection.vendor == "postgresql":
        return _can_grow(connection.alias)
    folder = Path(str(connection.settings_dict["NAME"])).parent
    return not folder.exists() or shutil.disk_usage(folder).free >= SPARE


def _can_grow(alias: str) -> bool:
    """Ask PostgreSQL for the room, where its tables are, and give it back."""
    try:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            cursor.execute("SET LOCAL temp_tablespaces = ''")
            cursor.execute(
                "CREATE TEMPORARY TABLE sagas_room ON COMMIT DROP AS"
                " SELECT repeat('x', 1000) FROM generate_series(1, %s)",
                [SPARE // 1000],
            )
            transaction.set_rollback(True, using=alias)
    except (DatabaseError, InterfaceError) as fault:
        return not is_full(fault)
    return True
