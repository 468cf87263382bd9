"""The drill: a saga is run once per failure point against its real participants, and what must hold is checked."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from django.apps import apps
from django.utils.module_loading import import_string

from sagas import registry
from sagas.core.definition import SagaDefinition
from sagas.core.ids import uuid7
from sagas.core.words import SagaState
from sagas.orchestrator import Invalid
from sagas.testing import deliveries
from sagas.testing.books import Books, UnknownBooks, aliases, changes
from sagas.testing.databases import refuse_real, undone
from sagas.testing.elsewhere import Elsewhere
from sagas.testing.family import Family
from sagas.testing.judging import Invariant, Judge
from sagas.testing.play import Play, author_of
from sagas.testing.points import Plan, Point, points
from sagas.testing.refusals import CannotDrill, commands_of, refuse_elsewhere
from sagas.testing.report import ASKS, COMPLETED, FAILS, RESTORED, Drilled, Report
from sagas.testing.telling import told
from sagas.testing.world import World


class DrillFailed(AssertionError):
    """Points that do not hold, each with its trace; ``report`` has all of them."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


Result = TypeVar("Result")


def drill(
    saga: Any,
    data: Mapping[str, Any] | None = None,
    invariants: Iterable[Invariant] = (),
    *,
    only: str | None = None,
    elsewhere: Mapping[str, Any] | None = None,
    check: bool = True,
) -> Report:
    """Run a saga once per failure point against its participants, in a test database, and undo it all again.

    ``saga`` is the author's class, its type's name, or an object; without ``data`` its ``sample_data`` is used.
    ``invariants`` come on top of the class's ``drill_invariants``: each is called with the :class:`Ending`, and
    asserts, or returns False or a text, or texts, of what is wrong. ``only`` names one step. ``elsewhere`` names the
    services elsewhere that are there to be drilled: ``{"CarrierService": "http://127.0.0.1:8001"}``, or settings
    as ``SAGAS["HTTP"]`` has them. They are called for real, and nothing else elsewhere is.

    Raises :class:`DrillFailed`, an AssertionError, if a point does not hold (unless ``check`` is false),
    :class:`CannotDrill` if there is nothing to drill, NotATestDatabase rather than touch another.
    """
    report = Drill(saga, data, invariants, only=only, elsewhere=elsewhere).run()
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
        elsewhere: Mapping[str, Any] | None = None,
    ) -> None:
        self.author, self.data, self.definition = subject(saga, data)
        self._only = only
        # The steps of a function, and those of children, are only known when it has run.
        if not self.definition.growing and (only is None or "/" not in only):
            self._check_only(self.definition.names)
        self._elsewhere = Elsewhere(elsewhere)
        refuse_elsewhere(self.author.saga_type, commands_of(self.definition), self._elsewhere.serves)
        self._invariants = [*map(_function, _told_by(self.author.drill_invariants)), *invariants]
        self._aliases = aliases()
        self._unreached: tuple[str, ...] = ()
        self._triggers = False
        self._saga_id: UUID = uuid7()  # the same in every run, so that what is made of it is, too
        self._sagas: dict[str, tuple[Any, SagaDefinition]] = {
            self.author.saga_type: (self.author, self.definition)
        }
        self.books = self._counted()

    def _check_only(self, names: Iterable[str]) -> None:
        if self._only is not None and self._only not in names:
            known = ", ".join(names)
            raise CannotDrill(f"{self.author.saga_type} has no step {self._only!r}; it has {known}.")

    def _counted(self) -> Books:
        """Return the tables that count: of all whose handlers are called, read as each of the authors says."""
        labels = set().union(*(_apps_of(*each) for each in self._sagas.values()))
        authors = [author for author, _ in self._sagas.values()]
        ignores = [name for author in authors for name in author.drill_ignores]
        reads = {label: how for author in reversed(authors) for label, how in author.drill_reads.items()}
        try:
            return Books(labels, ignores, reads)
        except UnknownBooks as wrong:
            raise CannotDrill(f"{self.author.saga_type}: {wrong}") from wrong

    def run(self) -> Report:
        """Run every point."""
        refuse_real(self._aliases)
        with self._elsewhere.reached(), undone(self._aliases):
            if self.author.drill_setup:
                _function(self.author.drill_setup)()
            self._before = self.books.snapshot()
            smooth = self._try_out()
            listed = self._points_of(smooth)
            chosen = [each for each in listed if self._is_asked_for(each)]
            found = [each for point in chosen if (each := self._drilled(point))]
        digest = self.definition.pinned.digest
        return Report(self.author.saga_type, digest, tuple(found), self._unreached)

    def _is_asked_for(self, point: Point) -> bool:
        return self._only is None or point.step == self._only or point.step.startswith(f"{self._only}/")

    def _try_out(self) -> Family:
        """Run it once with nothing going wrong: that tells what it is to come to."""
        smooth = self._played(Plan(), None, self._find_triggers)
        if smooth.play.progress.state is not SagaState.COMPLETED:
            raise CannotDrill(
                f"{self.author.saga_type} does not complete with this data, even when nothing goes wrong:\n"
                + "\n".join(told(smooth.play.lines))
                + "\nGive data with which it does (sample_data), and what its participants need (drill_setup)."
            )
        self._effect = self.books.effect(self._before, smooth.world.now)
        self.definition = smooth.play.definition  # of a function, only now all of it is known
        self._check_only([run.full(name) for run in smooth.runs for name in run.play.definition.names])
        return smooth

    def _points_of(self, smooth: Family) -> Iterable[Point]:
        """Return every failure point. Where a command commits how often is seen by going that way once."""
        if self.definition.flow is not None:
            return self._deliveries(smooth)
        commits = dict(smooth.world.commits)
        blind = self._point_of_return()
        if blind is not None:
            back = self._played(blind.plans[0][0], blind, self._find_triggers)
            commits = {**back.world.commits, **commits}
        played = [(run.play.definition, run.play.path) for run in smooth.runs]
        # What a choreography's subscribers undo is drilled with its own type.
        return [
            p
            for pinned, path in played
            if pinned.flow is None
            for p in points(pinned, commits, smooth.world.promised, path)
        ]

    def _deliveries(self, smooth: Family) -> Iterable[Point]:
        """Try out all the ways that a choreography may go, and return its points on them."""
        runs = [smooth]
        for plan in deliveries.detours(self.definition, smooth.root.called):
            runs.append(self._played(plan, None, self._find_triggers))
        ways = [(run.world.plan, run.root.called) for run in runs]
        self._unreached = deliveries.unreached(self.definition, ways)
        commits = {where: n for run in reversed(runs) for where, n in run.world.commits.items()}
        return deliveries.points(self.definition, ways, commits)

    def _point_of_return(self) -> Point | None:
        """Return the point from which the longest rollback begins; a function may call nobody."""
        pivot = self.definition.pivot
        blind = {p.step: p for p in points(self.definition, {}) if p.failure == "unknown, with effect"}
        if self.definition.growing and pivot is None:
            return next((blind[name] for name in reversed(self.definition.order) if name in blind), None)
        return blind[pivot.name if pivot else self.definition.order[-1]]

    def _find_triggers(self, run: Family) -> Family:
        """See whether the database writes by itself: then what a call wrote does not tell what it changed."""
        self._triggers = self._triggers or bool(changes(run.world.now, self.books.snapshot()))
        return run

    def _played(self, plan: Plan, point: Point | None, look: Callable[[Family], Result]) -> Result:
        """Play a run, look at it, and undo it; once more if it wrote to tables that did not count yet."""
        while True:
            with undone(self._aliases):
                run = self._play(plan, point)
                if not self._learns_of_tables(run):
                    return look(run)
            self._before = self.books.snapshot()

    def _learns_of_tables(self, run: Family) -> bool:
        """Count the tables of the children that began, and those that were written to; say if any are new."""
        met = {each.author.saga_type: (each.author, each.play.definition) for each in run.runs}
        new = met.keys() - self._sagas.keys()
        if new:
            self._sagas |= {name: met[name] for name in new}
            self.books = self._counted()
        return self.books.widen(run.world.tables) or bool(new)

    def _play(self, plan: Plan, point: Point | None) -> Family:
        world = World(self.books, self._aliases, self._elsewhere, plan, point, self._before)
        # Who is elsewhere remembers the last run's keys.
        saga_id = uuid7() if self._elsewhere else self._saga_id
        family = Family(world, self.author, self.data, saga_id)
        family.play_out()
        return family

    def _drilled(self, point: Point) -> Drilled | None:
        """Run a point's plans, the first of each group that can be; None if it cannot happen to this saga."""
        ended: list[Drilled] = []
        for group in point.plans:
            one = next(filter(None, (self._tried(plan, point) for plan in group)), None)
            ended += [one] if one else []
            if one and one.problems:
                break
        worst = (FAILS, ASKS, RESTORED, COMPLETED)
        return min(ended, key=lambda each: worst.index(each.verdict), default=None)

    def _tried(self, plan: Plan, point: Point) -> Drilled | None:
        return self._played(plan, point, lambda run: self._judge().judged(run, point))

    def _judge(self) -> Judge:
        return Judge(self.books, self._before, self._invariants, self._aliases, self._effect, self._triggers)


def subject(saga: Any, data: Mapping[str, Any] | None) -> tuple[Any, Mapping[str, Any], SagaDefinition]:
    """Return the author's object, the data, and the definition that they make. Raises CannotDrill."""
    try:
        author = author_of(saga)
        given = data if data is not None else getattr(author, "sample_data", None)
        if given is None:
            raise CannotDrill(
                f"{author.saga_type} has no sample_data; set it on the class, or give data to the drill."
            )
        return author, given, Play(author, given).definition
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
