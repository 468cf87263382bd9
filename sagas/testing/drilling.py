"""The drill: a saga is run once per failure point against its real participants, and what must hold is checked."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.db import DatabaseError, connections, transaction
from django.utils.module_loading import import_string

from sagas import registry
from sagas.core.definition import SagaDefinition
from sagas.core.ids import uuid7
from sagas.core.progress import StepProgress
from sagas.core.words import Attention, Direction, SagaState, StepStatus
from sagas.orchestrator import Invalid
from sagas.testing.books import Books, Change, Snapshot, UnknownBooks, aliases, changes, with_changes
from sagas.testing.databases import refuse_real, undone
from sagas.testing.play import Play, author_of, is_function
from sagas.testing.points import Kind, Plan, Point, points
from sagas.testing.refusals import CannotDrill, commands_of, refuse_children, refuse_elsewhere
from sagas.testing.report import ASKS, COMPLETED, FAILS, RESTORED, Drilled, Report
from sagas.testing.run import Made, Run
from sagas.testing.telling import told


class DrillFailed(AssertionError):
    """Points that do not hold, each with its trace; ``report`` has all of them."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


@dataclass(frozen=True)
class Ending:
    """What an invariant is given: how a run ended, with the participants' tables as they then are."""

    saga_id: str
    state: str
    data: Mapping[str, Any]
    steps: Mapping[str, StepProgress]
    definition: SagaDefinition


Invariant = Callable[[Ending], Any]
Result = TypeVar("Result")


def drill(
    saga: Any,
    data: Mapping[str, Any] | None = None,
    invariants: Iterable[Invariant] = (),
    *,
    only: str | None = None,
    check: bool = True,
) -> Report:
    """Run a saga once per failure point against its participants, in a test database, and undo it all again.

    ``saga`` is the author's class, its type's name, or an object; without ``data`` its ``sample_data`` is used.
    ``invariants`` come on top of the class's ``drill_invariants``: each is called with the :class:`Ending`, and
    asserts, or returns False or a text, or texts, of what is wrong. ``only`` names one step.

    Raises :class:`DrillFailed`, an AssertionError, if a point does not hold (unless ``check`` is false),
    :class:`CannotDrill` if there is nothing to drill, NotATestDatabase rather than touch another.
    """
    report = Drill(saga, data, invariants, only=only).run()
    if check and not report.ok:
        raise DrillFailed(report)
    return report


class Drill:
    """A saga type with all that its runs share."""

    def __init__(
        self,
        saga: Any,
        data: Mapping[str, Any] | None = None,
        invariants: Iterable[Invariant] = (),
        *,
        only: str | None = None,
    ) -> None:
        self.author, self.data, self.definition = subject(saga, data)
        self._only = only
        if not self.definition.growing:  # its steps are known before it has run
            self._check_only()
        refuse_elsewhere(self.author.saga_type, commands_of(self.definition))
        refuse_children(self.definition)
        self._invariants = [*map(_function, _told_by(self.author.drill_invariants)), *invariants]
        self._aliases = aliases()
        self._saga_id: UUID = uuid7()  # the same in every run, so that what is made of it is, too
        try:
            labels = _apps_of(self.author, self.definition)
            self.books = Books(labels, self.author.drill_ignores, self.author.drill_reads)
        except UnknownBooks as wrong:
            raise CannotDrill(f"{self.author.saga_type}: {wrong}") from wrong

    def _check_only(self) -> None:
        if self._only is not None and self._only not in self.definition.names:
            known = ", ".join(self.definition.names)
            raise CannotDrill(f"{self.author.saga_type} has no step {self._only!r}; it has {known}.")

    def run(self) -> Report:
        """Run every point."""
        refuse_real(self._aliases)
        with undone(self._aliases):
            if self.author.drill_setup:
                _function(self.author.drill_setup)()
            self._before = self.books.snapshot()
            commits = self._try_out()
            listed = points(self.definition, commits)
            chosen = [each for each in listed if self._only in (None, each.step)]
            found = [each for point in chosen if (each := self._drilled(point))]
        return Report(self.author.saga_type, self.definition.pinned.digest, tuple(found))

    def _try_out(self) -> dict[tuple[str, Direction], int]:
        """Run it once with nothing going wrong, and once back; return how often each command commits."""
        smooth = self._played(Plan(), None, self._find_triggers)
        if smooth.play.progress.state is not SagaState.COMPLETED:
            raise CannotDrill(
                f"{self.author.saga_type} does not complete with this data, even when nothing goes wrong:\n"
                + "\n".join(told(smooth.play.lines))
                + "\nGive data with which it does (sample_data), and what its participants need (drill_setup)."
            )
        self._effect = self.books.effect(self._before, smooth.now)
        self.definition = smooth.play.definition  # of a function, only now all of it is known
        self._check_only()
        blind = self._point_of_return()
        if blind is None:
            return smooth.commits
        back = self._played(blind.plans[0], blind, lambda run: run)
        return {**back.commits, **smooth.commits}

    def _point_of_return(self) -> Point | None:
        """Return the point from which the longest rollback begins; a function may call nobody."""
        pivot = self.definition.pivot
        blind = {p.step: p for p in points(self.definition, {}) if p.failure == "unknown, with effect"}
        if self.definition.growing and pivot is None:
            return next((blind[name] for name in reversed(self.definition.order) if name in blind), None)
        return blind[pivot.name if pivot else self.definition.order[-1]]

    def _find_triggers(self, run: Run) -> Run:
        """See whether the database writes by itself: then what a call wrote does not tell what it changed."""
        self._triggers = bool(changes(run.now, self.books.snapshot()))
        return run

    def _played(self, plan: Plan, point: Point | None, look: Callable[[Run], Result]) -> Result:
        """Play a run, look at it, and undo it; once more if it wrote to tables that did not count yet."""
        while True:
            with undone(self._aliases):
                run = self._play(plan, point)
                if not self.books.widen(run.tables):
                    return look(run)
            self._before = self.books.snapshot()

    def _play(self, plan: Plan, point: Point | None) -> Run:
        run = Run(
            self.author,
            self.data,
            self.books,
            plan,
            self._aliases,
            self._before,
            self._saga_id,
            lambda run, step: self._rightly_asks(run, step, point),
        )
        run.play_out()
        return run

    def _rightly_asks(self, run: Run, step: StepProgress, point: Point | None) -> bool:
        """Whether a person has to decide here by all rights."""
        if point is None:
            return False
        definition = run.play.definition  # a function may have gone another way
        pinned, own = definition.step(step.name), step.name == point.step
        pivot = definition.pivot
        passed = pivot is not None and run.play.step(pivot.name).status is StepStatus.COMPLETED
        match step.attention:
            case Attention.CANNOT_UNDO:
                return True
            case Attention.MISCONFIGURED if is_function(definition, step.name):
                return point.failure == "skip"  # without the step's result it may not know what to do
            case Attention.OUTCOME_UNKNOWN:
                return own and not step.inbox
            case Attention.HELD | Attention.RETRIES_SPENT:
                return (own or not point.own) and (pinned.hold or passed)
            case code:
                return own and code in point.expects

    def _drilled(self, point: Point) -> Drilled | None:
        """Run all of a point's plans; None if it cannot happen to this saga."""
        ended: list[Drilled] = []
        for plan in point.plans:
            one = self._played(plan, point, lambda run: self._judged(run, point))
            ended += [one] if one else []
            if one and (one.problems or point.direction is Direction.UNDO):
                break  # an undo's second plan is for where the first cannot be
        worst = (FAILS, ASKS, RESTORED, COMPLETED)
        return min(ended, key=lambda each: worst.index(each.verdict), default=None)

    def _judged(self, run: Run, point: Point) -> Drilled | None:
        if not self._counts(run):
            return None
        problems = tuple(self._problems(run, point))
        return Drilled(point, FAILS if problems else _verdict(run, point), problems, tuple(run.play.lines))

    def _counts(self, run: Run) -> bool:
        """Whether what was planned has happened; a run that got stuck before it counts, too."""
        stuck = not run.play.over and bool(run.asked)
        return run.as_planned or (stuck and not run.refused)

    def _problems(self, run: Run, point: Point) -> Iterator[str]:
        """Yield what does not hold, a sentence each."""
        progress = run.play.progress
        if not run.play.over:
            yield from _stuck(run)
        elif progress.state is SagaState.FAILED and not progress.expired and self._survives(run):
            yield f"It failed, though its participants could do all that was asked: {progress.error}."
        yield from self._off(run)
        yield from self._violated(run)
        yield from _unsound(self._aliases)

    def _survives(self, run: Run) -> bool:
        """Whether a saga should have gone on to its end: its participants could do all that was asked, and in time."""
        kinds = {fate.kind for fates in run.plan.fates.values() for fate in fates}
        hurried = any(step.deadline is not None for step in self.definition.steps)
        return kinds <= _SURVIVED and not hurried and all(act.verb == "pause" for act in run.plan.acts)

    def _off(self, run: Run) -> Iterator[str]:
        now = self.books.snapshot() if self._triggers else run.now
        if run.play.progress.state is SagaState.COMPLETED:
            if all(step.status is StepStatus.COMPLETED for step in run.play.progress.steps.values()):
                yield from self._other_effect(now)
            return
        stuck = None if run.play.over or not run.asked else run.asked[-1].name
        for change in changes(self._should_be(run), now):
            made = _makers(run, change)
            if stuck is None or (made and made[0].step == stuck):  # the others wait for it
                yield f"Not restored: {_off(change)}.{_by(made)}{_hint(change, made)}"

    def _should_be(self, run: Run) -> Snapshot:
        """Return the tables as they should be: as before, but for what is left standing."""
        standing = {
            name for name, step in run.play.progress.steps.items() if _stands(run.play.definition, name, step)
        }
        return with_changes(
            self._before, [c for made in run.made if made.step in standing for c in made.changes]
        )

    def _other_effect(self, now: Snapshot) -> Iterator[str]:
        """A saga that completes has the same effect, whatever went wrong on its way."""
        effect = self.books.effect(self._before, now)
        for what in sorted(effect.keys() | self._effect.keys()):
            got, should = effect.get(what, 0), self._effect.get(what, 0)
            if got != should:
                yield f"Not one effect per command: {what} changed by {got:+}, and by {should:+} when all is well."

    def _violated(self, run: Run) -> Iterator[str]:
        progress = run.play.progress
        facts = (str(run.play.id), progress.state.value, progress.data or {})
        ending = Ending(*facts, progress.steps, run.play.definition)
        for invariant in self._invariants:
            name = getattr(invariant, "__name__", str(invariant))
            try:
                with transaction.atomic():
                    verdict = invariant(ending)
            except AssertionError as broken:
                yield f"{name}: {broken}" if str(broken) else f"{name} does not hold."
                continue
            if verdict is False:
                yield f"{name} does not hold."
            elif isinstance(verdict, str) and verdict:
                yield f"{name}: {verdict}"
            elif isinstance(verdict, Iterable) and not isinstance(verdict, str):
                yield from (f"{name}: {each}" for each in verdict)


def subject(saga: Any, data: Mapping[str, Any] | None) -> tuple[Any, Mapping[str, Any], SagaDefinition]:
    """Return the author's object, the data, and the definition that they make. Raises CannotDrill."""
    try:
        author = author_of(saga)
        given = data if data is not None else getattr(author, "sample_data", None)
        if given is None:
            raise CannotDrill(
                f"{author.saga_type} has no sample_data; set it on the class, or give data to the drill."
            )
        definition = Play(author, given).definition
        if definition.flow is not None:
            raise CannotDrill(
                f"{author.saga_type} is a choreography: what its subscribers take back is theirs, and no undo of ours."
            )
        return author, given, definition
    except (LookupError, Invalid) as wrong:
        raise CannotDrill(str(wrong)) from wrong


def _told_by(value: Any) -> Any:
    """Return an attribute, or what the method of that name returns."""
    return value() if inspect.ismethod(value) else value


def _function(named: Any) -> Any:
    """Return a function that is named by its dotted path, or is one. Raises CannotDrill."""
    if not isinstance(named, str):
        return named
    try:
        return import_string(named)
    except ImportError as wrong:
        raise CannotDrill(f"{named!r} is not a function that can be imported: {wrong}") from wrong


def _apps_of(author: Any, definition: SagaDefinition) -> set[str]:
    """Return the labels of the apps whose tables the participants may write to."""
    handlers = [handler.function for name in commands_of(definition) if (handler := registry.handler(name))]
    found = (apps.get_containing_app_config(each.__module__) for each in (*handlers, type(author)))
    return {config.label for config in found if config and config.label != "sagas"}


def _stands(definition: SagaDefinition, name: str, step: StepProgress) -> bool:
    passed_by = definition.step(name).compensation is None and step.status is StepStatus.COMPLETED
    return step.standing or passed_by


#: What a saga gets over by itself, and goes on to its end.
_SURVIVED = {Kind.REPLY_LATE, Kind.DIED_BEFORE, Kind.DIED_AFTER, Kind.TWICE}


def _stuck(run: Run) -> Iterator[str]:
    if not run.asked:
        yield f"It does not come to rest: it is {run.play.progress.state}, and nothing is due."
        return
    step = run.asked[-1]
    what = "the undo of " if step.status is StepStatus.COMPENSATING else ""
    yield f"It stops for a person ({step.attention}) at {what}{step.name}: {step.error}."


def _off(change: Change) -> str:
    row = f"{change.label.partition('.')[2]} {change.key}"
    if change.field is not None:
        return f"{row}: {change.field} is {change.now!r}, and should be {change.was!r}"
    return f"{row} is still there" if change.now is not None else f"{row} is gone"


def _makers(run: Run, change: Change) -> list[Made]:
    """Return the calls that changed what is off."""
    return [made for made in run.made if any(_same(change, each) for each in made.changes)]


def _same(off: Change, made: Change) -> bool:
    return (off.label, off.key) == (made.label, made.key) and off.field in (None, made.field)


def _by(made: list[Made]) -> str:
    """Name who changed it, the action first: that is whose undo to look at."""
    if not made:
        return ""
    undos = [each for each in made[1:] if each.direction is Direction.UNDO]
    last = f", and {undos[-1].command} changed it last" if undos else ""
    return f" {made[0].step} ({made[0].command}) changed it{last}."


def _hint(change: Change, made: list[Made]) -> str:
    """An undo that marks a row and keeps it is no fault; the drill has only not been told."""
    undone_by = [each for each in made if each.direction is Direction.UNDO]
    if change.field is not None or change.now is None or not undone_by:
        return ""
    return f" If it is kept as history, say in drill_reads which {change.label} count."


def _verdict(run: Run, point: Point) -> str:
    if any(step.attention not in point.expects for step in run.asked):
        return ASKS
    return COMPLETED if run.play.progress.state is SagaState.COMPLETED else RESTORED


def _unsound(aliases: tuple[str, ...]) -> Iterator[str]:
    """Have the database check what it would have checked at the commits."""
    for alias in aliases:
        try:
            with transaction.atomic(using=alias):
                connections[alias].check_constraints()
        except DatabaseError as broken:
            yield f"The database would not have committed this: {broken}"
