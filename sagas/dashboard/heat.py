"""How the steps of a type have done: over its newest sagas, what went wrong where, and how long each step took."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min

from sagas.core import events as e
from sagas.dashboard.overview import percentile
from sagas.models import IMPORT, Event, Saga, Step

#: Of so many sagas of a type, the newest, the steps are looked at: each costs a look into its log.
NEWEST = 500
#: Steps that are shown, those of most sagas: a function asks for as many as it likes.
MOST = 60
#: How long a step took is read of so many, at most.
SAMPLE = 30_000
#: Width of a bar, in units of its own.
WIDTH = 100
#: Shares above which a cell stands out: a little, more, and most.
SHADES = (0.0, 0.02, 0.1)

#: What happened to a step -> the events that say so, in the order of the columns.
TROUBLE: Mapping[str, Sequence[type[Any]]] = {
    "tried again": (e.StepRescheduled, e.DeliveryRescheduled),
    "rejected": (e.StepFailed,),
    "unknown": (e.StepOutcomeUnknown,),
    "undone": (e.StepCompensated,),
    "undo tried again": (e.UndoRescheduled,),
    "asked for a person": (e.StepHeld, e.UndoHeld, e.LateEffectFound),
}
_SAYS = {kind.__name__: what for what, kinds in TROUBLE.items() for kind in kinds}


@dataclass(frozen=True)
class Share:
    """To how many of the sagas in which a step began something happened there."""

    what: str
    count: int
    of: int

    @property
    def percent(self) -> str:
        """The share, as people read it."""
        share = 100 * self.count / self.of
        return f"{share:.0f} %" if share >= 10 or not share else f"{share:.1f} %"

    @property
    def shade(self) -> int:
        """How much it stands out, from 0 to 3."""
        return sum(self.count / self.of > least for least in SHADES)


@dataclass(frozen=True)
class Fared:
    """How one step has done."""

    name: str
    sagas: int
    """In how many of them it began."""
    asks: int
    """For how many it asks for a person now."""
    trouble: Sequence[Share]
    p50: float | None
    p95: float | None
    """Seconds from dispatch to completion, what it waited for people included; None if it never was."""
    longest: float
    """The p95 of the slowest step."""

    @property
    def typical(self) -> int:
        """The p50 as a part of a bar that the slowest step fills."""
        return self._wide(self.p50)

    @property
    def slow(self) -> int:
        """The p95 likewise."""
        return self._wide(self.p95)

    def _wide(self, seconds: float | None) -> int:
        return round(WIDTH * (seconds or 0.0) / self.longest) if self.longest else 0


@dataclass(frozen=True)
class Heat:
    """How the steps of the newest sagas of a type have done."""

    sagas: int
    since: datetime
    """When the oldest of them was started."""
    steps: Sequence[Fared]
    columns: Sequence[str]
    more: int
    """How many steps are not shown."""
    width: int = WIDTH


def heat_of(saga_type: str) -> Heat | None:
    """Look at the newest sagas of a type; None if there are none. Four queries, however many there are."""
    newest = Saga.objects.filter(saga_type=saga_type).exclude(origin_kind=IMPORT).order_by("-pk")
    sagas = dict(newest.values_list("pk", "created_at")[:NEWEST])
    if not sagas:
        return None
    steps = Step.objects.filter(saga__in=sagas, action_number__isnull=False).order_by()
    began = list(
        steps.values("name").annotate(sagas=Count("pk"), place=Min("position"), asks=Count("attention"))
    )
    most = sorted(began, key=lambda step: (-step["sagas"], step["place"]))[:MOST]
    names = [step["name"] for step in sorted(most, key=lambda step: (step["place"], step["name"]))]
    by_name = {step["name"]: step for step in most}
    took, trouble = _took(steps, names), _trouble(sagas, names)
    longest = max((percentile(took[name], 95) or 0.0 for name in names), default=0.0)
    fared = [
        Fared(
            name,
            by_name[name]["sagas"],
            by_name[name]["asks"],
            [Share(what, trouble[name, what], by_name[name]["sagas"]) for what in TROUBLE],
            percentile(took[name], 50),
            percentile(took[name], 95),
            longest,
        )
        for name in names
    ]
    return Heat(len(sagas), min(sagas.values()), fared, [*TROUBLE], len(began) - len(most))


def _took(steps: Any, names: Collection[str]) -> dict[str, list[float]]:
    """Return how many seconds each step took, the shortest first."""
    done = steps.filter(name__in=names, dispatched_at__isnull=False, executed_at__isnull=False)
    took: dict[str, list[float]] = defaultdict(list)
    for name, begin, end in done.values_list("name", "dispatched_at", "executed_at")[:SAMPLE]:
        took[name].append(max(0.0, (end - begin).total_seconds()))
    for seconds in took.values():
        seconds.sort()
    return took


def _trouble(sagas: Collection[UUID], names: Collection[str]) -> dict[tuple[str, str], int]:
    """Count by step, and by what happened to it, in how many sagas it did."""
    events = Event.objects.filter(saga__in=sagas, type__in=_SAYS, step__in=names).order_by()
    where: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    for saga, step, kind in events.values_list("saga", "step", "type").distinct():
        where[step, _SAYS[kind]].add(saga)
    return defaultdict(int, {place: len(those) for place, those in where.items()})
