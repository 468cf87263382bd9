"""The engine: claims due work, runs it, hands the outcomes to the orchestrator in groups.

It writes leases, never state.
"""

from sagas.engine.batches import carry_on
from sagas.engine.claims import REAPED_AT_ONCE, hold_unserved, reap
from sagas.engine.jumps import Jumps
from sagas.engine.liveness import Life
from sagas.engine.periodic import Periodic
from sagas.engine.planner import plan_by_keys
from sagas.engine.pump import Pump
from sagas.engine.resident import Resident, Visit
from sagas.engine.room import Room, is_full

__all__ = [
    "REAPED_AT_ONCE",
    "Jumps",
    "Life",
    "Periodic",
    "Pump",
    "Resident",
    "Room",
    "Visit",
    "carry_on",
    "hold_unserved",
    "is_full",
    "plan_by_keys",
    "reap",
]
