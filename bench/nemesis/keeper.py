"""The keeper: an operator who pauses a participant's queue for some seconds, and resumes it, at once or slowly."""

import random
import time
import uuid
from typing import Any

from bench.nemesis.api import Api, Unanswered
from bench.nemesis.journal import Journal
from bench.nemesis.plan import STORM, Plan

QUEUES = ("stock", "money", "ship", "ticket", "points", "courier", "events")
#: Seconds, on average, between the end of a pause and the next.
EVERY = 45.0
#: Seconds that a pause lasts, at least and at most.
SHORTEST, LONGEST = 1.0, 8.0


class Keeper:
    """One operator. Whatever becomes of the desk meanwhile, he does not go home before all is resumed."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan, self.journal = plan, journal
        self.api = Api(plan.web, plan.token)
        self.chance = random.Random(f"{plan.seed}:keeper")

    def run(self) -> None:
        """Pause and resume while the storm lasts."""
        while self._rest(self.chance.expovariate(1 / EVERY)):
            queue = self.chance.choice(QUEUES)
            seconds = self.chance.uniform(SHORTEST, LONGEST)
            if self._do(queue, "pause"):
                self._rest(seconds)
                self._do(
                    queue, "resume", **self.chance.choice(({}, {"per_second": 20.0}, {"per_second": 5.0}))
                )

    def _rest(self, seconds: float) -> bool:
        """Wait so long, or until the storm is over; return whether it lasts."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.plan.phase == STORM:
            time.sleep(0.2)
        return self.plan.phase == STORM

    def _do(self, queue: str, verb: str, **more: Any) -> bool:
        """Ask until there is an answer: the same action, so that it is done once however often it is asked for."""
        body = {
            "reason": "the keeper says so",
            "action_id": str(uuid.UUID(int=self.chance.getrandbits(128))),
            **more,
        }
        while True:
            try:
                status, _ = self.api.post(f"queues/{queue}/{verb}", body)
            except Unanswered:
                status = 0
            if 0 < status < 500:
                self.journal.write("queue", queue=queue, verb=verb, action=body["action_id"], status=status)
                return status == 200
            time.sleep(0.3)
