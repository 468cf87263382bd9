"""One saga in a run of a drill: its participants are called, what is to go wrong does, an operator is honest."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from sagas import registry
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand
from sagas.core.decide import Refused
from sagas.core.definition import SagaDefinition
from sagas.core.progress import StepProgress
from sagas.core.waits import OF_CHILDREN
from sagas.core.words import Attention, Direction, StepStatus, Verdict, Waiting
from sagas.engine.work import Work
from sagas.testing.calling import Called, Death, Watch, call_handler
from sagas.testing.play import Line, Play, is_function, is_probe
from sagas.testing.points import Act, Fate, Kind, Moment
from sagas.testing.refusals import refuse_elsewhere
from sagas.testing.telling import note, said
from sagas.testing.world import Made, World

#: Seconds that a worker is missed before what it held is given to another.
_LEASE = 30.0


class Asked(NamedTuple):
    """Where a person was asked, as it was then."""

    run: "Run"
    step: StepProgress

    @property
    def name(self) -> str:
        """What the step is called among all of the family."""
        return self.run.full(self.step.name)

    @property
    def attention(self) -> Attention | None:
        """For what."""
        return self.step.attention


class Kin(Protocol):
    """The family that a saga is played in, as the saga knows it."""

    asked: list[Asked]
    """Where a person was asked so far, of whichever saga."""

    def answer(self, run: "Run", work: Work) -> m.Reply:
        """Answer what is no participant's to answer: a child's begin, and its undo."""

    def ended(self, run: "Run") -> None:
        """Hear that a saga has ended."""

    def intervene(self, act: Act) -> None:
        """Let an operator act, on the saga whose step it is about."""


class Run:
    """One saga that is played; every call changes the tables for real."""

    parks = False
    """What is parked asks a person, though that be the point."""

    def __init__(self, world: World, kin: Kin, author: Any, play: Play, *, undoing: bool = False) -> None:
        self.world = world
        self.author = author
        self.play = play
        self.undoing = undoing
        """It undoes a child that is completed: its actions are that one's undos."""
        self._kin = kin
        self._results: dict[str, Any] = {}
        self._unheard: dict[str, Work] = {}
        """Actions whose promise to answer later was lost on its way to us."""
        self._held_up: dict[str, Work] = {}

    @property
    def called(self) -> list[str]:
        """Which steps were called, in order."""
        return list(dict.fromkeys(due.step for due in self.play.calls))

    @property
    def whole(self) -> bool:
        """Whether a completed saga has gone all the way, with nothing left out."""
        return all(step.status is StepStatus.COMPLETED for step in self.play.progress.steps.values())

    def standing(self) -> set[str]:
        """Return the steps whose effects are left standing by all rights."""
        definition, steps = self.play.definition, self.play.progress.steps
        return {self.full(name) for name, step in steps.items() if _stands(definition, name, step)}

    def full(self, step: str) -> str:
        """Return what a step is called among all of the family."""
        return f"{self.play.path}{step}"

    def _where(self, step: str, direction: Direction | str) -> tuple[str, Direction]:
        return self.full(step), Direction.UNDO if self.undoing else Direction(direction)

    def undoes(self, step: str, direction: Direction) -> str | None:
        """Return the step whose effect a call takes back, if it does."""
        name, way = self._where(step, direction)
        return name if way is Direction.UNDO else None

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
        act = self.world.act_at(Moment(*self._where(due.step, due.direction), due.attempt))
        if act is not None:
            self._kin.intervene(act)
            return
        fate = self._next_fate(due)
        line = self.play.say(due.step, due.name, undo=self.undoes(due.step, due.direction) is not None)
        line.marked = fate is not None
        self._meet(due, fate, line)

    def _wait(self, due: DueCommand) -> None:
        """Let the time pass for which something waited, unless an operator acts before."""
        act = self.world.act_at(Moment(self.full(due.step)))
        if act is not None:
            self._kin.intervene(act)
            return
        self.play.say(due.step, "the time is up")
        self._tell(m.TimeUp(due.number))

    def _next_fate(self, due: DueCommand) -> Fate | None:
        return self.world.next_fate(self._where(due.step, due.direction))

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
            case Kind.CALLED_BACK_LATE | Kind.CALLED_BACK_TWICE:
                self._hear(work, self._call(work, line).reply, kind)
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

    def _hear(self, work: Work, reply: m.Reply, kind: Kind | None = None) -> None:
        """Take what the handler says; if it promises to answer later, let somebody outside keep the promise."""
        self._tell(reply)
        if not isinstance(reply, m.Later) or work.name in OF_CHILDREN:
            return
        assert work.command is not None
        assert reply.within is not None  # only a child may take as long as it likes
        meta = work.command.meta
        self.world.promised.add(self._where(meta.step, meta.direction))
        self._unheard.pop(meta.step, None)
        answer = self._from_outside(work)
        if isinstance(answer, m.Completed) and not meta.undoes:
            self._results[meta.step] = answer.result
        late = answer is None or kind is Kind.CALLED_BACK_LATE
        for nth in range(2 if kind is Kind.CALLED_BACK_TWICE else 1):
            after = 1.0 + nth + (reply.within if late else 0.0)
            self.play.later(after, lambda: self._keep_promise(work, answer))

    def _from_outside(self, work: Work) -> m.Reply | None:
        """Return what is to come from outside for a command that was taken on; None: nothing ever does."""
        if self.world.elsewhere.serves(work.name):
            reply = self.world.elsewhere.answer_to(work)
            return self._compared(work, reply) if reply is not None else None
        inbox = _inbox(work.probes or work.name)  # a probe tells of a promise that is the command's
        return m.Completed(work.number, self.author.drill_reply(work.command), inbox)

    def _keep_promise(self, work: Work, answer: m.Reply | None) -> None:
        if answer is None or work.command is None:
            return
        meta = work.command.meta
        name = work.probes or work.name
        self.play.say(meta.step, name, "answered from outside", undo=meta.direction == "undo")
        self._tell(answer)

    def _die(self, work: Work, fate: Fate | None, line: Line) -> None:
        assert fate is not None
        inbox = _inbox(work.name)
        if work.name in OF_CHILDREN or self.world.elsewhere.serves(work.name):
            if (
                fate.kind is Kind.DIED_AFTER
            ):  # they are no part of the process that dies: it has sent it, or not
                self._call(work, line)
        else:
            called = self._call(work, line, Death(fate.commit, fate.kind is Kind.DIED_AFTER))
            if not called.died:  # it has not so many commits here
                line.became = said(called.reply)
                self._hear(work, called.reply)
                return
        self.play.now += timedelta(seconds=_LEASE)
        self._tell(m.Unknown(work.number, "its worker was lost", inbox))

    def _call(self, work: Work, line: Line, death: Death | None = None) -> Called:
        if work.name in OF_CHILDREN:
            return Called(self._kin.answer(self, work), Watch())
        refuse_elsewhere(self.play.definition.saga_type, [work.name], self.world.elsewhere.serves)
        called = call_handler(work, self.world.aliases, death)
        assert work.command is not None
        meta = work.command.meta
        where = self._where(meta.step, meta.direction)
        made = Made(where[0], self._told(work), self.undoes(meta.step, Direction(meta.direction)))
        line.notes += self.world.note(made, where, called.watch)
        if isinstance(called.reply, m.Completed) and where[1] is Direction.DO:
            self._results[meta.step] = called.reply.result
        if isinstance(called.reply, m.Later) and where[1] is Direction.DO:
            self._unheard[meta.step] = work
        if self.world.elsewhere.serves(work.name):
            self._compared(work, called.reply)
        return called

    def _compared(self, work: Work, reply: m.Reply) -> m.Reply:
        """Compare an answer from elsewhere, where nobody looks into the tables, with those before it."""
        if work.command is not None and isinstance(reply, m.Completed | m.Rejected) and reply.inbox:
            self.world.compare(work.command.meta.key, self._told(work), reply)
        return reply

    def _told(self, work: Work) -> str:
        """Return what a call is named by where it is about several sagas."""
        return f"{work.name} of its child {self.play.definition.saga_type}" if self.play.path else work.name

    def _time_out(self, due: DueCommand) -> None:
        self.play.now += timedelta(seconds=due.timeout)
        self._tell(m.Unknown(due.number, f"no reply within {due.timeout:g} s", _inbox(due.name)))

    def _arrive(self, step: str) -> None:
        """Let a command that was held up reach its participant after all."""
        work = self._held_up.pop(step)
        line = self.play.say(step, work.name)
        line.marked = True
        known = self.world.answers.copy()
        reply = self._call(work, line).reply
        line.became = f"arrived only now: {said(reply)}"
        self._expect_a_tombstone(work, reply, known)
        self._tell(reply)

    def _expect_a_tombstone(self, work: Work, reply: m.Reply, known: Mapping[str, m.Reply]) -> None:
        """Mind what is done elsewhere for the first time when it is undone already: nobody looks into the tables."""
        assert work.command is not None
        meta = work.command.meta
        undone = self.play.step(meta.step).status is StepStatus.COMPENSATED and meta.key not in known
        if undone and isinstance(reply, m.Completed) and self.world.elsewhere.serves(work.name):
            told = f"{self._told(work)} was done, though it arrived after its own undo"
            self.world.untrue.append(f"{told}: an undo that finds nothing has to leave a tombstone.")

    def _tell(self, message: m.Message) -> None:
        before = self.play.over
        for event in self.play.tell(message):
            note(self.play, event)
            if isinstance(event, e.StepCompleted) and not self.undoing:
                act = self.world.act_at(Moment(self.full(event.step), completed=True))
                if act is not None:
                    self._kin.intervene(act)
            if isinstance(event, e.StepCompensated) and event.step in self._held_up:
                self._arrive(event.step)
        if self.play.over and not before:
            self._kin.ended(self)

    def move(self) -> None:
        """Let the next thing happen."""
        self.play.move(self._answer)

    def hear_of_child(self, reply: m.Reply) -> None:
        """Take what has become of a child, or of its undo."""
        self._tell(reply)

    def roll_back(self, why: str) -> None:
        """Roll back with its parent. Raises Refused."""
        self._tell(m.Compensate(why))

    def let_arrive(self) -> None:
        """Let the commands that are still on their way reach their participants, when everything is over."""
        for step in list(self._held_up):
            self._arrive(step)

    # Who intervenes

    def intervene(self, act: Act, step: str) -> None:
        """Let an operator do what is planned, about a step of this saga."""
        self.world.met.add(act)
        result = self._looked_up(step, act.moment.direction) if act.outcome is Verdict.DONE else None
        words = " ".join(filter(None, (act.verb, act.outcome and act.outcome.value)))
        line = self.play.say(step if act.verb != "compensate" else "", f"an operator: {words}")
        line.marked = True
        try:
            self._tell(act.message(step, result))
        except Refused as no:
            self.world.refused = line.became = str(no)

    def _looked_up(self, step: str, direction: Direction) -> Any:
        """Return what an operator finds to have come of a step; what was promised has come from outside by then."""
        work = self._unheard.pop(step, None) if direction is Direction.DO else None
        answer = self._from_outside(work) if work is not None else None
        if isinstance(answer, m.Completed):
            self._results[step] = answer.result
        return self._results.get(step)

    def resume(self) -> bool:
        """Have a paused saga go on."""
        if not self.play.progress.paused:
            return False
        self.play.say("", "an operator: resume")
        self._tell(m.Resume())
        return True

    def settle(self, step: StepProgress) -> bool:
        """Answer as an honest operator would who knows what happened; False: he should not be asked, or cannot."""
        self._kin.asked.append(Asked(self, step))
        if not self._rightly_asks(step):
            return False
        act = self.world.act_at(Moment(self.full(step.name), parked=True))
        if act is not None:
            self._kin.intervene(act)
            return True
        verb = self._verdict(step)
        self.world.rests = verb is None
        if verb is not None:
            self.play.say(step.name, f"an operator: {_verb(verb)}")
            self._tell(verb)
        return verb is not None

    def _rightly_asks(self, step: StepProgress) -> bool:
        """Whether a person has to decide here by all rights."""
        point, definition = (
            self.world.point,
            self.play.definition,
        )  # of a function, which may have gone another way
        if point is None:
            return False
        pinned, own = definition.step(step.name), self.full(step.name) == point.step
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

    def let_people_answer(self) -> bool:
        """Approve what waits for people, if anything does; an operator may be planned to act before."""
        waiting = [s for s in self.play.progress.steps.values() if s.waiting is Waiting.APPROVAL]
        if not waiting:
            return False
        step = waiting[0]
        act = self.world.act_at(Moment(self.full(step.name)))
        if act is not None:
            self._kin.intervene(act)
            return True
        fate = self.world.next_fate((self.full(step.name), Direction.DO))
        self._answer_approval(step, fate.kind if fate else None)
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
        return m.Retry(step.name) if self._passed or self.undoing else m.Compensate("an operator rolls back")


def _stands(definition: SagaDefinition, name: str, step: StepProgress) -> bool:
    passed_by = definition.step(name).compensation is None and step.status is StepStatus.COMPLETED
    return step.standing or passed_by


def _verb(verb: m.Verb) -> str:
    outcome = f" {verb.outcome.value}" if isinstance(verb, m.Resolve) else ""
    return f"{type(verb).__name__.lower()}{outcome}"


def _inbox(name: str) -> bool:
    handler = registry.handler(name)
    return handler.inbox if handler else False
