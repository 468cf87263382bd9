"""How PostgreSQL plans the pump's few statements: once, and by the rows' keys."""

import threading
from typing import Any

from django.db import connections
from django.db.backends.signals import connection_created

#: The pump's statements each take a few rows by their keys. Left alone, a plan that was made when the tables were
#: empty reads all of them when they are not; and planning anew costs more than running.
PLANNER = "SET plan_cache_mode = force_generic_plan; SET jit = off; " + "; ".join(
    f"SET enable_{way} = off" for way in ("seqscan", "hashjoin", "mergejoin")
)


class _Here(threading.local):
    pumps = False


_here = _Here()


def plan_by_keys() -> None:
    """Have this thread's connections planned so, from now on: it pumps. Handlers, who ask what they like, have others.

    Statements are prepared when they are first sent: planning one takes as long as executing it several times.
    """
    _here.pumps = True
    connection_created.connect(_plan_by_keys, dispatch_uid="sagas.engine.planner")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _plan_by_keys(connection)


def _plan_by_keys(connection: Any, **_: Any) -> None:
    """Set the planner of a connection of such a thread.

    ``prepare_threshold`` None says that a pooler moves sessions about: nothing may be set in one then.
    """
    if connection.vendor != "postgresql" or not _here.pumps:
        return
    if connection.connection.prepare_threshold is not None:
        connection.connection.prepare_threshold = 0
        with connection.cursor() as cursor:
            cursor.execute(PLANNER)
