"""One saga in memory: the same decisions as in earnest, and a clock that is moved instead of waited for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone

from sagas import registry
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, due_command, own_wake
from sagas.core.decide import drafted
from sagas.core.definition import FUNCTION, SagaDefinition
from sagas.core.ids import uuid7
from sagas.core.progress import DEADLINE, Progress, StepProgress
from sagas.core.words import TERMINAL, Direction, Waiting
from sagas.engine import call
from sagas.engine.work import Sent, Work, command_work
from sagas.orchestrator.loading import Held
from sagas.orchestrator.start import check_data, check_names, definition_for

#: More than any saga needs to come to rest; a play must end even if the saga would go in circles.
MANY = 5_000


@dataclass
class Line:
    """Something that happened, for people to read."""

    at: timedelta
    """Since the saga's start."""
    step: str
    what: str
    """The command that was called, or what else happened."""
    became: str = ""
    undo: bool = False
    notes: list[Any] = field(default_factory=list)
    """What it changed, for instance."""
    marked: bool = False
    """It is what went wrong on purpose."""


@dataclass
class Clock:
    """A clock that is moved instead of waited for."""

    now: datetime


def author_of(saga: Any) -> Any:
    """Return the saga author's object for a class, an object or a type's name. Raises LookupError."""
    if isinstance(saga, str):
        author = registry.saga_type(saga)
        if author is None:
            known = ", ".join(sorted(registry.saga_types())) or "none"
            raise LookupError(f"There is no saga type {saga!r}; defined are: {known}.")
        return author
    return saga() if isinstance(saga, type) else saga


class Play:
    """A saga that has started, where it stands, and what happened to it.

    Raises Invalid for data that the type does not accept.
    """

    def __init__(
        self,
        author: Any,
        data: Mapping[str, Any],
        *,
        saga_id: UUID | None = None,
        within: "Play | None" = None,
        path: str = "",
        definition: SagaDefinition | None = None,
    ) -> None:
        """Start it: by itself, or ``within`` the time of another, in whose lines it is told under a ``path``.

        Without a ``definition`` it is the author's.
        """
        checked = check_data(author, data) if definition is None else data
        self.id = saga_id or uuid7()
        self.path = path
        self.definition: SagaDefinition = definition or definition_for(author, checked)
        if within is None and definition is None:
            check_names(self.definition, checked)
        self.progress = Progress.blank(self.definition)
        self._clock: Clock = within._clock if within else Clock(timezone.now())
        self.began: datetime = within.began if within else self.now
        self.events: list[e.Event] = []
        self.lines: list[Line] = within.lines if within else []
        self._inherited = within._correlation_id() if within else ""
        self.calls: list[DueCommand] = []
        self._coming: list[tuple[datetime, int, Callable[[], None]]] = []
        self._turn = count()
        self.tell(m.Start(checked))

    @property
    def now(self) -> datetime:
        """The time, which is that of all who are played together."""
        return self._clock.now

    @now.setter
    def now(self, moment: datetime) -> None:
        self._clock.now = moment

    @property
    def next_at(self) -> datetime | None:
        """When the next thing happens, if anything does."""
        due = self.due()
        moments = [moment for moment, _, _ in self._coming] + ([due.due_at] if due else [])
        return min(moments, default=None)

    def tell(self, message: m.Message) -> tuple[e.Event, ...]:
        """Tell it a message; return what that decided. Raises Refused for a verb that does not apply."""
        draft = drafted(self.definition, self.progress, message, m.Now(self.now))
        self.definition, self.progress = draft.definition, draft.progress
        self.events += draft.events
        return tuple(draft.events)

    def step(self, name: str) -> StepProgress:
        """Return where a step stands."""
        return self.progress.steps[name]

    @property
    def over(self) -> bool:
        """Whether the saga is completed or failed."""
        return self.progress.state in TERMINAL

    def later(self, after: float, happening: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        self._coming.append((self.now + timedelta(seconds=after), next(self._turn), happening))

    def due(self) -> DueCommand | None:
        """Return what is due next, a call or the end of a wait, if there is anything."""
        return min(self._all_due(), key=lambda each: (each.due_at, each.number), default=None)

    def _all_due(self) -> list[DueCommand]:
        if self.progress.paused:
            return []
        found = [due_command(self.definition, step) for step in self.progress.steps.values()]
        return [each for each in (*found, own_wake(self.definition, self.progress)) if each]

    @property
    def idle(self) -> bool:
        """Whether nothing happens any more but by somebody outside, or because nobody outside has come."""
        return not self._coming and all(self.is_patience(due) for due in self._all_due())

    def is_patience(self, due: DueCommand) -> bool:
        """Whether what is due is the end of the patience with somebody outside, or with the saga itself."""
        if not due.step:
            return due.number == DEADLINE
        return self.step(due.step).waiting in (Waiting.APPROVAL, Waiting.REPLY)

    def move(self, answer: Callable[[DueCommand], None], until: datetime | None = None) -> bool:
        """Let the next thing happen: what was to come, or the next call. False: nothing happens any more."""
        coming = min(self._coming, default=None)
        due = self.due()
        if coming and (due is None or coming[0] <= due.due_at):
            if until is not None and coming[0] > until:
                return False
            self._coming.remove(coming)
            self.now = max(self.now, coming[0])
            coming[2]()
            return True
        if due is None or (until is not None and due.due_at > until):
            return False
        self.now = max(self.now, due.due_at)
        if not (due.waits or self.is_run(due)):
            self.calls.append(due)
        answer(due)
        return True

    def rest(self, answer: Callable[[DueCommand], None], until: datetime | None = None) -> None:
        """Play until only somebody outside can go on, or until a moment. Raises RuntimeError if it never rests."""
        for _ in range(MANY):
            if (until is None and self.idle) or not self.move(answer, until):
                break
        else:
            raise RuntimeError(f"the saga does not come to rest: {len(self.calls)} commands were called")
        if until is not None:
            self.now = max(self.now, until)

    def say(self, step: str, what: str, became: str = "", *, undo: bool = False) -> Line:
        """Note something that happened."""
        named = f"{self.path}{step}" if step else self.path.rstrip("/")
        line = Line(self.now - self.began, named, what, became, undo)
        self.lines.append(line)
        return line

    def work(self, due: DueCommand) -> Work:
        """Return what the engine would give to the command's handler."""
        names = (due.step, due.direction, due.name, due.number, due.generation, due.attempt)
        sent = Sent(*names, due.timeout, due.waits)
        saga_type = self.definition.saga_type
        held = Held(self.id, saga_type, self._correlation_id(), self.definition, self.progress, {}, {})
        work = command_work(held, sent, uuid4(), self.now + timedelta(seconds=due.timeout))
        if work.broken is not None:
            raise work.broken
        return work

    def is_run(self, due: DueCommand) -> bool:
        """Whether what is due is a run of the saga's function, and no participant's."""
        return is_function(self.definition, due.step)

    def run(self, due: DueCommand) -> m.Reply:
        """Run the saga's function, as the engine would; return what came of it."""
        work = self.work(due)
        try:
            function, record, _ = call.call_of(work)
        except call.Unserved as fault:
            return call.reply_to(work, None, fault)
        return call.reply_to(work, function(record), None)

    def _correlation_id(self) -> str:
        if self._inherited:
            return self._inherited
        value = (self.progress.data or {}).get("correlation_id")
        return value if isinstance(value, str) and value else str(self.id)


def is_function(definition: SagaDefinition, step: str) -> bool:
    """Whether a step is a durable function."""
    return definition.growing and step == FUNCTION


def asks(play: Play) -> list[StepProgress]:
    """Return the steps at which a person is asked, the most urgent first."""
    found = [step for step in play.progress.steps.values() if step.attention]
    return sorted(found, key=lambda step: step.attention != play.progress.attention)


def is_probe(play: Play, due: DueCommand) -> bool:
    """Whether the call only asks what became of a command."""
    return play.step(due.step).probe > 0


def is_undo(due: DueCommand) -> bool:
    """Whether the command is a compensation's."""
    return due.direction is Direction.UNDO
