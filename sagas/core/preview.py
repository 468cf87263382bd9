"""What a verb would do: the same decision, run and thrown away, and then played on to its likely end."""

from dataclasses import dataclass, field
from uuid import UUID

from sagas.core import messages as m
from sagas.core.commands import DueCommand, due_command, idempotency_key
from sagas.core.decide import decide, drafted
from sagas.core.definition import FUNCTION, SagaDefinition
from sagas.core.machine import fold
from sagas.core.progress import BEGINNING, Progress
from sagas.core.words import TERMINAL, Attention, SagaState, StepStatus, Waiting


@dataclass(frozen=True)
class PlannedCommand:
    """A command that would be called."""

    step: str
    direction: str
    command: str
    key: str
    repeated: bool
    """The same key was sent before: a participant with an inbox answers what it remembers."""
    asks: str | None = None
    """In a probe, the command of which it asks what became."""


@dataclass(frozen=True)
class Preview:
    """What a verb would do, before it does it."""

    state: SagaState
    """The saga's state right after the verb."""
    calls: tuple[PlannedCommand, ...]
    """Due at once."""
    then: tuple[PlannedCommand, ...]
    """What would follow, if every call succeeds."""
    awaited: tuple[str, ...]
    """Steps whose call is under way; its reply or time-out is awaited."""
    untouched: tuple[str, ...]
    """Completed steps that are not run again."""
    standing: tuple[str, ...]
    """Steps whose effect would stay after a rollback."""
    asks: tuple[str, ...] = field(default=())
    """Steps at which a person would be asked."""
    ends: SagaState | None = None
    """The state it would end in, if every call succeeds; None if a person must decide first."""


#: More than any definition has steps; a preview must end even if the machine had a fault.
_MANY = 1_000


def preview(
    definition: SagaDefinition, progress: Progress, message: m.Message, now: m.Now, saga_id: UUID
) -> Preview:
    """Return what a message would do. Raises :class:`~sagas.core.decide.Refused` where the message would be."""
    draft = drafted(definition, progress, message, now)
    after, definition, before = draft.progress, draft.definition, definition
    known = [] if isinstance(message, m.Resume) else _due(before, progress)
    calls = [c for c in _due(definition, after) if c not in known and c.number not in now.claimed]
    if definition.flow is not None:
        calls = [c for c in calls if not c.waits]
    # What follows from an event is for its subscribers to say.
    then, end = ([], after) if definition.flow is not None else _play_on(definition, after, now)
    new = {c.number for c in calls}
    return Preview(
        state=after.state,
        calls=tuple(_planned(definition, c, saga_id, progress) for c in calls),
        then=tuple(
            _planned(definition, c, saga_id, progress)
            for c in then
            if c.number not in new and c.number not in now.claimed
        ),
        awaited=tuple(s.name for s in after.steps.values() if s.scheduled and s.number in now.claimed),
        untouched=tuple(n for n in definition.names if _completed(after, n) and _completed(end, n)),
        standing=_standing(definition, end),
        asks=tuple(s.name for s in end.steps.values() if s.attention or s.waiting is Waiting.APPROVAL),
        ends=end.state if end.state in TERMINAL else None,
    )


def _completed(progress: Progress, name: str) -> bool:
    return progress.steps[name].status is StepStatus.COMPLETED


def _due(definition: SagaDefinition, progress: Progress) -> list[DueCommand]:
    return [c for step in progress.steps.values() if (c := due_command(definition, step))]


def _planned(
    definition: SagaDefinition, command: DueCommand, saga_id: UUID, before: Progress
) -> PlannedCommand:
    key = idempotency_key(saga_id, command.step, command.direction, command.generation)
    step = before.steps[command.step]
    sent = step.attempt > 1 or step.unresolved or not step.scheduled
    repeated = sent and step.number_of(command.direction) == command.number
    pinned, direction = definition.step(command.step), command.direction
    asks = pinned.command(direction) if command.name == pinned.probe_of(direction) else None
    return PlannedCommand(command.step, direction.value, command.name, key, repeated, asks)


def _play_on(definition: SagaDefinition, progress: Progress, now: m.Now) -> tuple[list[DueCommand], Progress]:
    """Answer every due command with success until nothing is due; return the commands in order, and the end.

    What people are asked is left open.
    """
    sent: list[DueCommand] = []
    if progress.begins_at is not None:
        progress = fold(progress, decide(definition, progress, m.TimeUp(BEGINNING), m.Now(now.at)))
    for _ in range(_MANY):
        due = _answerable(definition, progress)
        number = due[0].number if due else _promised(progress)
        if number is None:
            break
        sent += due[:1]
        progress = fold(progress, decide(definition, progress, m.Completed(number), m.Now(now.at)))
    return sent, progress


def _promised(progress: Progress) -> int | None:
    """Return the number of a command that is answered some time, however long it takes: by a child saga."""
    steps = progress.steps.values()
    waiting = (step for step in steps if step.waiting is Waiting.REPLY and not step.scheduled)
    return next((step.number for step in waiting), None)


def _answerable(definition: SagaDefinition, progress: Progress) -> list[DueCommand]:
    asked = {name for name, step in progress.steps.items() if step.waiting is Waiting.APPROVAL}
    if definition.growing:
        asked.add(FUNCTION)  # what comes next is for it to say
    return [command for command in _due(definition, progress) if command.step not in asked]


def _standing(definition: SagaDefinition, end: Progress) -> tuple[str, ...]:
    if end.state not in {SagaState.FAILED, SagaState.COMPENSATING}:
        return ()
    return tuple(
        name
        for name, step in end.steps.items()
        if (
            step.status is StepStatus.COMPLETED
            and not (definition.step(name).timer or definition.step(name).approval)  # they have no effect
            and (step.standing or definition.step(name).undo is None)
        )
        or step.attention is Attention.CANNOT_UNDO
    )
