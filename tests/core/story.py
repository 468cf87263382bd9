"""Given, when, then: one saga, told message by message."""

from datetime import UTC, datetime
from typing import Any

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.decide import decide
from sagas.core.definition import SagaDefinition, SagaStep
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, StepStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def step(name: str, **values: Any) -> SagaStep:
    """Return a step with an undo, where nothing else is said."""
    return SagaStep(name, **{"action": f"{name}.do", "compensation": f"{name}.undo"} | values)


class Story:
    """A saga that has started, and what was decided about it."""

    def __init__(self, *steps: SagaStep) -> None:
        self.definition = SagaDefinition("trip", steps)
        self.progress = Progress.blank(self.definition)
        self.log: list[e.Event] = []
        self.tell(m.Start({"order": 1}))

    def tell(self, message: m.Message, *claimed: str, at: datetime = NOON) -> list[str]:
        """Tell it a message while workers hold these steps; return the names of the events that it decided."""
        now = m.Now(at, 1.0, frozenset(self.number(name) for name in claimed))
        events = decide(self.definition, self.progress, message, now)
        self.progress = fold(self.progress, events)
        self.log += events
        return [_name(event) for event in events]

    def done(self, name: str, *claimed: str, result: Any = None, inbox: bool = True) -> list[str]:
        """Tell it that the step's open command is done."""
        return self.tell(m.Completed(self.number(name), result, inbox), *claimed)

    def rejected(self, name: str, *claimed: str, inbox: bool = True) -> list[str]:
        """Tell it that the participant said no."""
        return self.tell(m.Rejected(self.number(name), "sold out", inbox), *claimed)

    def lost(self, name: str, *claimed: str, inbox: bool = True, after: float | None = None) -> list[str]:
        """Tell it that the outcome of an attempt is unknown."""
        return self.tell(m.Unknown(self.number(name), "timed out", inbox, after), *claimed)

    def unserved(self, name: str, *claimed: str, code: Attention = Attention.NO_HANDLER) -> list[str]:
        """Tell it that nobody serves the step's command."""
        return self.tell(m.Unserved(self.number(name), "no such handler", code), *claimed)

    def garbled(self, name: str, *claimed: str, inbox: bool = True) -> list[str]:
        """Tell it that the participant answered what nobody understands."""
        return self.tell(
            m.Unserved(self.number(name), "204", Attention.MISCONFIGURED, arrived=True, inbox=inbox), *claimed
        )

    def unseen(self, name: str, *claimed: str) -> list[str]:
        """Tell it that a probe found nothing of the step's open command."""
        return self.tell(m.NoSuchCommand(self.number(name)), *claimed)

    def number(self, name: str) -> int:
        """Return the number of the step's open command."""
        number = self[name].number
        assert number is not None, f"{name} has no open command"
        return number

    def __getitem__(self, name: str) -> StepProgress:
        return self.progress.steps[name]

    @property
    def statuses(self) -> list[StepStatus]:
        """The steps' statuses, in their order."""
        return [each.status for each in self.progress.steps.values()]


def _name(event: e.Event) -> str:
    name = getattr(event, "step", None)
    return f"{type(event).__name__} {name}" if isinstance(event, e.StepEvent) else type(event).__name__
