"""A piece of due work as a handler gets it: its input, and the envelope around it."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sagas.core.commands import DueCommand, idempotency_key
from sagas.core.context import CommandInput, Meta, SagaContext
from sagas.core.definition import FUNCTION
from sagas.core.flow import delivery
from sagas.core.words import Direction
from sagas.orchestrator.ledger import Claimed
from sagas.orchestrator.loading import Held
from sagas.orchestrator.outbox import HOOK
from sagas.replay import Record


class DomainEvent(dict[str, Any]):
    """What a subscriber gets: the event's values; ``name`` says which event it is."""

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.name = name


class Work(NamedTuple):
    """Claimed work: this process holds it until the lease ends."""

    token: UUID
    saga_id: UUID
    name: str
    """The command's name, or the subscriber's."""
    attempt: int
    timeout: float
    """Seconds it may take, from now."""
    number: int = 0
    """The command's number; 0 for a delivery."""
    command: CommandInput | None = None
    event: DomainEvent | None = None
    wakes: bool = False
    """Nobody is called: a time is up."""
    held: Held | None = None
    """The saga as it was when the command was claimed: good for as long as its version is."""
    claimed_at: datetime | None = None
    broken: Exception | None = None
    """Why there is nothing to call the handler with: the saga's data does not make it up."""

    @property
    def called(self) -> str:
        """What a worker that can call it says that it serves: see :attr:`sagas.models.Process.commands`."""
        if self.event is None:
            return self.name
        return f"{HOOK} {self.event.name}" if self.name == HOOK else delivery(self.event.name, self.name)

    @property
    def probes(self) -> str | None:
        """The command that this work only asks about, if it is a probe."""
        return self.command.meta.probes if self.command is not None else None


class Sent(NamedTuple):
    """Which command is sent, and how often it was before."""

    step: str
    direction: Direction
    name: str
    number: int
    generation: int
    attempt: int
    timeout: float
    wakes: bool
    """Nobody is called: a time is up."""

    @classmethod
    def of(cls, due: DueCommand) -> "Sent":
        """Return a command that is sent as soon as it is due."""
        same = (due.step, due.direction, due.name, due.number, due.generation, due.attempt, due.timeout)
        return cls(*same, wakes=due.waits)


def command_work(held: Held, sent: Sent, token: UUID, deadline: datetime) -> Work:
    """Return a claimed command with all that its handler needs, or with what keeps it from being made."""
    which = (token, held.id, sent.name, sent.attempt, sent.timeout, sent.number)
    claimed_at = deadline - timedelta(seconds=sent.timeout)
    if sent.wakes:
        return Work(*which, wakes=True, held=held, claimed_at=claimed_at)
    try:
        return Work(*which, _command(held, sent, deadline), held=held, claimed_at=claimed_at)
    except Exception as fault:  # one saga's data is not its neighbours' fault
        return Work(*which, held=held, claimed_at=claimed_at, broken=fault)


def work_of(claimed: Claimed) -> Work:
    """Return a command that was leased as it was dispatched."""
    lease = claimed.lease
    return command_work(claimed.held, Sent.of(claimed.command), lease.token, lease.timeout_at)


def _command(held: Held, sent: Sent, deadline: datetime) -> CommandInput:
    """Return what a handler is called with. Raises whatever comes of data that are no mappings."""
    pinned, at = held.definition.step(sent.step), held.progress.steps[sent.step]
    saga_id = str(held.id)
    results = {name: held.progress.steps[name].result for name in held.definition.before(sent.step)}
    if held.definition.growing:
        results.pop(FUNCTION, None)
    values: dict[str, Any] = {
        **((at.input if at.input is not None else held.progress.data) or {}),
        "saga_id": saga_id,
        "step_name": sent.step,
        "results": results,
    }
    undoes = pinned.undoes
    if sent.direction is Direction.UNDO:
        values["original_result"] = at.result
        undoes = idempotency_key(saga_id, sent.step, Direction.DO, at.generation)
    values |= pinned.input or {}
    part = held.definition.flow.part(sent.step) if held.definition.flow else None
    if part is not None and part.compensates is not None:
        made = held.progress.steps[part.compensates]
        values["original_result"] = made.result
        undoes = idempotency_key(saga_id, made.name, Direction.DO, max(made.generation, 1))
    meta = Meta(
        number=sent.number,
        key=idempotency_key(saga_id, sent.step, sent.direction, sent.generation),
        undoes=undoes,
        attempt=sent.attempt,
        deadline=deadline,
        correlation_id=held.correlation_id,
        saga_id=saga_id,
        step=sent.step,
        direction=sent.direction.value,
        probes=pinned.command(sent.direction) if at.probe else None,
    )
    return _told(held, sent, values, meta)


def _told(held: Held, sent: Sent, values: Mapping[str, Any], meta: Meta) -> CommandInput:
    """Return what the handler is called with: a subscriber and a function are told where the saga stands."""
    if held.definition.flow is not None:
        return SagaContext(sent.name, values, meta, held.definition, held.progress)
    if held.definition.growing and sent.step == FUNCTION:
        return Record(sent.name, meta, held.definition, held.progress)
    return CommandInput(sent.name, values, meta)
