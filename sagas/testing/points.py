"""The failure points of a saga: what can go wrong where, and how each is played."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, FUNCTION, SagaDefinition, SagaStep
from sagas.core.words import Direction, Verdict

DO, UNDO = Direction.DO, Direction.UNDO


class Kind(StrEnum):
    """What happens to one call of a command."""

    REJECTED = "refused it"
    NEVER_ARRIVED = "never reached the participant"
    REPLY_LOST = "did it, and its reply was lost"
    REPLY_LATE = "did it, and its reply came after its time was over"
    DIED_BEFORE = "its process died before the commit"
    DIED_AFTER = "its process died after the commit"
    TWICE = "was delivered twice, and answered twice"
    HELD_UP = "was held up on its way"
    CALLED_BACK_LATE = "is to be answered from outside, once its time is over"
    CALLED_BACK_TWICE = "is to be answered from outside, twice"
    NOBODY_CAME = "nobody answered in time"
    TURNED_BACK = "did nothing, and said so by an event"


class Fate(NamedTuple):
    """What happens to one call."""

    kind: Kind
    commit: int = 1
    """Where its process dies: at which of its commits."""
    event: str = ""
    """Where its subscriber says no: the event that it publishes."""


class Moment(NamedTuple):
    """When an operator acts: before this attempt of a command is called, or once a step is completed, or parked."""

    step: str
    direction: Direction = DO
    attempt: int = 1
    completed: bool = False
    parked: bool = False


@dataclass(frozen=True)
class Act:
    """What an operator does, and when."""

    moment: Moment
    verb: str
    outcome: Verdict | None = None

    def message(self, step: str, result: Any) -> m.Verb:
        """Return the verb as the core takes it; the operator knows what the step has done."""
        match self.verb:
            case "compensate":
                return m.Compensate("the drill rolls back here")
            case "skip":
                return m.Skip(step)
            case "retry":
                return m.Retry(step)
            case "pause":
                return m.Pause()
        assert self.outcome is not None
        return m.Resolve(step, self.outcome, result, "an operator looked it up")


@dataclass(frozen=True)
class Plan:
    """One run: what is to go wrong, and who intervenes."""

    fates: dict[tuple[str, Direction], tuple[Fate, ...]] = field(default_factory=dict)
    acts: tuple[Act, ...] = ()

    def then(self, *acts: Act) -> "Plan":
        """Return the same with more interventions."""
        return Plan(self.fates, self.acts + acts)

    def meeting(self, step: str, *fates: Fate) -> "Plan":
        """Return the same with what happens to the calls of a step's action."""
        return Plan({**self.fates, (step, DO): fates} if fates else self.fates, self.acts)


@dataclass(frozen=True)
class Point:
    """One failure, at one command."""

    step: str
    direction: Direction
    failure: str
    """Its name, and the head of its column."""
    says: str
    """What happens, in a sentence."""
    plans: tuple[tuple[Plan, ...], ...]
    """How it is played: of each group, the first that can be."""
    verb: bool = False
    """It is an operator's doing."""
    expects: frozenset[str] = frozenset()
    """Attention that is right at this step: by all rights a person has to decide there."""
    own: bool = True
    """Whether a skipped or settled step must leave the books as a smooth run does."""

    @property
    def name(self) -> str:
        """What it is called in reports and test ids."""
        return f"{'undo ' if self.direction is UNDO else ''}{self.step}: {self.failure}"


Commits = Mapping[tuple[str, Direction], int]


def points(
    definition: SagaDefinition,
    commits: Commits,
    promised: Collection[tuple[str, Direction]] = (),
    path: str = "",
) -> Iterator[Point]:
    """Yield every failure point; ``commits`` says how often each command commits when all is well.

    What is ``promised`` is answered from outside. ``path`` is where a child is played: the steps of its ancestors
    that it is the child of, ``book/``.
    """
    steps = [replace(step, name=f"{path}{step.name}") for step in definition.steps]
    for step in steps:
        if definition.growing and step.name == f"{path}{FUNCTION}":
            continue  # a run of it has no effect, and may be lost at any time
        if step.timer or step.approval:
            yield from _of_wait(step)
        else:
            yield from _of_action(step, commits.get((step.name, DO), 1))
            if (step.name, DO) in promised:
                yield from _of_promise(step)
    for step in steps:
        if step.compensation not in (None, CANNOT_UNDO):
            yield from _of_undo(step, commits.get((step.name, UNDO), 1), path)


def _of_wait(step: SagaStep) -> Iterator[Point]:
    """A timer and an approval call nobody: what can go wrong is what people do, or do not."""
    point = _maker(step)
    if step.approval:
        yield point("rejected", "A person says no.", Fate(Kind.REJECTED), back=False)
        if step.approval.deadline is not None:
            asks = frozenset() if step.approval.otherwise else frozenset({"expectation_missed"})
            text = "Nobody answers until the deadline."
            yield point("nobody answers", text, Fate(Kind.NOBODY_CAME), expects=asks)
    yield from _verbs_before(point, step.name)


def _maker(step: SagaStep) -> Any:
    """Return what makes points of a step's action: each played to its end and, if asked, back from there."""
    turn_back = Act(Moment(step.name, completed=True), "compensate")

    def point(failure: str, says: str, *fates: Fate, back: bool = True, **more: Any) -> Point:
        plan = Plan(acts=more.pop("acts", ())).meeting(step.name, *fates)
        plans = ((plan,), (plan.then(turn_back),)) if back else ((plan,),)
        return Point(step.name, DO, failure, says, plans, **more)

    return point


def _of_action(step: SagaStep, commits: int) -> Iterator[Point]:
    name, tries, point = step.name, step.retry.max_attempts, _maker(step)
    lost, gone = Fate(Kind.NEVER_ARRIVED), Fate(Kind.REPLY_LOST)
    yield point("rejected", "The participant says no.", Fate(Kind.REJECTED), back=False)
    yield point(
        "unknown, with effect",
        "It is done, and no reply ever comes, however often it is tried: what is not known must be undone.",
        *(gone, gone, *[lost] * tries)[:tries],
        back=step.probe is not None,  # which finds out, so the saga goes on
    )
    yield point(
        "unknown, without effect",
        "It never reaches the participant, and nobody knows: the undo finds nothing to undo.",
        *[lost] * tries,
        back=False,
    )
    yield point("late success", "The reply comes after the attempt's time is over.", Fate(Kind.REPLY_LATE))
    yield from crashes(point, commits)
    yield point("duplicate reply", "The command is delivered twice, and answered twice.", Fate(Kind.TWICE))
    yield point(
        "overtaken by its undo",
        "The command is held up on its way, and arrives after its own undo.",
        Fate(Kind.HELD_UP),
        *[lost] * (tries - 1),
        back=False,
    )
    yield from _verbs_on_action(point, name)


def _of_promise(step: SagaStep) -> Iterator[Point]:
    """A participant that answers later may do so too late, and more than once."""
    point, late, twice = _maker(step), Fate(Kind.CALLED_BACK_LATE), Fate(Kind.CALLED_BACK_TWICE)
    yield point("callback late", "What it promised comes when its time is over.", late)
    yield point("callback twice", "What it promised comes twice.", twice)


def crashes(point: Any, commits: int) -> Iterator[Point]:
    """Where a command commits once, before and after; where it commits more often, between those, too."""
    yield point("crash before the commit", "The process dies just before it commits.", Fate(Kind.DIED_BEFORE))
    for nth in range(1, commits):
        text = f"The process dies between its commits {nth} and {nth + 1}, of {commits}."
        yield point(f"crash after commit {nth} of {commits}", text, Fate(Kind.DIED_AFTER, nth))
    yield point(
        "crash after the commit",
        "The process dies when it has committed, before it can answer.",
        Fate(Kind.DIED_AFTER, commits),
    )


def _verbs_before(point: Any, name: str) -> Iterator[Point]:
    """What an operator may do before a step has done anything, and just after it has."""
    first, after = Moment(name), Act(Moment(name, completed=True), "compensate")
    by: dict[str, Any] = {"verb": True, "back": False}
    yield point("compensate", "An operator rolls back just before.", acts=(Act(first, "compensate"),), **by)
    yield point("compensate after", "An operator rolls back once it is completed.", acts=(after,), **by)
    yield point("skip", "An operator skips it.", acts=(Act(first, "skip"),), own=False, **by)
    pause = Act(first, "pause")
    yield point("pause", "An operator pauses the saga just before, and resumes it.", acts=(pause,), verb=True)


def _verbs_on_action(point: Any, name: str) -> Iterator[Point]:
    lost, gone, second = Fate(Kind.NEVER_ARRIVED), Fate(Kind.REPLY_LOST), Moment(name, attempt=2)
    retry = Act(second, "retry")
    done, none = Act(second, "resolve", Verdict.DONE), Act(second, "resolve", Verdict.NONE)
    yield from _verbs_before(point, name)
    yield point("retry", "An operator retries it in its back-off.", gone, acts=(retry,), verb=True)
    text = "Its reply is lost; an operator finds that it is done."
    yield point("resolve done", text, gone, acts=(done,), verb=True)
    text = "It never arrives; an operator finds that nothing was done."
    yield point("resolve none", text, lost, acts=(none,), verb=True, back=False)


def _of_undo(step: SagaStep, commits: int, path: str) -> Iterator[Point]:
    name, tries = step.name, step.undo_retry.max_attempts
    back = Act(Moment(name, completed=True), "compensate")
    unknown = (Fate(Kind.REPLY_LOST), *[Fate(Kind.NEVER_ARRIVED)] * (step.retry.max_attempts - 1))

    def point(failure: str, says: str, *fates: Fate, acts: tuple[Act, ...] = (), **more: Any) -> Point:
        """Roll back a completed step; where there is no way back, or no way on, one of unknown outcome.

        A child's is undone once more with its parent, when all of the child is completed.
        """
        known = Plan({(name, UNDO): fates}, (back, *acts))
        blind = Plan({(name, DO): unknown, (name, UNDO): fates}, acts)
        plans: tuple[tuple[Plan, ...], ...] = ((known, blind),)
        if path:
            parent = Act(Moment(path.rstrip("/"), completed=True), "compensate")
            plans += ((Plan({(name, UNDO): fates}, (parent, *acts)),),)
        return Point(name, UNDO, failure, says, plans, **more)

    lost, gone = Fate(Kind.NEVER_ARRIVED), Fate(Kind.REPLY_LOST)
    yield point("rejected", "The participant refuses the undo at first.", Fate(Kind.REJECTED))
    yield point("unknown, with effect", "It is undone, and the reply is lost.", gone)
    yield point("unknown, without effect", "The undo does not reach the participant at first.", lost)
    yield point("late success", "The reply comes after the attempt's time is over.", Fate(Kind.REPLY_LATE))
    yield from crashes(point, commits)
    yield point("duplicate reply", "The undo is delivered twice, and answered twice.", Fate(Kind.TWICE))
    yield point(
        "fails for ever",
        "The undo fails until its retries are spent; an operator retries it when the participant is well again.",
        *[lost] * tries,
        expects=frozenset({"compensation_failed"}),
    )
    second = Moment(name, UNDO, 2)
    yield point(
        "retry",
        "An operator retries the undo in its back-off.",
        lost,
        acts=(Act(second, "retry"),),
        verb=True,
    )
    if not step.child:  # as long as a child is being undone, nobody finds that it is
        yield point(
            "resolve done",
            "The undo's reply is lost; an operator finds that it is undone.",
            gone,
            acts=(Act(second, "resolve", Verdict.DONE),),
            verb=True,
        )
    yield point(
        "resolve waived",
        "The undo fails; an operator lets the effect stand.",
        lost,
        acts=(Act(second, "resolve", Verdict.WAIVED),),
        verb=True,
    )
