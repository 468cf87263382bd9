"""The bugs, floor by floor, and of what stands beside them."""

from tests.bugs.bug import BUGS
from tests.bugs.catalogue import (  # noqa: F401 - importing them registers their bugs
    alerts,
    core,
    edges,
    elsewhere,
    engine,
    events,
    growing,
    orchestrator,
    upkeep,
    waiting,
)

__all__ = ["BUGS"]
