"""What the nemesis does, kind by kind. Each fault undoes itself before it returns, whatever happens meanwhile."""

from bench.nemesis.faults import database, network, processes, queues
from bench.nemesis.faults.catalogue import CATALOGUE, NOT_DONE, Fault

__all__ = ["CATALOGUE", "NOT_DONE", "Fault", "database", "network", "processes", "queues"]
