"""Which columns hold what of a saga, its steps and its events, and which of them a change writes."""

from collections.abc import Iterable, Sequence
from operator import attrgetter, is_, itemgetter
from typing import Any

from sagas.core import events as e
from sagas.core.progress import Progress, StepProgress
from sagas.orchestrator.loading import STEP_COLUMNS, Held

SAGA_COLUMNS = (
    "state", "attention", "waiting", "begins_at", "deadline_at", "expired", "paused", "version=", "sequence", "data",
    "error", "updated_at", "finished_at",
)  # fmt: skip
EVENT_COLUMNS = ("saga_id", "sequence", "version", "type", "step", "data", "at")
#: So few rows share one shape, if a wider one: a part of a statement costs as much as some rows more in another.
FEW = 8

#: What identifies a row, and what of it was and is.
Changed = tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]


class Shapes:
    """Choices of a row's columns: what most changes touch costs less on the way, and in the database, than all."""

    def __init__(self, every: tuple[str, ...], *choices: tuple[str, ...]) -> None:
        """Take what the values of a row are called, and the choices of them; the last must have all that changes."""
        self._every = every
        self._choices = choices
        self._picks = [itemgetter(*map(every.index, choice)) for choice in choices]
        self._fitting: dict[tuple[bool, ...], frozenset[int]] = {}
        """Which values are as they were -> which choices have the others."""

    def sort(self, changes: Sequence[Changed]) -> Iterable[tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Yield columns and rows: each change by the first choice that has all of it; a few by one that they share."""
        fitting = [self._choices_for(before, after) for _, before, after in changes]
        chosen = [min(those) for those in fitting]
        if len(changes) <= FEW and len(set(chosen)) > 1:
            chosen = [min(frozenset.intersection(*fitting))] * len(changes)
        found: dict[int, list[tuple[Any, ...]]] = {}
        for n, (key, _, after) in zip(chosen, changes, strict=True):
            found.setdefault(n, []).append((*key, *self._picks[n](after)))
        return [(self._choices[n], found[n]) for n in sorted(found)]

    def _choices_for(self, before: tuple[Any, ...], after: tuple[Any, ...]) -> frozenset[int]:
        """Return the choices that have all that changed. Sagas change in few ways: each is looked at once."""
        same = tuple(map(is_, before, after))
        found = self._fitting.get(same)
        if found is None:
            moved = {name for name, kept in zip(self._every, same, strict=True) if not kept}
            fitting = (n for n, choice in enumerate(self._choices) if moved.issubset(choice))
            found = self._fitting[same] = frozenset(fitting)
        return found


SAGA = Shapes(SAGA_COLUMNS, ("version=", "sequence", "updated_at"), SAGA_COLUMNS)
_DISPATCHED = (
    "status", "open", "scheduled", "action_number", "generation", "attempt", "budget", "due_at", "dispatched_at",
)  # fmt: skip
_COMPLETED = ("status", "open", "scheduled", "due_at", "outcome", "action_outcome", "result", "executed_at")
_MOVED = tuple(dict.fromkeys(_DISPATCHED + _COMPLETED))
STEP = Shapes(StepProgress._fields, _DISPATCHED, _COMPLETED, _MOVED, STEP_COLUMNS)


_of_saga = attrgetter(*(column.rstrip("=") for column in SAGA_COLUMNS))


def saga_values(progress: Progress) -> tuple[Any, ...]:
    """Return the projected columns of a saga's row, in the order of SAGA_COLUMNS."""
    values: tuple[Any, ...] = _of_saga(progress)
    return values


def step_values(step: StepProgress) -> tuple[Any, ...]:
    """Return the columns of a step's row that change, in the order of STEP_COLUMNS."""
    return step[1:]  # all but the name


def event_rows(held: Held) -> Iterable[tuple[Any, ...]]:
    """Yield the rows of what was decided about a saga, in the order of EVENT_COLUMNS."""
    for sequence, event in enumerate(held.events, start=held.before.sequence + 1):
        step = getattr(event, "step", None)
        yield held.id, sequence, event.version, type(event).__name__, step, e.event_data(event), event.at
