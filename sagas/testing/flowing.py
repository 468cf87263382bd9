"""One run of a choreography: what subscribers publish is taken in, and what is parked is settled."""

from typing import Any

from sagas.core import messages as m
from sagas.core.commands import DueCommand
from sagas.core.context import SagaContext
from sagas.core.flow import END, Flow, Part
from sagas.core.progress import StepProgress
from sagas.core.words import FORWARD, Attention, Direction, StepStatus, Verdict
from sagas.engine.work import Work
from sagas.models import Definition, Due, Saga
from sagas.orchestrator.intake import SAGA
from sagas.testing.calling import Called, Death
from sagas.testing.play import Line, Play
from sagas.testing.points import Act, Fate, Kind
from sagas.testing.run import Run


class FlowRun(Run):
    """A choreography that is played to its end; every delivery changes ``books`` for real."""

    parks = True

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        assert self.play.definition.flow is not None
        self.flow: Flow = self.play.definition.flow
        self._taken_on: dict[str, Work] = {}
        """Step -> the delivery that its subscriber has promised to answer later."""
        _stand_in(self.play)

    @property
    def whole(self) -> bool:
        """Whether nothing was left out; what nobody asked for is pending to the end."""
        undisturbed = (StepStatus.COMPLETED, StepStatus.PENDING)
        return all(step.status in undisturbed for step in self.play.progress.steps.values())

    def standing(self) -> set[str]:
        """Return the reactions that nothing compensates, or that an operator has left as they are."""
        return {self.full(part.step) for part in self.flow.parts if self._stands(part)}

    def _stands(self, part: Part) -> bool:
        done = self.play.step(part.step).status is StepStatus.COMPLETED
        if not done or part.compensates is not None:
            return False
        undos = [self.play.step(name).status for name in self.flow.compensating(part.step)]
        return not undos or (self._insisted and StepStatus.COMPLETED not in undos)

    @property
    def _insisted(self) -> bool:
        """Whether an operator has ended it as it was."""
        return any(asked.run is self and asked.step.name == END for asked in self._kin.asked)

    def undoes(self, step: str, direction: Direction) -> str | None:
        """Return the step whose effect a delivery takes back, if it does."""
        part = self.flow.part(step)
        return self.full(part.compensates) if part is not None and part.compensates is not None else None

    # What is delivered, and published

    def _meet(self, due: DueCommand, fate: Fate | None, line: Line) -> None:
        if fate is None or fate.kind is not Kind.TURNED_BACK:
            super()._meet(due, fate, line)
            return
        line.became = f"said no: it publishes {fate.event}"
        context: Any = self.play.work(due).command
        self._tell(m.Published(fate.event, {**context.data, "reason": "the drill says no"}, due.step))
        self._tell(m.Completed(due.number, None, True))

    def _call(self, work: Work, line: Line, death: Death | None = None) -> Called:
        called = super()._call(work, line, death)
        if isinstance(called.reply, m.Later) and isinstance(work.command, SagaContext):
            self._taken_on[work.command.step] = work
        if Due._meta.db_table in called.watch.tables:
            self._take_in()
        return called

    def _take_in(self) -> None:
        """Tell the saga of what was published and committed: that counts, whatever becomes of the reply."""
        left = Due.objects.filter(saga_id=self.play.id, kind=Due.DELIVERY, name=SAGA).order_by("id")
        told = list(left.values_list("event", "payload", "step"))
        if told:
            left.delete()
        for event, data, by in told:
            self.play.say(by or "", f"publishes {event}")
            self._tell(m.Published(event or "", data or {}, by))

    def _from_outside(self, work: Work) -> m.Reply | None:
        """What comes from outside is an event, once it comes."""
        return m.Completed(work.number)

    def _keep_promise(self, work: Work, answer: m.Reply | None) -> None:
        """Have what was promised published, if anybody still waits for it."""
        if self.play.progress.awaiting(work.number) is not None:
            self._publish_from_outside(work)

    def _publish_from_outside(self, work: Work) -> None:
        """Let the author publish what comes from outside; he is told where the saga stands by then."""
        told: Any = work.command
        now = SagaContext(told.name, dict(told), told.meta, self.play.definition, self.play.progress)
        self.author.drill_reply(now)
        self._take_in()

    # Who settles what is parked

    def intervene(self, act: Act, step: str) -> None:
        """Let an operator do what is planned; what he finds done that was promised, is published, too."""
        super().intervene(act, step)
        if act.outcome is Verdict.DONE and step in self._taken_on:
            self._publish_from_outside(self._taken_on[step])

    def let_people_answer(self) -> bool:
        """Nobody is asked here: let the time pass in which an event is expected, if one is."""
        return self.play.move(self._answer)

    def _rightly_asks(self, step: StepProgress) -> bool:
        point = self.world.point
        if point is None:
            return False
        if step.name == END:  # who leaves something out is asked how it ends
            return any(act.verb == "skip" or act.outcome is Verdict.NONE for act in self.world.plan.acts)
        return self.full(step.name) == point.step and step.attention in point.expects

    def _verdict(self, step: StepProgress) -> m.Verb | None:
        if step.name == END:
            return self._how_it_ends(step)
        if step.attention is not Attention.HELD and step.name in self._results and not step.inbox:
            return m.Resolve(step.name, Verdict.DONE, self._results[step.name], "it is done")
        return m.Retry(step.name)

    def _how_it_ends(self, end: StepProgress) -> m.Verb | None:
        told = end.event["name"] if end.event is not None else ""
        back = self.play.progress.state not in FORWARD
        if told in (self.flow.failed if back else self.flow.endings):
            return m.Resolve(END, Verdict.DONE, {"event": told}, "it is as it says")
        if not back:
            return m.Compensate("an operator calls it off") if self.flow.compensation is not None else None
        return m.Resolve(END, Verdict.DONE, {"event": self.flow.failed[0]}, "nothing more will come")


def _stand_in(play: Play) -> None:
    """Write a row for the saga: what is published in it waits beside such a row."""
    pinned = play.definition.pinned
    row = Definition(digest=pinned.digest, saga_type=pinned.saga_type, document=pinned.document())
    Definition.objects.bulk_create([row], ignore_conflicts=True)
    Saga.objects.create(
        pk=play.id,
        saga_type=pinned.saga_type,
        definition_id=pinned.digest,
        correlation_id=str(play.id),
        fingerprint="",
        created_at=play.began,
        updated_at=play.began,
    )
