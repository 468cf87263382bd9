"""Operator bots: hasty people. They click twice, act on what they saw a while ago, and send again what got no answer.

They are honest: whoever settles a step by hand has asked the ledger, which closes the key for good.
"""

import random
import sys
import threading
import time
import uuid
from typing import Any

from bench.nemesis import wire
from bench.nemesis.api import Api, Unanswered
from bench.nemesis.checker.books import CARRIER, SHOP
from bench.nemesis.foreman import Foreman
from bench.nemesis.journal import Journal
from bench.nemesis.keeper import Keeper
from bench.nemesis.plan import STORM, Plan

BOTS = 4
#: Seconds between two clicks of a bot; each looks at the list again after so many.
PACE, LOOKS = 0.4, 6
EVERY_VERB = (
    "retry",
    "compensate",
    "skip",
    "resolve",
    "edit",
    "pause",
    "resume",
    "approve",
    "reject",
    "restart",
)
#: A participant that remembers nothing: asking it twice would do it twice.
PLAIN = "courier"
#: Steps that need no person: of these the ledger knows nothing, and others know enough.
OWN = ("points", "tour", *SHOP, CARRIER)
#: A choreography: what a subscriber would have told, its service can tell better than an operator.
ROUND, NOT_IN_A_ROUND = "ChaosRound", ("skip", "resolve")
#: Verbs that a hasty person is fond of come more often.
WEIGHT = {
    "compensate": 1,
    "pause": 2,
    "skip": 1,
    "edit": 2,
    "restart": 1,
    "retry": 6,
    "resume": 9,
    "resolve": 3,
}


class Bot:
    """One operator."""

    def __init__(self, plan: Plan, journal: Journal, number: int) -> None:
        self.plan, self.journal, self.name = plan, journal, f"bot-{number}"
        self.api = Api(plan.web, plan.token)
        self.chance = random.Random(f"{plan.seed}:bot-{number}")
        self.seen: list[dict[str, Any]] = []
        self.sent: list[tuple[str, str, dict[str, Any]]] = []

    def run(self) -> None:
        """Click while the storm lasts; then let go what was held."""
        clicks = 0
        while self.plan.phase == STORM:
            if clicks % LOOKS == 0 or not self.seen:
                self._look()
            clicks += 1
            if self.seen:
                self._click()
            time.sleep(self.chance.uniform(0.5, 1.5) * PACE)

    def _look(self) -> None:
        query = self.chance.choice(
            ["", "", "&attention=any", "&state=compensating", "&state=pending", "&state=failed"]
        )
        try:
            status, answer = self.api.get(f"sagas?limit=10{query}")
        except Unanswered:
            return
        if status == 200:
            for saga in answer["items"]:
                self._observe(saga)
            self.seen = answer["items"] or self.seen

    def _observe(self, saga: dict[str, Any]) -> None:
        steps = {step["name"]: step["status"] for step in saga["steps"]}
        self.journal.write(
            "saw", bot=self.name, id=saga["id"], version=saga["version"], state=saga["state"], steps=steps
        )

    def _click(self) -> None:
        drawn = self.chance.uniform(0, 100)
        if self.sent and drawn < 12:  # the browser's back button
            self._send(*self.chance.choice(self.sent[-20:]), again=True)
            return
        saga = self.chance.choice(self.seen)
        verb, step = self._choose(saga, any_verb=drawn < 22)
        body = self._body(saga, verb, step)
        if body is None:
            return
        if drawn > 45:
            body["version"] = saga["version"] - (
                self.chance.randint(1, 3) if drawn > 90 and saga["version"] > 3 else 0
            )
        self.sent.append((saga["id"], verb, body))
        if 30 < drawn < 45:
            self._twice(saga["id"], verb, body)
        else:
            self._send(saga["id"], verb, body)

    def _choose(self, saga: dict[str, Any], *, any_verb: bool) -> tuple[str, str | None]:
        step = self.chance.choice(saga["steps"])["name"]
        fitting = [each for each in saga["verbs"] if each["applies"]]
        if any_verb or not fitting:
            verb = self.chance.choice(EVERY_VERB)
            return verb, step if verb in ("retry", "skip", "resolve", "approve", "reject") else None
        weights = [WEIGHT.get(each["verb"], 1) for each in fitting]
        chosen = self.chance.choices(fitting, weights)[0]
        return chosen["verb"], chosen["step"]

    def _body(self, saga: dict[str, Any], verb: str, step: str | None) -> dict[str, Any] | None:
        """Return what to send; None for what an honest operator would not do here."""
        if (verb == "retry" and step == PLAIN) or (saga["type"] == ROUND and verb in NOT_IN_A_ROUND):
            return None
        if saga["origin_kind"] == "undo" and verb == "skip":
            return None  # what that step undoes would stand
        body: dict[str, Any] = {
            "reason": f"{self.name} says so",
            "action_id": str(uuid.UUID(int=self.chance.getrandbits(128))),
        }
        if step:
            body["step"] = step
        if verb == "edit":
            body["data"] = {**saga["data"], "note": self.chance.randint(1, 9)}
        if verb == "resolve":
            verdict = find_out(self.plan, next(s for s in saga["steps"] if s["name"] == step))
            return {**body, **verdict} if verdict else None
        return body

    def _twice(self, saga_id: str, verb: str, body: dict[str, Any]) -> None:
        other = Bot(self.plan, self.journal, 0)
        other.name = f"{self.name}'s other click"
        click = threading.Thread(target=other._send, args=(saga_id, verb, body), kwargs={"again": True})
        click.start()
        self._send(saga_id, verb, body)
        click.join()

    def _send(self, saga_id: str, verb: str, body: dict[str, Any], *, again: bool = False) -> None:
        for _ in range(4):
            began = time.time()
            try:
                status, answer = self.api.post(f"sagas/{saga_id}/{verb}", body)
            except Unanswered as no:
                self.journal.write("unanswered", bot=self.name, action=body["action_id"], why=str(no))
                time.sleep(0.3)
                continue
            self._note(saga_id, verb, body, status, answer, began, again)
            if status == 200 and not answer["action"]["repeated"]:
                self._observe(answer)
            if status < 500:
                return

    def _note(
        self, saga_id: str, verb: str, body: Any, status: int, answer: Any, began: float, again: bool
    ) -> None:
        told = {
            "bot": self.name,
            "action": body["action_id"],
            "id": saga_id,
            "verb": verb,
            "step": body.get("step"),
        }
        said = {"asked": body.get("version"), "status": status, "began": began, "again": again}
        if status == 200:
            kept = {n: answer.get(n) for n in ("version", "state", "updated_at")}
            self.journal.write("did", **told, **said, answer=kept, repeated=answer["action"]["repeated"])
        else:
            self.journal.write("did", **told, **said, said=str(answer.get("error"))[:300])


def find_out(plan: Plan, step: dict[str, Any]) -> dict[str, Any] | None:
    """Ask the ledger what became of a step, and say it in the words of *resolve*; None where it is not settled."""
    plain = step["name"] == PLAIN
    if step["name"] in OWN or step["key"] is None:
        return None
    try:
        known = wire.ask(plan.ledger, {"ask": "close", "key": step["key"], "plain": plain})
    except OSError:
        return None
    evidence = f"the ledger: {known['standing'] or known['answer']}"
    undoing = (
        step["direction"] == "undo" or step["status"] == "compensating" or step["attention"] == "cannot_undo"
    )
    if undoing:
        return None if known["standing"] else {"outcome": "done", "evidence": evidence}
    if known["standing"]:
        return {"outcome": "done", "result": {"effect": known["standing"][0]}, "evidence": evidence}
    if (
        known["answer"] and known["answer"]["verdict"] == "completed"
    ):  # on its way forward it undid another saga's
        return {"outcome": "done", "result": known["answer"]["result"], "evidence": evidence}
    return {"outcome": "none", "evidence": evidence}


def main() -> None:
    """Run the bots, the keeper of the queues and the foreman until the storm is over."""
    plan = Plan.load(sys.argv[1])
    journal = Journal(plan.path / "bots.jsonl")
    bots = [Bot(plan, journal, n) for n in range(BOTS)]
    operators = [*bots, Keeper(plan, journal), Foreman(plan, journal)]
    threads = [threading.Thread(target=operator.run) for operator in operators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
