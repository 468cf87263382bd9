"""A definition as the oracle reads it: from the stored document, by itself."""

from collections.abc import Iterable, Mapping
from typing import Any

#: The step that is a durable function.
FUNCTION = "function"


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
        self.spans: dict[str, float] = {}
        """Step -> the seconds after its dispatch from which on no attempt begins."""
        self.growing: bool = document.get("growing", False)
        """Whether it is a durable function's, whose steps come as it asks for them."""
        self.above: dict[str, set[str]] = {}
        """Step -> all that stand on it, directly or not."""
        self.grow(document["steps"])

    def grow(self, steps: Iterable[Mapping[str, Any]]) -> None:
        """Take steps in."""
        before: tuple[str, ...] = ()
        for step in steps:
            self._add(step, before)
            before = (step["name"],)
        self.above = {
            name: {other for other in self.needs if name in self._below(other)} for name in self.needs
        }

    def _add(self, step: Mapping[str, Any], before: tuple[str, ...]) -> None:
        name = step["name"]
        self.needs[name] = tuple(step["needs"]) if "needs" in step else before
        self.undo[name] = step.get("compensation")
        self.hold[name] = step.get("hold", False)
        self.attempts[name, "do"] = step.get("retry", {}).get("max_attempts", 5)
        self.attempts[name, "undo"] = step.get("undo_retry", {}).get("max_attempts", 10)
        self.probe[name, "do"], self.probe[name, "undo"] = step.get("probe"), step.get("undo_probe")
        self.questions[name] = step.get("probe_retry", {}).get("max_attempts", 10)
        asks = step.get("approval")
        self.calls[name] = not (asks or step.get("timer") or self.is_function(name))
        if "child" in step:
            self.children.add(name)
        elif "deadline" in step:
            self.spans[name] = step["deadline"]
        if asks:
            self.otherwise[name], self.people[name] = asks["otherwise"], asks["people"]
        if step.get("pivot"):
            self.pivot = name

    def is_function(self, step: str) -> bool:
        """Whether it is the function itself, a run of which calls nobody and has no effect."""
        return self.growing and step == FUNCTION

    def _below(self, name: str) -> set[str]:
        found: set[str] = set()
        for need in self.needs[name]:
            found |= {need} | self._below(need)
        return found
