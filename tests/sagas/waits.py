"""A saga type that waits, for tests: which steps it has is what its data says."""

from collections.abc import Callable
from typing import Any

from sagas import Later, Retry, SagaOrchestrator, SagaStep, TimeoutSagaOrchestrator, approval, command, timer

QUICK = Retry(max_attempts=2, first=0.0)
#: What the outside service answers; a test sets it.
answers: dict[str, Callable[[Any], Any]] = {}


class Permit(SagaOrchestrator):
    """Asks, waits, and hands over."""

    saga_type = "Permit"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return those of the steps that the data names, in its order."""
        known = {
            "rest": lambda: timer("rest", wait=data.get("wait", 3600)),
            "until": lambda: timer("until", until="contract.begins"),
            "ok": lambda: approval(
                "ok", **{"by": "group:managers", "show": "{amount}", **data.get("ask", {})}
            ),
            "file": lambda: SagaStep(
                "file",
                "FilingService.File",
                "FilingService.Withdraw",
                retry=QUICK,
                undo_retry=QUICK,
                hold=data.get("hold", False),
            ),
            "hand": lambda: SagaStep("hand", "FilingService.Hand", retry=QUICK),
        }
        return [known[name]() for name in data["steps"]]

    def saga_deadline(self, data: dict[str, Any]) -> float | None:
        """Return what the data says."""
        return data.get("deadline")


class Hurry(TimeoutSagaOrchestrator):
    """A saga whose steps are limited."""

    saga_type = "Hurry"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return one step of each kind."""
        return [SagaStep("file", "FilingService.File"), timer("rest", wait=1), approval("ok", by="group:x")]


def _answer(sent: Any) -> Any:
    return answers.get(sent.name, lambda _: {"done": sent.name})(sent)


for _name in ("FilingService.File", "FilingService.Withdraw", "FilingService.Hand"):
    command(_name, inbox=True)(_answer)


def later(within: float = 3600) -> Callable[[Any], Later]:
    """Return a behaviour that promises an answer."""
    return lambda _: Later(within=within)


def promising(name: str) -> list[str]:
    """Have a command answered by a promise each time it comes; return the keys under which it has come."""
    keys: list[str] = []

    def promise(sent: Any) -> Later:
        keys.append(sent.meta.key)
        return Later(within=3600)

    answers[name] = promise
    return keys
