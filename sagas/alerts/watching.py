"""The thread that looks: in every worker and every clock, so that one of them is enough, and none has to be there."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, IntegrityError, InterfaceError, close_old_connections, connection

from sagas.alerts.looking import look
from sagas.alerts.telling import tell
from sagas.clock import database_now
from sagas.models import Watch

log = logging.getLogger(__name__)

#: Seconds between two looks, whoever looks.
EVERY = 5.0
_ONLY = 1


class Watching:
    """Looks from time to time, and tells, until it is closed."""

    def __init__(self) -> None:
        self._closed = threading.Event()
        self._said = ""
        self._thread = threading.Thread(target=self._watch, name="saga-alerts", daemon=True)

    def __enter__(self) -> "Watching":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(timeout=5)

    def _watch(self) -> None:
        while not self._closed.wait(EVERY):
            try:
                close_old_connections()
                ours = our_turn()
            except Exception as fault:
                self._say(fault)
            else:
                if ours:
                    self._do(look, tell)
        connection.close()

    def _do(self, *functions: Callable[[], None]) -> None:
        """Do these one after the other: that one fails must not be the end of the others, nor of the thread."""
        faults: list[Exception] = []
        for function in functions:
            try:
                function()
            except Exception as fault:
                faults.append(fault)
        for each in faults:
            self._say(each)
        if not faults:
            self._said = ""

    def _say(self, fault: Exception) -> None:
        """Log it, once as long as it is the same: a database that is away is so for a while."""
        if str(fault) != self._said:
            known = isinstance(fault, DatabaseError | InterfaceError)
            log.warning("looking for alerts failed: %s", fault, exc_info=None if known else fault)
        self._said = str(fault)
        connection.close()


def our_turn() -> bool:
    """Whether nobody has looked for a while; then it is us who do."""
    now = database_now()
    last = Watch.objects.filter(pk=_ONLY).values_list("looked_at", flat=True).first()
    if last is None:
        return _begin(now)
    # As far ahead as behind: the clock may have been set back.
    if abs(now - last) < timedelta(seconds=EVERY * 0.9):
        return False
    return bool(Watch.objects.filter(pk=_ONLY, looked_at=last).update(looked_at=now))


def _begin(now: datetime) -> bool:
    try:
        Watch.objects.create(pk=_ONLY, looked_at=now)
    except IntegrityError:
        return False
    return True
