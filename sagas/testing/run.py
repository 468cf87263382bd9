"""One run of a drill: a saga against its real participants, with what is to go wrong, and an honest operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from sagas import registry
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand
from sagas.core.decide import Refused
from sagas.core.definition import SagaDefinition
from sagas.core.progress import StepProgress
from sagas.core.words import Attention, Direction, StepStatus, Verdict, Waiting
from sagas.engine.work import Work
from sagas.testing.books import Books, Change, Snapshot, changes
from sagas.testing.calling import Called, Death, call_handler
from sagas.testing.play import Line, Play, asks, is_function, is_probe, is_undo
from sagas.testing.points import Act, Fate, Kind, Moment, Plan, Point
from sagas.testing.refusals import refuse_children, refuse_elsewhere
from sagas.testing.telling import note, said

#: After so many answers of an honest operator, a saga that still asks will not come to rest.
PATIENCE = 12
#: Seconds that a worker is missed before what it held is given to another.
_LEASE = 30.0


@dataclass(frozen=True)
class Made:
    """What one call changed in the participants' tables."""

    step: str
    command: str
    changes: Sequence[Change]
    undoes: bool
    """It is an undo's call, or that of a reaction that compensates another."""


@dataclass
class Run:
    """A saga that is played to its end; every call changes ``books`` for real."""

    author: Any
    data: Mapping[str, Any]
    books: Books
    plan: Plan
    aliases: tuple[str, ...]
    before: Snapshot
    saga_id: UUID
    point: Point | None = None
    """What is drilled; None: nothing goes wrong."""
    made: list[Made] = field(default_factory=list)
    asked: list[StepProgress] = field(default_factory=list)
    """Where a person was asked, as it was then."""
    commits: dict[tuple[str, Direction], int] = field(default_factory=dict)
    met: set[Any] = field(default_factory=set)
    """What of the plan has happened."""
    tables: set[str] = field(default_factory=set)
    """Which tables were written to."""
    refused: str = ""
    rests: bool = False
    """A person is rightly asked, and no verb would take it any further."""

    def __post_init__(self) -> None:
        self.play = Play(self.author, self.data, saga_id=self.saga_id)
        self.now = self.before
        self._fates = {where: list(fates) for where, fates in self.plan.fates.items()}
        self._results: dict[str, Any] = {}
        self._held_up: dict[str, Work] = {}

    def play_out(self) -> None:
        """Play to the end, or to where a person is asked who should not be."""
        for _ in range(PATIENCE):
            self.play.rest(self._answer)
            if self.play.over or not self._settle():
                break
        for step in list(self._held_up):
            self._arrive(step)

    @property
    def as_planned(self) -> bool:
        """Whether all that was to go wrong did, and every intervention took place."""
        return not self.refused and self.met >= {*self.plan.fates, *self.plan.acts}

    @property
    def called(self) -> list[str]:
        """Which steps were called, in order."""
        return list(dict.fromkeys(due.step for due in self.play.calls))

    @property
    def was_asked(self) -> bool:
        """Whether a person had to decide, and it was not the point to have one asked."""
        return self.point is not None and any(s.attention not in self.point.expects for s in self.asked)

    @property
    def whole(self) -> bool:
        """Whether a completed saga has gone all the way, with nothing left out."""
        return all(step.status is StepStatus.COMPLETED for step in self.play.progress.steps.values())

    def standing(self) -> set[str]:
        """Return the steps whose effects are left standing by all rights."""
        definition, steps = self.play.definition, self.play.progress.steps
        return {name for name, step in steps.items() if _stands(definition, name, step)}

    def _undoes(self, step: str, direction: Direction) -> bool:
        return direction is Direction.UNDO

    # What is called, and what becomes of it

    def _answer(self, due: DueCommand) -> None:
        if self.play.is_run(due):
            self._tell(self.play.run(due))
            return
        if due.waits:
            self._wait(due)
            return
        if is_probe(self.play, due):
            self._meet(due, None, self.play.say(due.step, f"ask {due.name}"))
            return
        act = self._act_at(Moment(due.step, due.direction, due.attempt))
        if act is not None:
            self._intervene(act)
            return
        fate = self._next_fate(due)
        line = self.play.say(due.step, due.name, undo=is_undo(due))
        line.marked = fate is not None
        self._meet(due, fate, line)

    def _wait(self, due: DueCommand) -> None:
        """Let the time pass for which something waited, unless an operator acts before."""
        act = self._act_at(Moment(due.step))
        if act is not None:
            self._intervene(act)
            return
        self.play.say(due.step, "the time is up")
        self._tell(m.TimeUp(due.number))

    def _next_fate(self, due: DueCommand) -> Fate | None:
        left = self._fates.get((due.step, due.direction))
        if not left:
            return None
        self.met.add((due.step, due.direction))
        return left.pop(0)

    def _meet(self, due: DueCommand, fate: Fate | None, line: Line) -> None:
        """Let a call meet its fate, and tell the saga what the engine would."""
        work = self.play.work(due)
        kind = fate.kind if fate else None
        line.became = str(kind or "")
        match kind:
            case None:
                reply = self._call(work, line).reply
                line.became = said(reply)
                self._hear(work, reply)
            case Kind.REJECTED:
                self._tell(m.Rejected(due.number, "the drill says no", _inbox(due.name)))
            case Kind.NEVER_ARRIVED:
                self._tell(m.Unknown(due.number, "the connection is refused", _inbox(due.name)))
            case Kind.HELD_UP:
                self._held_up.setdefault(due.step, work)
                self._time_out(due)
            case Kind.REPLY_LOST:
                self._call(work, line)
                self._time_out(due)
            case Kind.REPLY_LATE:
                reply = self._call(work, line).reply
                self._time_out(due)
                self._hear(work, reply)
            case Kind.TWICE:
                first, second = self._call(work, line).reply, self._call(work, line).reply
                self._hear(work, first)
                self._hear(work, second)
            case Kind.DIED_BEFORE | Kind.DIED_AFTER:
                self._die(work, fate, line)

    def _hear(self, work: Work, reply: m.Reply) -> None:
        """Take what the handler says; if it promises to answer later, let somebody outside keep the promise."""
        self._tell(reply)
        if isinstance(reply, m.Later):
            result = self.author.drill_reply(work.command)
            assert work.command is not None
            self._results[work.command.meta.step] = result
            self.play.later(1.0, lambda: self._keep_promise(work, result))

    def _keep_promise(self, work: Work, result: Any) -> None:
        assert work.command is not None
        meta = work.command.meta
        self.play.say(meta.step, work.name, "answered from outside", undo=meta.direction == "undo")
        self._tell(m.Completed(work.number, result, _inbox(work.name)))

    def _die(self, work: Work, fate: Fate | None, line: Line) -> None:
        assert fate is not None
        called = self._call(work, line, Death(fate.commit, fate.kind is Kind.DIED_AFTER))
        if not called.died:  # it has not so many commits here
            line.became = said(called.reply)
            self._hear(work, called.reply)
            return
        self.play.now += timedelta(seconds=_LEASE)
        self._tell(m.Unknown(work.number, "its worker was lost", called.reply.inbox))  # type: ignore[union-attr]

    def _call(self, work: Work, line: Line, death: Death | None = None) -> Called:
        refuse_elsewhere(self.play.definition.saga_type, [work.name])
        refuse_children(self.play.definition)  # a function asks for them as it runs
        called = call_handler(work, self.aliases, death)
        after = self.books.again(self.now, called.watch.tables, called.watch.blind)
        made = changes(self.now, after)
        self.tables |= called.watch.tables
        self.now = after
        assert work.command is not None
        meta = work.command.meta
        direction = Direction(meta.direction)
        self.made.append(Made(meta.step, work.name, made, self._undoes(meta.step, direction)))
        self.commits[meta.step, direction] = max(
            self.commits.get((meta.step, direction), 0), called.watch.commits
        )
        line.notes += made
        if isinstance(called.reply, m.Completed) and direction is Direction.DO:
            self._results[meta.step] = called.reply.result
        return called

    def _time_out(self, due: DueCommand) -> None:
        self.play.now += timedelta(seconds=due.timeout)
        self._tell(m.Unknown(due.number, f"no reply within {due.timeout:g} s", _inbox(due.name)))

    def _arrive(self, step: str) -> None:
        """Let a command that was held up reach its participant after all."""
        work = self._held_up.pop(step)
        line = self.play.say(step, work.name)
        line.marked = True
        reply = self._call(work, line).reply
        line.became = f"arrived only now: {said(reply)}"
        self._tell(reply)

    def _tell(self, message: m.Message) -> None:
        for event in self.play.tell(message):
            note(self.play, event)
            if isinstance(event, e.StepCompleted):
                act = self._act_at(Moment(event.step, completed=True))
                if act is not None:
                    self._intervene(act)
            if isinstance(event, e.StepCompensated) and event.step in self._held_up:
                self._arrive(event.step)

    # Who intervenes

    def _act_at(self, moment: Moment) -> Act | None:
        here = (act for act in self.plan.acts if act.moment == moment and act not in self.met)
        return next(here, None)

    def _intervene(self, act: Act) -> None:
        self.met.add(act)
        step = act.moment.step
        result = self._results.get(step) if act.outcome is Verdict.DONE else None
        words = " ".join(filter(None, (act.verb, act.outcome and act.outcome.value)))
        line = self.play.say(step if act.verb != "compensate" else "", f"an operator: {words}")
        line.marked = True
        try:
            self._tell(act.message(step, result))
        except Refused as no:
            self.refused = line.became = str(no)

    def _settle(self) -> bool:
        """Answer as an honest operator would who knows what happened; False: there is nobody to answer."""
        if self.play.progress.paused:
            self.play.say("", "an operator: resume")
            self._tell(m.Resume())
            return True
        asking = asks(self.play)
        if not asking:
            return self._let_people_answer()
        step = asking[0]
        self.asked.append(step)
        if not self._rightly_asks(step):
            return False
        act = self._act_at(Moment(step.name, parked=True))
        if act is not None:
            self._intervene(act)
            return True
        verb = self._verdict(step)
        self.rests = verb is None
        if verb is not None:
            self.play.say(step.name, f"an operator: {_verb(verb)}")
            self._tell(verb)
        return not self.rests

    def _rightly_asks(self, step: StepProgress) -> bool:
        """Whether a person has to decide here by all rights."""
        point, definition = self.point, self.play.definition  # of a function, which may have gone another way
        if point is None:
            return False
        pinned, own = definition.step(step.name), step.name == point.step
        match step.attention:
            case Attention.CANNOT_UNDO:
                return True
            case Attention.MISCONFIGURED if is_function(definition, step.name):
                return point.failure == "skip"  # without the step's result it may not know what to do
            case Attention.OUTCOME_UNKNOWN:
                return own and not step.inbox
            case Attention.HELD | Attention.RETRIES_SPENT:
                return (own or not point.own) and (pinned.hold or self._passed)
            case code:
                return own and code in point.expects

    @property
    def _passed(self) -> bool:
        """Whether there is no way back any more."""
        pivot = self.play.definition.pivot
        return pivot is not None and self.play.step(pivot.name).status is StepStatus.COMPLETED

    def _let_people_answer(self) -> bool:
        """Approve what waits for people, if anything does; an operator may be planned to act before."""
        waiting = [s for s in self.play.progress.steps.values() if s.waiting is Waiting.APPROVAL]
        if not waiting:
            return False
        step = waiting[0]
        act = self._act_at(Moment(step.name))
        if act is not None:
            self._intervene(act)
            return True
        where = (step.name, Direction.DO)
        fates = self._fates.get(where)
        kind = fates.pop(0).kind if fates else None
        if kind:
            self.met.add(where)
        self._answer_approval(step, kind)
        return True

    def _answer_approval(self, step: StepProgress, kind: Kind | None) -> None:
        line = self.play.say(step.name, "people are asked", "approved")
        line.marked = kind is not None
        if kind is Kind.REJECTED:
            line.became = "rejected"
            self._tell(m.Reject(step.name, "the drill says no", by="somebody"))
        elif kind is Kind.NOBODY_CAME and step.number is not None:
            line.became = str(kind)
            self.play.now = max(self.play.now, step.due_at or self.play.now)
            self._tell(m.TimeUp(step.number))
        else:
            for nth in range(1, (step.asked or {}).get("people", 1) + 1):
                self._tell(m.Approve(step.name, by=f"person {nth}", person=str(nth)))

    def _verdict(self, step: StepProgress) -> m.Verb | None:
        match step.attention:
            case Attention.COMPENSATION_FAILED:
                return m.Retry(step.name)
            case Attention.OUTCOME_UNKNOWN if step.name in self._results:
                return m.Resolve(step.name, Verdict.DONE, self._results[step.name], "it is done")
            case Attention.OUTCOME_UNKNOWN:
                return m.Resolve(step.name, Verdict.NONE, None, "nothing was done")
            case Attention.CANNOT_UNDO | Attention.LATE_EFFECT:
                return m.Resolve(step.name, Verdict.WAIVED, None, "it stands")
        return m.Retry(step.name) if self._passed else m.Compensate("an operator rolls back")


def _stands(definition: SagaDefinition, name: str, step: StepProgress) -> bool:
    passed_by = definition.step(name).compensation is None and step.status is StepStatus.COMPLETED
    return step.standing or passed_by


def _verb(verb: m.Verb) -> str:
    outcome = f" {verb.outcome.value}" if isinstance(verb, m.Resolve) else ""
    return f"{type(verb).__name__.lower()}{outcome}"


def _inbox(name: str) -> bool:
    handler = registry.handler(name)
    return handler.inbox if handler else False
