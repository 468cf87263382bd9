"""Who is there to carry sagas on: which process is missing, and the command that starts it."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from sagas.conf import settings
from sagas.models import Process


class Present(NamedTuple):
    """The workers and clocks, as they were at one moment."""

    served: frozenset[str] | None
    """The queues that workers alive serve; None where no worker is alive."""
    clock: bool
    silent: Mapping[str, datetime]
    """Worker -> since when it is silent that should not be."""

    @classmethod
    def at(cls, now: datetime) -> "Present":
        """Look who is there: one query."""
        known = list(Process.objects.only("kind", "queues", "seen_at"))
        alive = [each for each in known if each.silent_at(now) < settings().ALIVE]
        workers = [each for each in alive if each.kind == Process.WORKER]
        return cls(
            served=frozenset(queue for each in workers for queue in each.queues) if workers else None,
            clock=any(each.kind == Process.CLOCK for each in alive),
            silent={each.name: each.seen_at for each in known if each not in alive},
        )

    def lacks(self, queue: str) -> str:
        """Say who is missing for what comes, or has come, due on a queue; empty if nobody is."""
        if self.served is None and not self.clock:
            return (
                "No worker and no clock is alive: manage.py saga worker and manage.py saga clock start them."
            )
        return " ".join(each for each in (self._lacks_worker(queue), self.lacks_clock) if each)

    @property
    def lacks_clock(self) -> str:
        """Say that nobody looks for what has come due, or is lost; empty if somebody does."""
        if self.clock:
            return ""
        return "No clock is alive, which sees when a time has come: manage.py saga clock starts one."

    def _lacks_worker(self, queue: str) -> str:
        if self.served is None:
            return "No worker is alive: manage.py saga worker starts one."
        if queue in self.served:
            return ""
        if queue in settings().ELSEWHERE:
            return f"No worker serves {queue}: start one in the project that does."
        return f"No worker serves {queue}: manage.py saga worker {queue} starts one."


#: Of sagas of which nothing is due, now or later: whoever is missing, it is not for that that they do not move.
UNASKED = Present(frozenset(), True, {})
