"""The foreman: an operator who acts on many sagas at once, and changes his mind about it while it goes on.

Like the other operators he is honest: he lets nobody retry what a participant that remembers nothing would do twice.
"""

import random
import time
import uuid
from typing import Any

from bench.nemesis.api import Api, Unanswered
from bench.nemesis.journal import Journal
from bench.nemesis.plan import STORM, Plan

#: All but those with the courier, who does again what he is asked again.
TYPES = ("ChaosChain", "ChaosFork", "ChaosStairs", "ChaosParcel", "ChaosRound", "ChaosTour", "ChaosHoliday")
#: Verb -> which of a type's sagas; the first comes as often as the others together.
ON = {
    "retry": {"attention": "any"},
    "compensate": {"state": "pending"},
    "restart": {"state": "failed"},
}
#: Seconds, on average, between the end of a batch and the next.
EVERY = 20.0
#: Seconds that a batch is given, at most.
LONGEST = 12.0


class Foreman:
    """One operator. Whatever becomes of the desk meanwhile, he does not go home before his batch is over."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan, self.journal = plan, journal
        self.api = Api(plan.web, plan.token)
        self.chance = random.Random(f"{plan.seed}:foreman")

    def run(self) -> None:
        """Begin one batch after the other while the storm lasts."""
        while self._rest(self.chance.expovariate(1 / EVERY)):
            verb = self.chance.choices(list(ON), [2, 1, 1])[0]
            kinds = {"type": self.chance.choice(TYPES), **ON[verb]}
            course = {"waves": self.chance.choice(([], [1], [1, 3])), "per_second": 5.0, "stop_above": 90}
            status, answer = self._do("batches", verb=verb, filter=kinds, **course)
            if status in (200, 201):
                self._see_to(answer["id"])

    def _see_to(self, number: int) -> None:
        """Let it go on for a while, pause and resume it; end it if it has not ended then."""
        end = time.monotonic() + self.chance.uniform(1.0, LONGEST)
        while self._rest(1.0) and time.monotonic() < end:
            verb = self.chance.choice(("", "", "pause", "resume", "release"))
            if verb:
                self._do(f"batches/{number}/{verb}")
        self._do(f"batches/{number}/cancel")

    def _rest(self, seconds: float) -> bool:
        """Wait so long, or until the storm is over; return whether it lasts."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.plan.phase == STORM:
            time.sleep(0.2)
        return self.plan.phase == STORM

    def _do(self, path: str, **more: Any) -> tuple[int, Any]:
        """Ask until there is an answer: the same action, so that it is done once however often it is asked for."""
        action = str(uuid.UUID(int=self.chance.getrandbits(128)))
        body = {"reason": "the foreman says so", "action_id": action, **more}
        while True:
            try:
                status, answer = self.api.post(path, body)
            except Unanswered:
                status, answer = 0, None
            if 0 < status < 500:
                self.journal.write("batch", path=path, action=action, status=status)
                return status, answer
            time.sleep(0.3)
