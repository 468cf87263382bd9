"""The bugs, floor by floor."""

from tests.bugs.bug import BUGS
from tests.bugs.catalogue import core, edges, engine, orchestrator  # noqa: F401 - importing them registers their bugs

__all__ = ["BUGS"]
