"""One run of a drill: a saga, the children that it starts, and what undoes them, played to their end together.

A child is begun, and undone, as in earnest (decisions 33 and 34), but in memory: under a command's key there is one
child, or the reason why there is none, and its end is told to whoever waits for it by then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sagas import registry
from sagas.core import answers
from sagas.core import messages as m
from sagas.core.decide import Refused
from sagas.core.undoing import obstacle, reverse
from sagas.core.waits import CHILD, NoData, child_data
from sagas.core.words import Direction, SagaState
from sagas.engine import call
from sagas.engine.work import Work
from sagas.orchestrator import Invalid, children
from sagas.testing.flowing import FlowRun
from sagas.testing.play import MANY, Play, asks
from sagas.testing.points import Act
from sagas.testing.run import Asked, Run
from sagas.testing.world import World

#: After so many answers of an honest operator, a saga that still asks will not come to rest.
PATIENCE = 24


@dataclass
class Link:
    """What there is under the key of a command that starts a child."""

    parent: Run
    awaiter: Run
    number: int
    refused: str = ""
    child: Run | None = None
    undoing: bool = False
    undo: Run | None = None
    undo_key: str = ""


class Family:
    """A saga with all that belongs to it."""

    def __init__(self, world: World, author: Any, data: Mapping[str, Any], saga_id: UUID) -> None:
        self.world = world
        self.runs: list[Run] = []
        """The saga, and whatever others belong to it, in the order in which they began."""
        self.asked: list[Asked] = []
        self._links: dict[str, Link] = {}
        self.root = self._join(author, Play(author, data, saga_id=saga_id))

    def _join(self, author: Any, play: Play, *, undoing: bool = False) -> Run:
        kind = Run if play.definition.flow is None else FlowRun
        run = kind(self.world, self, author, play, undoing=undoing)
        self.runs.append(run)
        return run

    @property
    def play(self) -> Play:
        """The saga itself."""
        return self.root.play

    def play_out(self) -> None:
        """Play to the end, or to where a person is asked who should not be."""
        for _ in range(PATIENCE):
            self._rest()
            if self.over or not self._settle():
                break
        for run in self.runs:
            run.let_arrive()

    @property
    def over(self) -> bool:
        """Whether everything has ended."""
        return all(run.play.over for run in self.runs)

    @property
    def was_asked(self) -> bool:
        """Whether a person had to decide, and it was not the point to have one asked."""
        point = self.world.point
        return any(a.run.parks or point is None or a.attention not in point.expects for a in self.asked)

    @property
    def whole(self) -> bool:
        """Whether nothing was left out on the way to completion."""
        return all(run.whole for run in self.runs)

    def standing(self) -> set[str]:
        """Return the steps whose effects are left standing by all rights, with all of a child below such a step."""
        stand = set().union(*(run.standing() for run in self.runs if not run.undoing))
        below = tuple(f"{name}/" for name in stand)
        return stand | {made.step for made in self.world.made if made.step.startswith(below)}

    def _rest(self) -> None:
        """Let everything happen, in the order of its time, until only somebody outside can go on."""
        for _ in range(MANY):
            if all(run.play.idle for run in self.runs):
                return
            busy = [run for run in self.runs if run.play.next_at is not None]
            min(busy, key=lambda run: run.play.next_at or run.play.now).move()
        raise RuntimeError(f"the saga does not come to rest: {len(self.play.calls)} commands were called")

    def _settle(self) -> bool:
        """Have people answer, where they are asked; False: there is nobody to answer, or nobody should be asked."""
        if any(run.resume() for run in self.runs if not run.play.over):
            return True
        asking = [(run, steps[0]) for run in self.runs if (steps := asks(run.play))]
        if asking:
            run, step = asking[0]
            return run.settle(step)
        return any(run.let_people_answer() for run in self.runs if not run.play.over)

    def intervene(self, act: Act) -> None:
        """Let an operator act, on the saga whose step it is about."""
        path, slash, step = act.moment.step.rpartition("/")
        about = (run for run in reversed(self.runs) if run.play.path == path + slash)
        next(run for run in about if _is_meant(run, act)).intervene(act, step)

    # What begins a child, and undoes it

    def answer(self, run: Run, work: Work) -> m.Reply:
        """Answer a command of children as their handler would."""
        result, fault = None, None
        try:
            result = self._begin(run, work) if work.name == CHILD else self._undo(run, work)
        except (answers.Rejected, answers.Misconfigured, children.CannotUndo) as raised:
            fault = raised
        return call.reply_to(work, result, fault)

    def _begin(self, run: Run, work: Work) -> Any:
        sent: Any = work.command
        link = self._links.get(sent.meta.key)
        if link is None:
            link = self._links[sent.meta.key] = Link(run, run, work.number)
            self._start(link, run, sent)
        if link.child is None:
            raise answers.Rejected(link.refused)
        play = link.child.play
        if play.progress.state is SagaState.COMPLETED:
            return _outcome(play)
        if play.progress.state is SagaState.FAILED:
            raise answers.Rejected(_error(play))
        left = _time_left(run.play, sent.meta.step)
        if left is None or left > 0:
            return children.UnderWay(left)
        if obstacle(play.definition, play.progress) is not None:
            return children.UnderWay()  # it only goes forward: whatever it comes to is awaited
        return _turn_back(link.child, "its time was over")

    def _start(self, link: Link, run: Run, sent: Any) -> None:
        """Begin a child, or close its key. Raises Misconfigured for what its author has to mend."""
        left = _time_left(run.play, sent.meta.step)
        if left is not None and left <= 0:
            link.refused = "its deadline passed before it began"
            return
        pinned = run.play.definition.step(sent.meta.step).child
        assert pinned is not None  # its action says so
        author = registry.saga_type(pinned.saga_type)
        if author is None:
            raise answers.Misconfigured(f"there is no saga type {pinned.saga_type!r}")
        try:
            data = child_data(pinned, sent)
            child_id = uuid5(NAMESPACE_OID, sent.meta.key)
            play = Play(author, data, saga_id=child_id, within=run.play, path=f"{run.full(sent.meta.step)}/")
        except NoData as wrong:
            raise answers.Misconfigured(f"its data, {pinned.data}, {wrong}") from wrong
        except Invalid as wrong:
            if wrong.field == "type":
                raise answers.Misconfigured(wrong.reason) from wrong
            link.refused = f"{author.saga_type} refuses its data: {wrong}"
            return
        run.play.say(sent.meta.step, f"its child {author.saga_type} begins")
        link.child = self._join(author, play)

    def _undo(self, run: Run, work: Work) -> Any:
        sent: Any = work.command
        refused = "cancelled: it was undone before it began"
        link = self._links.setdefault(sent.meta.undoes, Link(run, run, work.number, refused))
        if link.child is None:
            return None
        link.awaiter, link.number, link.undoing = run, work.number, True
        play = link.child.play
        if play.progress.state is SagaState.FAILED:
            return None
        reason = self._obstacle(link.child)
        if reason is not None:
            raise children.CannotUndo(
                f"{play.definition.saga_type}, saga {play.id}, cannot be undone: {reason}"
            )
        if play.progress.state is SagaState.COMPLETED:
            return self._undo_completed(link, link.child, sent.meta.key)
        return _turn_back(link.child, _error(run.play))

    def _obstacle(self, run: Run) -> str | None:
        """Return why a saga cannot be undone as a whole, its own children included."""
        reason = obstacle(run.play.definition, run.play.progress)
        if reason is not None or run.play.progress.state is not SagaState.COMPLETED:
            return reason
        for own in self._children_of(run):
            below = self._obstacle(own) if own.play.progress.state is not SagaState.FAILED else None
            if below is not None:
                return f"its own child, saga {own.play.id}, cannot be undone: {below}"
        return None

    def _children_of(self, run: Run) -> Iterator[Run]:
        return (link.child for link in self._links.values() if link.parent is run and link.child)

    def _undo_completed(self, link: Link, child: Run, key: str) -> Any:
        """Have another saga undo what a completed child has done: one for each command that asks for it."""
        undo = link.undo
        if undo is None or (undo.play.progress.state is SagaState.FAILED and link.undo_key != key):
            play = child.play
            definition = reverse(play.definition, play.progress, play.id)
            if definition is None:
                return None
            data, undo_id = play.progress.data or {}, uuid5(NAMESPACE_OID, key)
            opened = Play(
                child.author, data, saga_id=undo_id, within=play, path=play.path, definition=definition
            )
            undo = link.undo = self._join(child.author, opened, undoing=True)
            link.undo_key = key
        if undo.play.progress.state is SagaState.COMPLETED:
            return None
        if undo.play.progress.state is SagaState.FAILED:
            raise answers.Rejected(_was_stopped(undo.play))
        return children.UnderWay()

    def ended(self, run: Run) -> None:
        """Tell whoever waits for it that a saga has ended."""
        link = next((each for each in self._links.values() if run in (each.child, each.undo)), None)
        if link is not None:
            run.play.later(0.0, lambda: self._tell_of(run, link))

    def _tell_of(self, run: Run, link: Link) -> None:
        completed = run.play.progress.state is SagaState.COMPLETED
        if run is link.child and not link.undoing:
            reply: m.Reply = m.Completed(link.number, _outcome(run.play))
            if not completed:
                reply = m.Rejected(link.number, _error(run.play))
        elif run is link.child:
            if completed:
                return  # one that was completed in spite of it all is looked at again
            reply = m.Completed(link.number)
        else:
            reply = m.Completed(link.number) if completed else m.Rejected(link.number, _was_stopped(run.play))
        link.awaiter.hear_of_child(reply)


def _is_meant(run: Run, act: Act) -> bool:
    """Whether it is about this saga: the one that undoes a child has that one's steps, and undoes them."""
    return not run.undoing or act.moment.direction is Direction.UNDO


def _outcome(play: Play) -> dict[str, Any]:
    results = {name: step.result for name, step in play.progress.steps.items()}
    return {"saga_id": str(play.id), "state": play.progress.state.value, "results": results}


def _error(play: Play) -> str:
    return play.progress.error or "it was rolled back"


def _was_stopped(undo: Play) -> str:
    return f"saga {undo.id}, which undoes it, was rolled back: {undo.progress.error}"


def _time_left(play: Play, step: str) -> float | None:
    """Return the seconds until a step's deadline, if it has one."""
    deadline, since = play.definition.step(step).deadline, play.step(step).dispatched_at
    if deadline is None or since is None:
        return None
    return deadline - (play.now - since).total_seconds()


def _turn_back(child: Run, why: str) -> children.UnderWay:
    """Tell a child to roll back; if that cannot be at this moment, have it looked at again."""
    try:
        child.roll_back(f"rolled back with its parent: {why}")
    except Refused:
        rolling = child.play.progress.state is SagaState.COMPENSATING
        return children.UnderWay(None if rolling else children.LOOK)
    return children.UnderWay()
