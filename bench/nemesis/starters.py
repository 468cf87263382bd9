"""Starters: they start sagas over HTTP, each under a key of its own, and repeat what was not answered until it is."""

import random
import sys
import threading
import time
from typing import Any

from bench.nemesis.api import Api, Unanswered
from bench.nemesis.journal import Journal
from bench.nemesis.plan import CANARY, STEADY, STORM, Plan
from participants.carrier.moods import MOODS

THREADS = 12
#: Seconds between two starts of a thread, in a storm and when it is steady.
PACE = {STORM: 0.25, STEADY: 3.0}
#: Sagas that may be under way before a starter waits.
BACKLOG = 250
DELIVERY = "ChaosDelivery"
TYPES = (
    *("ChaosChain",) * 6,
    *("ChaosFork",) * 3,
    *("ChaosStairs",) * 3,
    *("ChaosParcel",) * 2,
    *("ChaosRound",) * 2,
    *("ChaosTour",) * 2,
    *("ChaosHoliday",) * 2,
    "ChaosCourier",
    *(DELIVERY,) * 2,
)
#: Of a hundred orders, how many the carrier refuses.
REFUSED = 10
#: Of a hundred starts, how many are repeated although they were answered, and how many with other data then.
REPEATED, OTHER = 5, 2


class Starter:
    """One thread's work."""

    def __init__(self, plan: Plan, journal: Journal, number: int) -> None:
        self.plan, self.journal, self.number = plan, journal, number
        self.api = Api(plan.web, plan.token)
        self.chance = random.Random(f"{plan.seed}:starter-{number}")

    def run(self) -> None:
        """Start sagas until nothing new is wanted."""
        count = 0
        while (phase := self.plan.phase) in PACE:
            began = time.monotonic()
            if phase == STEADY or self._unfinished() < BACKLOG:
                count += 1
                self._start(f"{self.number}-{count}")
            time.sleep(max(0.0, PACE[phase] - (time.monotonic() - began)))

    def _start(self, order: str) -> None:
        kind = self.chance.choice(TYPES)
        body = {"type": kind, "data": self._data(kind, order), "idempotency_key": f"key-{order}"}
        saga_id = self._until_answered(body)
        drawn = self.chance.uniform(0, 100)
        if saga_id and drawn < OTHER:
            self._expect(409, {**body, "data": self._data(kind, f"not {order}")})
        elif saga_id and drawn < OTHER + REPEATED:
            self._until_answered(body)

    def _data(self, kind: str, order: str) -> dict[str, Any]:
        """Return what a saga of some kind is started with. The carrier is in any of its moods."""
        if kind != DELIVERY:
            return {"order": order, "card": CANARY, "tour": {"order": order, "card": CANARY}}
        refused = self.chance.uniform(0, 100) < REFUSED
        return {
            "order_id": order,
            "customer_id": CANARY,
            "items": [{"sku": "TEA-100", "quantity": 1}],
            "payment_method": "card-ada",
            "shipping_address": "Atlantis" if refused else "12 Analytical Row, London, United Kingdom",
            "carrier": "express",
            "demo": {"carrier": self.chance.choice([*MOODS])},
        }

    def _until_answered(self, body: dict) -> str | None:
        """Send until it is taken; the same key each time. None: the run was over first."""
        key, wait = body["idempotency_key"], 0.1
        while self.plan.phase in (*PACE, "settle"):
            try:
                status, answer = self.api.post("sagas", body)
            except Unanswered as no:
                self.journal.write("unanswered", key=key, why=str(no))
            else:
                if status in (200, 201):
                    self.journal.write("started", key=key, id=answer["id"], status=status, type=body["type"])
                    return str(answer["id"])
                self.journal.write("refused", key=key, status=status, said=str(answer)[:300])
            time.sleep(wait)
            wait = min(wait * 2, 1.0)
        return None

    def _expect(self, status: int, body: dict) -> None:
        try:
            found, _ = self.api.post("sagas", body)
        except Unanswered:
            return
        if found < 500:
            self.journal.write("expected", key=body["idempotency_key"], status=status, found=found)

    def _unfinished(self) -> int:
        try:
            return int((self.plan.path / "unfinished").read_text() or 0)
        except (OSError, ValueError):
            return 0


def main() -> None:
    """Run the threads until it is over."""
    plan = Plan.load(sys.argv[1])
    journal = Journal(plan.path / "starters.jsonl")
    threads = [threading.Thread(target=Starter(plan, journal, n).run) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while True:  # its supervisor would start it again
        time.sleep(60)


if __name__ == "__main__":
    main()
