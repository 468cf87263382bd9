"""What participants are called with: a command's input and its envelope; and the event, where one is delivered."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress
from sagas.core.words import StepStatus


class Meta(NamedTuple):
    """The envelope of a command."""

    number: int
    key: str
    """The idempotency key: the same for all attempts."""
    undoes: str | None
    """In an undo, the key of the action that it undoes."""
    attempt: int
    deadline: datetime
    correlation_id: str
    saga_id: str
    step: str
    direction: str
    probes: str | None = None
    """In a probe, the command that it asks about: number, key, direction and undoes are that one's."""


class CommandInput(Mapping[str, Any]):
    """What a handler gets: the saga's data on top, and ``saga_id``, ``step_name``, ``results`` with it."""

    def __init__(self, name: str, values: Mapping[str, Any], meta: Meta) -> None:
        self.name = name
        """The command's, such as ``PaymentService.ProcessPayment``."""
        self.meta = meta
        """The envelope."""
        self.input: Any = None
        """The validated model, where the handler asked for one."""
        self.refusal: str | None = None
        """Why that model does not take the input. An inbox is asked first: an earlier attempt may have been taken."""
        self._values = values

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self.name} {self.meta.key} attempt {self.meta.attempt}>"


class SagaContext(CommandInput):
    """What a subscriber gets: the event's data, laid over the saga's; and where the saga stood when it was claimed.

    Its name is the delivery's, such as ``PaymentService on ProcessPayment``.
    """

    def __init__(
        self, name: str, values: Mapping[str, Any], meta: Meta, definition: SagaDefinition, progress: Progress
    ) -> None:
        at = progress.steps[meta.step]
        told = at.event or {}
        self.data: dict[str, Any] = dict(told.get("data", {}))
        """The event's data."""
        super().__init__(name, {**values, **self.data}, meta)
        self.saga_id: str = meta.saga_id
        self.step: str = meta.step
        self.event: str = told.get("name", "")
        """The event's name."""
        self.number: int = told.get("number", 0)
        """The event's number in its saga."""
        self.completed_steps: tuple[str, ...] = tuple(
            name for name in definition.names if progress.steps[name].status is StepStatus.COMPLETED
        )
        """The steps that were completed by then; of the same subscriber, all that came before."""
        self.published: dict[str, dict[str, Any]] = _published(progress)
        """The events that were published by then, in their order, with their data."""
        self.undelivered: tuple[str, ...] = _undelivered(progress)
        """Those of them of which nothing more comes: a subscriber refused, and nobody insists, or they are undone."""


def _published(progress: Progress) -> dict[str, dict[str, Any]]:
    told = [step.event for step in progress.steps.values() if step.event is not None]
    return {event["name"]: event["data"] for event in sorted(told, key=lambda event: event["number"])}


def _undelivered(progress: Progress) -> tuple[str, ...]:
    over = {StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.COMPENSATED}
    given_up = (step for step in progress.steps.values() if step.status in over and not step.attention)
    return tuple(step.event["name"] for step in given_up if step.event is not None)
