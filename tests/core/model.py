"""A saga's whole world in memory: the machine, its due work under leases, its participants, its operator.

A :class:`World` is driven by faults: whatever a network, a worker, a participant or a person
may do, in any order. It records all that was decided, and shows each decision to its watchers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, auto

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed, idempotency_key
from sagas.core.decide import Refused, decide
from sagas.core.definition import SagaDefinition
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import FORWARD, TERMINAL, Attention, Direction, StepStatus, Verdict

from .participants import Participant, Request

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SAGA = "saga"
#: A world that has not come to rest after so many moves never will.
LIMIT = 2_000

Watcher = Callable[["World", Progress, m.Message, tuple[e.Event, ...]], None]


class Fault(Enum):
    """What may happen next; each is aimed at one of the things that it may happen to."""

    WORK = auto()
    """A worker claims a command, the participant executes it, the reply arrives."""
    CLAIM = auto()
    EXECUTE = auto()
    EXECUTE_AGAIN = auto()
    """The request is repeated: it arrives, and stays on its way."""
    DROP = auto()
    """The request never arrives: the worker crashed before the effect."""
    DELIVER = auto()
    DELIVER_AGAIN = auto()
    LOSE = auto()
    """The reply is lost: the worker crashed after the effect."""
    LEASE_LOST = auto()
    """Time-out or crash: the outcome of the attempt is unknown, and it may go on all the same."""
    UNSERVED = auto()
    RETRY = auto()
    SKIP = auto()
    RESOLVE = auto()
    COMPENSATE = auto()
    EDIT = auto()
    PAUSE = auto()
    RESUME = auto()
    APPROVE = auto()
    REJECT = auto()
    DENY = auto()
    """The operator says, without looking, that it had no effect."""


CLICKS = (
    *(Fault.RETRY, Fault.SKIP, Fault.RESOLVE, Fault.COMPENSATE, Fault.EDIT),
    *(Fault.PAUSE, Fault.RESUME, Fault.APPROVE, Fault.REJECT),
)
DELIVERY = tuple(fault for fault in Fault if fault not in {*CLICKS, Fault.UNSERVED, Fault.DENY})


@dataclass
class Due:
    """A row of due work, and the lease on it."""

    command: DueCommand
    token: int | None = None


@dataclass
class World:
    """One saga and all that it touches."""

    definition: SagaDefinition
    participants: Mapping[str, Participant]
    watchers: list[Watcher] = field(default_factory=list)
    progress: Progress = field(init=False)
    log: list[e.Event] = field(default_factory=list, repr=False)
    due: dict[int, Due] = field(default_factory=dict, repr=False)
    requests: list[Request] = field(default_factory=list, repr=False)
    sent: list[Request] = field(default_factory=list, repr=False)
    """Every attempt that a worker ever claimed."""
    replies: list[tuple[int, m.Reply]] = field(default_factory=list, repr=False)
    verdicts: list[tuple[int, m.Verb]] = field(default_factory=list, repr=False)
    """What the operator settled, and the sequence at which."""
    clock: datetime = EPOCH
    _tokens: int = 0

    def __post_init__(self) -> None:
        self.progress = Progress.blank(self.definition)

    # The machine

    def start(self) -> "World":
        """Begin."""
        self.tell(m.Start({"order": 1}))
        return self

    def tell(self, message: m.Message) -> tuple[e.Event, ...]:
        """Have a message decided and recorded, and the due work brought in line, as one commit does."""
        before = self.progress
        now = m.Now(self.clock, 1.0, frozenset(number for number, row in self.due.items() if row.token))
        events = decide(self.definition, before, message, now)
        self.progress = fold(before, events)
        self.log += events
        for gone, command in changed(self.definition, before, self.progress):
            if gone is not None:
                del self.due[gone]
            if command is not None:
                self.due[command.number] = Due(command)
        for watch in self.watchers:
            watch(self, before, message, events)
        return events

    def click(self, verb: m.Verb) -> bool:
        """Let the operator try a verb; say whether it applied."""
        sequence = self.progress.sequence
        try:
            events = self.tell(verb)
        except Refused:
            return False
        if events and isinstance(verb, m.Resolve | m.Skip):
            self.verdicts.append((sequence, verb))
        return True

    def key(self, step: StepProgress, direction: Direction = Direction.DO) -> str:
        """Return the key of the step's latest command in a direction."""
        generation = step.generation if direction is Direction.DO else step.undo_generation
        return idempotency_key(SAGA, step.name, direction, generation)

    # What happens to it

    def apply(self, fault: Fault, which: int = 0) -> None:
        """Let one thing happen; nothing, if there is nothing that it could happen to."""
        self.clock += timedelta(seconds=1)
        if fault in CLICKS or fault is Fault.DENY:
            self._click(fault, self.definition.names[which % len(self.definition.names)])
            return
        things = self._targets(fault)
        if things:
            _HAPPEN[fault](self, things[which % len(things)])

    def suffer(self, schedule: Iterable[tuple[Fault, int]]) -> "World":
        """Let one thing happen after the other."""
        for fault, which in schedule:
            self.apply(fault, which)
        return self

    def run_to_rest(self) -> "World":
        """Let no more faults happen: all that is under way arrives, all that is due is done."""
        order = (Fault.EXECUTE, Fault.DELIVER, Fault.LEASE_LOST, Fault.WORK)
        for _ in range(LIMIT):
            fault = next((fault for fault in order if self._targets(fault)), None)
            if fault is None:
                return self
            self.apply(fault)
        raise AssertionError("this world never comes to rest")

    def tidy(self) -> "World":
        """Let an honest operator settle, one by one, all that asks for a person."""
        for _ in range(LIMIT):
            self.run_to_rest()
            asking = next((step for step in self.progress.steps.values() if step.attention), None)
            if self.progress.paused and self.progress.state not in TERMINAL:
                assert self.click(m.Resume())
            elif asking is None:
                return self
            else:
                verb = self.cure(asking)
                assert self.click(verb), f"{verb} was refused"
        raise AssertionError("this operator is never done")

    def _targets(self, fault: Fault) -> list[int]:
        """Return what a fault could hit: positions, or numbers of due commands."""
        match fault:
            case Fault.WORK | Fault.CLAIM:
                paused = self.progress.paused
                return [number for number, row in self.due.items() if not row.token and not paused]
            case Fault.LEASE_LOST | Fault.UNSERVED:
                return [number for number, row in self.due.items() if row.token]
            case Fault.EXECUTE | Fault.EXECUTE_AGAIN | Fault.DROP:
                return list(range(len(self.requests)))
            case _:
                return list(range(len(self.replies)))

    def _work(self, number: int) -> None:
        self._claim(number)
        self._execute(len(self.requests) - 1)
        self._deliver(len(self.replies) - 1)

    def _claim(self, number: int) -> None:
        row = self.due[number]
        self.clock = max(self.clock, row.command.due_at)
        self._tokens += 1
        row.token = self._tokens
        step, direction = self.progress.steps[row.command.step], row.command.direction
        undoes = self.key(step) if direction is Direction.UNDO else None
        key = idempotency_key(SAGA, step.name, direction, row.command.generation)
        self.requests.append(Request(step.name, direction, number, key, undoes, row.token))
        self.sent.append(self.requests[-1])

    def _execute(self, position: int) -> None:
        self._execute_again(position)
        del self.requests[position]

    def _execute_again(self, position: int) -> None:
        request = self.requests[position]
        self.replies.append((request.token, self.participants[request.step].execute(request)))

    def _drop(self, position: int) -> None:
        del self.requests[position]

    def _deliver(self, position: int) -> None:
        self._hear(*self.replies.pop(position))

    def _deliver_again(self, position: int) -> None:
        self._hear(*self.replies[position])

    def _lose(self, position: int) -> None:
        del self.replies[position]

    def _hear(self, token: int, reply: m.Reply) -> None:
        row = self.due.get(reply.number)
        holds = row is not None and row.token == token
        if row is not None and holds:
            row.token = None
        if holds or isinstance(reply, m.Completed | m.Rejected):
            self.tell(reply)  # an unknown outcome counts only from the attempt that is awaited

    def _lease_lost(self, number: int) -> None:
        inbox = self.participants[self.due[number].command.step].inbox
        self._hear(self.due[number].token or 0, m.Unknown(number, "the lease was lost", inbox=inbox))

    def _unserved(self, number: int) -> None:
        token = self.due[number].token or 0
        on_its_way = [request for request in self.requests if request.token == token]
        if on_its_way and not any(held == token for held, _ in self.replies):
            self.requests.remove(on_its_way[0])
            self._hear(token, m.Unserved(number, "nobody serves it"))

    # The operator

    def _click(self, fault: Fault, step: str) -> None:
        match fault:
            case Fault.RESOLVE:
                verdict = self.truth(self.progress.steps[step])
                if verdict:
                    self.click(m.Resolve(step, verdict, result={"by": "operator"}))
            case Fault.DENY:
                self.click(m.Resolve(step, Verdict.NONE))
            case Fault.COMPENSATE:
                self.click(m.Compensate("enough"))
            case Fault.EDIT:
                self.click(m.Edit({"order": 2}))
            case Fault.PAUSE | Fault.RESUME:
                self.click(m.Pause() if fault is Fault.PAUSE else m.Resume())
            case _:
                verbs: dict[Fault, Callable[[str], m.Verb]] = {
                    Fault.RETRY: m.Retry,
                    Fault.SKIP: m.Skip,
                    Fault.APPROVE: m.Approve,
                    Fault.REJECT: m.Reject,
                }
                self.click(verbs[fault](step))

    def truth(self, step: StepProgress) -> Verdict | None:
        """Return what an honest operator says of a step; None while nobody can know."""
        key = self.key(step)
        stands = self.participants[step.name].stands(key)
        if step.attention is Attention.LATE_EFFECT:
            return Verdict.WAIVED
        undoing = step.status is StepStatus.COMPENSATING or step.attention is Attention.CANNOT_UNDO
        if stands:
            return Verdict.WAIVED if undoing else Verdict.DONE
        if any(request.key == key for request in self.requests):
            return None
        return Verdict.DONE if undoing else Verdict.NONE

    def cure(self, step: StepProgress) -> m.Verb:
        """Return what settles a step that asks for a person, for good."""
        if step.attention is Attention.HELD and self.progress.state in FORWARD:
            return m.Skip(step.name)
        verdict = self.truth(step)
        assert verdict
        return m.Resolve(step.name, verdict)

    def settled(self, name: str) -> set[str]:
        """Return what the operator ever said of a step."""
        said = {
            verb.outcome.value
            for _, verb in self.verdicts
            if isinstance(verb, m.Resolve) and verb.step == name
        }
        return said | {"skip" for _, verb in self.verdicts if isinstance(verb, m.Skip) and verb.step == name}


_HAPPEN: dict[Fault, Callable[[World, int], None]] = {
    Fault.WORK: World._work,
    Fault.CLAIM: World._claim,
    Fault.EXECUTE: World._execute,
    Fault.EXECUTE_AGAIN: World._execute_again,
    Fault.DROP: World._drop,
    Fault.DELIVER: World._deliver,
    Fault.DELIVER_AGAIN: World._deliver_again,
    Fault.LOSE: World._lose,
    Fault.LEASE_LOST: World._lease_lost,
    Fault.UNSERVED: World._unserved,
}
