"""The tidy operator, who comes when the storm is over, and settles what is left, honestly."""

import time
import uuid
from typing import Any

from bench.nemesis.api import Api, Unanswered
from bench.nemesis.bots import OWN, find_out
from bench.nemesis.journal import Journal
from bench.nemesis.plan import Plan


class Tidy:
    """Goes round until nothing is left."""

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.plan, self.journal = plan, journal
        self.api = Api(plan.web, plan.token)

    def round(self) -> int:
        """Look after every saga that is paused or at attention; return how many those were."""
        found = {saga["id"]: saga for state in ("attention=any", *_UNFINISHED) for saga in self._all(state)}
        asking = [saga for saga in found.values() if saga["paused"] or saga["attention"]]
        for saga in asking:
            self._settle(saga)
        return len(asking)

    def _all(self, query: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        after = ""
        while True:
            try:
                status, page = self.api.get(f"sagas?limit=200&{query}{after}")
            except Unanswered:
                return items
            if status != 200:
                return items
            items += page["items"]
            if not page["next"]:
                return items
            after = f"&after={page['next']}"

    def _settle(self, saga: dict[str, Any]) -> None:
        if saga["paused"]:
            self._do(saga, "resume")
            return
        for step in saga["steps"]:
            if step["attention"]:
                self._answer(saga, step)
                return

    def _answer(self, saga: dict[str, Any], step: dict[str, Any]) -> None:
        name = step["name"]
        match step["attention"]:
            case "late_effect":
                self._first_that_applies(
                    saga, ("compensate", {}), ("resolve", {"step": name, "outcome": "waived"})
                )
            case "outcome_unknown" if name not in OWN:  # whose participant has to be asked again
                if verdict := find_out(self.plan, step):
                    self._do(saga, "resolve", step=name, **verdict)
            case "held":
                self._first_that_applies(
                    saga, ("compensate", {}), ("skip", {"step": name}), ("retry", {"step": name})
                )
            case _:
                self._do(saga, "retry", step=name)

    def _first_that_applies(self, saga: dict[str, Any], *verbs: tuple[str, dict[str, Any]]) -> None:
        any(self._do(saga, verb, **values) for verb, values in verbs)

    def _do(self, saga: dict[str, Any], verb: str, **values: Any) -> bool:
        body = {"reason": "tidying up", "action_id": str(uuid.uuid4()), "version": saga["version"], **values}
        try:
            status, answer = self.api.post(f"sagas/{saga['id']}/{verb}", body)
        except Unanswered:
            return False
        self.journal.write("tidied", id=saga["id"], verb=verb, status=status, **values)
        if status not in (200, 409):
            self.journal.write("stuck", id=saga["id"], verb=verb, status=status, said=str(answer)[:300])
        return status == 200


_UNFINISHED = ("state=started", "state=pending", "state=compensating")


def settle(plan: Plan, journal: Journal, unfinished: Any, within: float) -> float:
    """Wait until every saga has ended, with the operator's help; return the seconds it took, or ``within``."""
    tidy, began = Tidy(plan, journal), time.monotonic()
    while time.monotonic() - began < within:
        asking = tidy.round()
        if not asking and unfinished() == 0:
            return time.monotonic() - began
        time.sleep(0.5)
    return within
