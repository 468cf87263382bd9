"""A saga's whole world in memory: the machine, its due work under leases, its participants, its operator.

A :class:`World` is driven by faults: whatever a network, a worker, a participant or a person
may do, in any order. It records all that was decided, and shows each decision to its watchers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed, due_command, idempotency_key
from sagas.core.decide import decide, drafted
from sagas.core.definition import SagaDefinition
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import TERMINAL, Attention, Direction, SagaState

from .faults import Fault
from .happenings import HAPPENINGS, Happening
from .operator import Operator
from .participants import Participant, Request, Witness
from .stored import definition_as_stored, events_as_stored

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TICK = timedelta(seconds=1)
SAGA = "saga"
#: A world that has not come to rest after so many moves never will.
LIMIT = 2_000
#: How far apart the jitter of one decision and the next are; any irrational number would do.
GOLDEN = 0.6180339887

Watcher = Callable[["World", Progress, m.Message, tuple[e.Event, ...]], None]


@dataclass
class Due:
    """A row of due work, and the lease on it."""

    command: DueCommand
    at: datetime
    """When it is due by the database's clock, which may be behind the saga's time."""
    token: int | None = None


@dataclass(eq=False)
class World:
    """One saga and all that it touches."""

    definition: SagaDefinition
    participants: Mapping[str, Participant]
    watchers: list[Watcher] = field(default_factory=list)
    delay: timedelta | None = None
    """How long after its start it begins; None: at once."""
    judge: Callable[["World", m.Verb], bool] | None = None
    """Says whether a verb has to apply."""
    progress: Progress = field(init=False)
    operator: Operator = field(init=False)
    log: list[e.Event] = field(default_factory=list, repr=False)
    due: dict[int, Due] = field(default_factory=dict, repr=False)
    requests: list[Request] = field(default_factory=list, repr=False)
    sent: list[Request] = field(default_factory=list, repr=False)
    """Every attempt that a worker ever claimed."""
    replies: list[tuple[int | None, m.Reply]] = field(default_factory=list, repr=False)
    heard: list[tuple[int | None, m.Reply]] = field(default_factory=list, repr=False)
    """Every reply that arrived."""
    vanished: set[str] = field(default_factory=set)
    """Steps whose handlers are not deployed at present."""
    called: set[int] = field(default_factory=set)
    """The leases under which the participant was called, whatever became of its answer."""
    clock: datetime = EPOCH
    """The database's."""
    tally: Counter[Fault] = field(default_factory=Counter)
    """How often each thing happened."""
    superseded: int = 0
    """How many definite replies of workers were refused, since another held the command."""
    late: int = 0
    """How many replies came too late to decide anything."""
    started: bool = False
    _tokens: int = 0
    happenings: ClassVar[Mapping[Fault, Happening]] = HAPPENINGS
    calm: ClassVar[tuple[Fault, ...]] = (
        *(Fault.EXECUTE, Fault.DELIVER, Fault.FINISH, Fault.LEASE_LOST, Fault.WORK),
    )
    """What happens anyway, the most pressing first."""

    def __post_init__(self) -> None:
        for step in self.definition.steps:
            if step.child is not None:
                self.participants[step.name].within = step.deadline
        self.progress = Progress.blank(self.definition)
        self._first = self.definition
        self.operator = Operator(self)

    # The machine

    def start(self) -> "World":
        """Begin."""
        self.apply(Fault.START)
        return self

    def show(self, witness: Witness) -> None:
        """Have each change of effects seen as it happens."""
        for participant in self.participants.values():
            participant.witness = witness

    def moment(self) -> m.Now:
        """Return what the shell tells the core of this moment: a saga's time does not run backwards."""
        before = self.progress.updated_at
        at = self.clock if before is None else max(self.clock, before)
        claimed = frozenset([number for number, row in self.due.items() if row.token])
        return m.Now(at, self.progress.sequence * GOLDEN % 1, claimed)

    def tell(self, message: m.Message) -> tuple[e.Event, ...]:
        """Have a message decided and recorded, and the due work brought in line, as one commit does."""
        before = self.progress
        self.started |= isinstance(message, m.Start)
        draft = drafted(self.definition, before, message, self.moment())
        events = tuple(draft.events)
        self.progress = draft.progress
        self._rename(draft.definition)
        self.log += events
        for gone, command in changed(self.definition, before, self.progress):
            if gone is not None:
                del self.due[gone]
            if command is not None:
                wait = command.due_at - (self.progress.updated_at or self.clock)
                self.due[command.number] = Due(command, self.clock + wait)
        for watch in self.watchers:
            watch(self, before, message, events)
        return events

    def _rename(self, definition: SagaDefinition) -> None:
        if definition is not self.definition:
            self.definition = definition
            for step in self.progress.steps.values():
                command = due_command(definition, step)
                if command is not None and command.number in self.due:
                    self.due[command.number].command = command

    def crash(self, message: m.Message) -> None:
        """Have a message decided, and die before the commit. Whoever decides it again decides the same."""
        now = self.moment()
        first = decide(self.definition, self.progress, message, now)
        assert first == decide(self.definition, self.progress, message, now), "decided otherwise, twice"

    def restart(self) -> None:
        """Forget everything, and read back what is stored."""
        again = definition_as_stored(self.definition)
        assert again == self.definition, "the pinned definition comes back as another"
        self.definition = again
        self.remember()

    def remember(self) -> None:
        """Demand that the events, as they are stored, say where the saga stands."""
        log = events_as_stored(self.log)
        told = fold(Progress.blank(self._first), log)
        assert told == self.progress, "folding the events does not give the rows"
        pinned = self._first
        for event in log:
            if isinstance(event, e.DefinitionChanged):
                assert event.before == pinned.digest, "the definition was another before"
                pinned = pinned.renamed(event.renamed)
                assert event.after == pinned.digest, "the definition is another now"
        grown = [step.grown for step in told.steps.values() if step.grown]
        whole = pinned.grown(grown) if grown else pinned
        assert whole == self.definition, "the events do not give the definition"

    def sure(self, position: int) -> bool:
        """Whether a reply is told until it is heard: the end of a child saga is due work, as any other."""
        token, reply = self.replies[position]
        steps = self.progress.steps.values()
        step = next((s for s in steps if reply.number in (s.action_number, s.undo_number)), None)
        return token is None and step is not None and self.definition.step(step.name).child is not None

    def key(self, step: StepProgress, direction: Direction = Direction.DO) -> str:
        """Return the key of the step's latest command in a direction."""
        generation = step.generation if direction is Direction.DO else step.undo_generation
        return idempotency_key(SAGA, step.name, direction, generation)

    # What happens to it

    def apply(self, fault: Fault, which: int = 0) -> bool:
        """Let one thing happen; False if there is nothing that it could happen to."""
        targets, happen = self.happenings[fault]
        things = targets(self)
        if not things:
            return False
        self.clock += TICK
        self.tally[fault] += 1
        happen(self, things[which % len(things)])
        return True

    def suffer(self, schedule: Iterable[tuple[Fault, int]]) -> "World":
        """Let one thing happen after the other."""
        for fault, which in schedule:
            self.apply(fault, which)
        return self

    def run_to_rest(self) -> "World":
        """Let no more faults happen: all that is under way arrives, all that is due is done."""
        self.vanished.clear()
        for _ in range(LIMIT):
            if not any(self.apply(fault) for fault in self.calm):
                return self
        raise AssertionError("this world never comes to rest")

    def tidy(self) -> "World":
        """Let an honest operator settle, one by one, all that asks for a person."""
        for _ in range(LIMIT):
            self.run_to_rest()
            asks = [step for step in self.progress.steps.values() if step.attention]
            # A late effect first: its subscriber's later events wait until it is settled.
            asking = min(asks, key=lambda step: step.attention is not Attention.LATE_EFFECT, default=None)
            if self.progress.paused and self.progress.state not in TERMINAL:
                assert self.operator.click(m.Resume()), "resuming was refused"
            elif asking is None:
                asked = next((step for step in self.progress.steps.values() if step.waiting), None)
                if asked is None:
                    return self
                assert self.operator.click(self.operator.approval(asked)), "approving was refused"
            else:
                verb = self.operator.cure(asking)
                assert self.operator.click(verb), f"{verb} was refused"
        raise AssertionError("this operator is never done")

    # The pieces of what happens

    @property
    def begun(self) -> bool:
        """Whether it was started, or has turned back before that."""
        return self.started or (bool(self.log) and self.progress.state is not SagaState.STARTED)

    def claim(self, number: int) -> Request:
        """Lease a command that is due to a worker, who is about to send it."""
        row = self.due[number]
        self.clock = max(self.clock, row.at)
        self._tokens += 1
        row.token = self._tokens
        if row.command.waits:
            return Request(row.command.step, row.command.direction, number, "", None, row.token, wakes=True)
        step, direction = self.progress.steps[row.command.step], row.command.direction
        undoes = self.undone_by(step, direction)
        key = idempotency_key(SAGA, step.name, direction, row.command.generation)
        data = self.progress.data if step.input is None else step.input
        request = Request(step.name, direction, number, key, undoes, row.token, data, step.probe > 0)
        if not request.probe:
            self.sent.append(request)
        return request

    def undone_by(self, step: StepProgress, direction: Direction) -> str | None:
        """Return the key of what the step's command undoes, if it undoes something."""
        return self.key(step) if direction is Direction.UNDO else None

    def execute(self, request: Request) -> None:
        """Let a request arrive, at the handler or where one should be."""
        if request.wakes:
            self.replies.append((request.token, m.TimeUp(request.number)))
        elif request.step not in self.vanished:
            self.called.add(request.token)
            self.replies.append((request.token, self.participants[request.step].execute(request)))
        elif request.token not in self.called:  # who says so has called nobody
            self.replies.append((request.token, m.Unserved(request.number, "nobody serves it")))

    def hear(self, token: int | None, reply: m.Reply) -> tuple[e.Event, ...]:
        """Take a reply from a worker under its lease, or from outside, under none."""
        self.heard.append((token, reply))
        row = self.due.get(reply.number)
        if token is not None and (row is None or row.token != token):
            # An unknown outcome counts only from the attempt that is awaited, a definite one unless another's is.
            asking = row is not None and self.progress.steps[row.command.step].probe > 0
            held = row is not None and row.token is not None and not asking
            definite = isinstance(reply, m.Completed | m.Rejected)
            self.superseded += definite and held
            if held or not definite:
                return ()
        events = self.tell(reply)
        self.late += not events
        return events
