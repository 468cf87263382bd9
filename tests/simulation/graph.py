"""A definition as the oracle reads it: from the stored document, by itself."""

from collections.abc import Mapping
from typing import Any


class Graph:
    """Who needs whom, who undoes what, and how often each may be tried."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.needs: dict[str, tuple[str, ...]] = {}
        self.undo: dict[str, str | None] = {}
        self.hold: dict[str, bool] = {}
        self.attempts: dict[tuple[str, str], int] = {}
        self.probe: dict[tuple[str, str], str | None] = {}
        self.questions: dict[str, int] = {}
        self.pivot: str | None = None
        self.deadline: float | None = document.get("deadline")
        self.calls: dict[str, bool] = {}
        """Step -> whether a participant is called for it."""
        self.otherwise: dict[str, str | None] = {}
        """Approval -> the answer that its deadline gives."""
        self.people: dict[str, int] = {}
        self.children: set[str] = set()
        """The steps that another saga answers."""
        before: tuple[str, ...] = ()
        for step in document["steps"]:
            name = step["name"]
            self.needs[name] = tuple(step["needs"]) if "needs" in step else before
            self.undo[name] = step.get("compensation")
            self.hold[name] = step.get("hold", False)
            self.attempts[name, "do"] = step.get("retry", {}).get("max_attempts", 5)
            self.attempts[name, "undo"] = step.get("undo_retry", {}).get("max_attempts", 10)
            self.probe[name, "do"], self.probe[name, "undo"] = step.get("probe"), step.get("undo_probe")
            self.questions[name] = step.get("probe_retry", {}).get("max_attempts", 10)
            if "child" in step:
                self.children.add(name)
            asks = step.get("approval")
            self.calls[name] = not (asks or step.get("timer"))
            if asks:
                self.otherwise[name], self.people[name] = asks["otherwise"], asks["people"]
            if step.get("pivot"):
                self.pivot = name
            before = (name,)
        #: Step -> all that stand on it, directly or not.
        self.above = {
            name: {other for other in self.needs if name in self._below(other)} for name in self.needs
        }

    def _below(self, name: str) -> set[str]:
        found: set[str] = set()
        for need in self.needs[name]:
            found |= {need} | self._below(need)
        return found
