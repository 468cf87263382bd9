"""What an invariant's check has found."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bench.nemesis.checker.facts import Facts

#: The word where nothing could be compared: it speaks for nothing.
NOTHING = "NOTHING"


@dataclass
class Verdict:
    """An invariant, how much was held against it, and what did not fit."""

    number: str
    sentence: str
    checked: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def expect(self, holds: bool, what: str, /, **where: Any) -> bool:
        """Count one comparison; note where it does not hold."""
        self.checked += 1
        if not holds:
            self.violations.append({**where, "what": what})
        return holds

    @property
    def word(self) -> str:
        """PASS, FAIL, or that there was nothing to check."""
        if self.violations:
            return "FAIL"
        return "PASS" if self.checked else NOTHING


Check = Callable[[Facts, Verdict], None]
CHECKS: list[tuple[str, str, Check]] = []


def invariant(number: str, sentence: str) -> Callable[[Check], Check]:
    """Register a check."""

    def register(check: Check) -> Check:
        CHECKS.append((number, sentence, check))
        return check

    return register


def share(values: list[float], part: float) -> float | None:
    """Return the value below which so large a part of them lies."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 2)
