"""What must hold after a run of a drill: it is over, nothing is left but what may be, and one effect per command."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections, transaction

from sagas.core.definition import SagaDefinition
from sagas.core.progress import StepProgress
from sagas.core.words import SagaState, StepStatus
from sagas.testing.books import Books, Change, Snapshot, changes, is_amount, with_changes
from sagas.testing.family import Family
from sagas.testing.points import Kind, Point
from sagas.testing.report import ASKS, COMPLETED, FAILS, RESTORED, Drilled
from sagas.testing.world import Made


@dataclass(frozen=True)
class Ending:
    """What an invariant is given: how a run ended, with the participants' tables as they then are."""

    saga_id: str
    state: str
    data: Mapping[str, Any]
    steps: Mapping[str, StepProgress]
    definition: SagaDefinition


Invariant = Callable[[Ending], Any]


@dataclass
class Judge:
    """Says what does not hold, by what was before, and by what comes of it when all is well."""

    books: Books
    before: Snapshot
    invariants: Sequence[Invariant]
    aliases: tuple[str, ...]
    effect: Mapping[str, Any]
    """What a saga changes that completes with nothing going wrong."""
    triggers: bool = False
    """The database writes by itself: what a call wrote does not tell what it changed."""

    def judged(self, run: Family, point: Point) -> Drilled | None:
        """Say what became of a point; None if what was planned cannot happen to this saga."""
        if not _counts(run):
            return None
        problems = tuple(self._problems(run))
        return Drilled(point, FAILS if problems else _verdict(run), problems, tuple(run.play.lines))

    def _problems(self, run: Family) -> Iterator[str]:
        """Yield what does not hold, a sentence each."""
        if not run.world.rests:
            yield from self._misplaced(run)
        yield from run.world.untrue
        yield from self._violated(run)
        yield from _unsound(self.aliases)

    def _misplaced(self, run: Family) -> Iterator[str]:
        """Yield why it has not come to where it should, and what it has left there."""
        progress = run.play.progress
        if not run.over:
            yield from _stuck(run)
        elif progress.state is SagaState.FAILED and not progress.expired and _survives(run):
            yield f"It failed, though its participants could do all that was asked: {progress.error}."
        yield from self._off(run)

    def _off(self, run: Family) -> Iterator[str]:
        now = self.books.snapshot() if self.triggers else run.world.now
        if run.play.progress.state is SagaState.COMPLETED:
            if run.whole:
                yield from self._other_effect(now)
            return
        stuck = None if run.over or not run.asked else run.asked[-1].name
        for change in changes(self._should_be(run), now):
            made = _makers(run, change)
            if stuck is None or (made and made[0].step == stuck):  # the others wait for it
                yield f"Not restored: {_off(change)}.{_by(made)}{_hint(change, made)}"

    def _should_be(self, run: Family) -> Snapshot:
        """Return the tables as they should be: as before, but for what is left standing."""
        standing = run.standing()
        return with_changes(
            self.before, [c for made in run.world.made if made.step in standing for c in made.changes]
        )

    def _other_effect(self, now: Snapshot) -> Iterator[str]:
        """A saga that completes has the same effect, whatever went wrong on its way."""
        effect = self.books.effect(self.before, now)
        for what in sorted(effect.keys() | self.effect.keys()):
            got, should = effect.get(what, 0), self.effect.get(what, 0)
            if got != should:
                yield f"Not one effect per command: {what} changed by {got:+}, and by {should:+} when all is well."

    def _violated(self, run: Family) -> Iterator[str]:
        progress = run.play.progress
        facts = (str(run.play.id), progress.state.value, progress.data or {})
        ending = Ending(*facts, progress.steps, run.play.definition)
        for invariant in self.invariants:
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


def _counts(run: Family) -> bool:
    """Whether what was planned has happened; a run that got stuck before it counts, too."""
    stuck = not run.over and bool(run.asked)
    return run.world.as_planned or (stuck and not run.world.refused)


#: What a saga gets over by itself, and goes on to its end.
_SURVIVED = {Kind.REPLY_LATE, Kind.DIED_BEFORE, Kind.DIED_AFTER, Kind.TWICE}


def _survives(run: Family) -> bool:
    """Whether a saga should have gone on to its end: its participants could do all that was asked, and in time."""
    kinds = {fate.kind for fates in run.world.plan.fates.values() for fate in fates}
    hurried = any(step.deadline is not None for step in run.play.definition.steps)
    return kinds <= _SURVIVED and not hurried and all(act.verb == "pause" for act in run.world.plan.acts)


def _verdict(run: Family) -> str:
    if run.was_asked:
        return ASKS
    return COMPLETED if run.play.progress.state is SagaState.COMPLETED else RESTORED


def _stuck(run: Family) -> Iterator[str]:
    if not run.asked:
        yield f"It does not come to rest: it is {run.play.progress.state}, and nothing is due."
        return
    asked = run.asked[-1]
    what = "the undo of " if asked.run.undoing or asked.step.status is StepStatus.COMPENSATING else ""
    whose = f" of its child {asked.run.play.definition.saga_type}" if asked.run.play.path else ""
    yield f"It stops for a person ({asked.attention}) at {what}{asked.name}{whose}: {asked.step.error}."


def _off(change: Change) -> str:
    row = f"{change.label.partition('.')[2]} {change.key}"
    if change.field is not None:
        return f"{row}: {change.field} is {change.now!r}, and should be {change.was!r}"
    return f"{row} is still there" if change.now is not None else f"{row} is gone"


def _makers(run: Family, change: Change) -> list[Made]:
    """Return the calls that changed what is off; of an amount to which many add, those whose sum is not nothing."""
    made = [each for each in run.world.made if _grown(each, change)]
    if change.field is None or not is_amount(change.now):
        return made
    sums: dict[str, Any] = {}
    for each in made:
        sums[each.of] = sums.get(each.of, 0) + sum(map(_growth, _grown(each, change)))
    return [each for each in made if sums[each.of]] or made


def _growth(change: Change) -> Any:
    return (change.now or 0) - (change.was or 0) if is_amount(change.now or change.was or 0) else 0


def _grown(made: Made, off: Change) -> list[Change]:
    """Return what a call has changed of the row, or the field, that is off."""
    here = (c for c in made.changes if (c.label, c.key) == (off.label, off.key))
    return [c for c in here if off.field in (None, c.field)]


def _by(made: list[Made]) -> str:
    """Name who changed it, the action first: that is whose undo to look at."""
    if not made:
        return ""
    undos = [each for each in made[1:] if each.undoes]
    last = f", and {undos[-1].command} changed it last" if undos else ""
    return f" {made[0].step} ({made[0].command}) changed it{last}."


def _hint(change: Change, made: list[Made]) -> str:
    """An undo that marks a row and keeps it is no fault; the drill has only not been told."""
    undone_by = [each for each in made if each.undoes]
    if change.field is not None or change.now is None or not undone_by:
        return ""
    return f" If it is kept as history, say in drill_reads which {change.label} count."


def _unsound(aliases: tuple[str, ...]) -> Iterator[str]:
    """Have the database check what it would have checked at the commits."""
    for alias in aliases:
        try:
            with transaction.atomic(using=alias):
                connections[alias].check_constraints()
        except DatabaseError as broken:
            yield f"The database would not have committed this: {broken}"
