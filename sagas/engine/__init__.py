"""The engine: claims due work, runs it, hands the outcomes to the orchestrator in groups.

It writes leases, never state.
"""

from sagas.engine.claims import REAPED_AT_ONCE, hold_unserved, reap
from sagas.engine.liveness import Life
from sagas.engine.pump import Pump

__all__ = ["REAPED_AT_ONCE", "Life", "Pump", "hold_unserved", "reap"]
