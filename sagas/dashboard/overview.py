"""The overview's figures. Each is bounded: none reads a whole table, however many sagas there are."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import TypeVar

from django.db.models import Count
from django.db.models.functions import TruncMinute
from django.utils import timezone

from sagas.core.words import SagaState
from sagas.counted import Counts
from sagas.dashboard.rows import Row, for_rows, rows
from sagas.matching import first_id_at
from sagas.models import Saga, SagaQuerySet
from sagas.undelivered import undelivered

#: A count stops here and says "+".
MOST = 10_000
#: Sagas whose durations make the percentiles.
SAMPLE = 2_000
#: Rows of a list on it.
LISTED = 12
MINUTES = 60
#: Of those, the last ones: whoever ended a saga before them has committed it by now.
OPEN = 2
T = TypeVar("T")


@dataclass(frozen=True)
class Counted:
    """How many, up to a bound."""

    state: str
    count: int

    @property
    def text(self) -> str:
        return f"{MOST:,}+".replace(",", " ") if self.count > MOST else f"{self.count:,}".replace(",", " ")

    @property
    def query(self) -> str:
        """The query string of the list of just these."""
        return _LISTS.get(self.state, f"state={self.state}")


#: What is counted and is no state -> the query string of the list of these.
_LISTS = {"paused": "paused=1", "waiting": "waiting=any"}


def counts() -> dict[str, Counted]:
    """Return how many sagas are in each state, are ``paused``, are ``waiting`` for something outside, need a person.

    By those words; the last under ``attention``.
    """
    return {name: Counted(name, count) for name, count in zip(_COUNTED, _count_all(), strict=True)}


_COUNTED = (*(state.value for state in SagaState), "paused", "waiting", "attention")


def _all() -> list[SagaQuerySet]:
    sagas = Saga.objects
    by_state = [sagas.filter(state=state.value) for state in SagaState]
    return [*by_state, sagas.paused(), sagas.waiting(), sagas.at_attention()]


_count_all = Counts(MOST + 1, _all)


def kept_for(seconds: float) -> Callable[[Callable[[], T]], Callable[[], T]]:
    """Remember a figure for a moment, once per process, however many look."""

    def remembered(figure: Callable[[], T]) -> Callable[[], T]:
        kept: list[tuple[float, T]] = []

        @wraps(figure)
        def remember() -> T:
            if not kept or time.monotonic() - kept[0][0] > seconds:
                kept[:] = [(time.monotonic(), figure())]
            return kept[0][1]

        remember.forget = kept.clear  # type: ignore[attr-defined]  # for tests
        return remember

    return remembered


#: What keeps failing has failed for a while, and the live feed asks several times a second.
failing = kept_for(3)(undelivered)


@dataclass(frozen=True)
class Hour:
    """The last hour."""

    started: Counted
    completed: int
    failed: int
    bars: list[tuple[int, int, int, int]]
    """For each minute: x, height completed, y and height rolled back; in a box of 60 by 24."""
    p50: float | None
    p95: float | None


class Ended:
    """How many sagas ended in each minute, by state; of a minute that is past that is counted once."""

    def __init__(self) -> None:
        self._past: dict[datetime, Counter[str]] = {}

    def since(self, first: datetime) -> list[Counter[str]]:
        """Return one count for each minute of the hour that begins with this one."""
        minutes = [first + timedelta(minutes=n) for n in range(MINUTES)]
        known = {minute: count for minute, count in self._past.items() if minute in minutes}
        begin = max(known) + timedelta(minutes=1) if known else first
        ended = Saga.objects.filter(finished_at__gte=begin).annotate(minute=TruncMinute("finished_at"))
        found = {minute: Counter[str]() for minute in minutes if minute >= begin}
        for minute, state, n in ended.values_list("minute", "state").annotate(n=Count("pk")).order_by():
            found.setdefault(minute, Counter())[state] = n
        all_of_it = (
            {minute: Counter[str]() for minute in minutes} | known | found
        )  # our clock may have been set back
        self._past = {minute: all_of_it[minute] for minute in minutes[:-OPEN]}
        return [all_of_it[minute] for minute in minutes]

    def forget(self) -> None:
        """Count all of them anew."""
        self._past = {}


ended = Ended()


@kept_for(3)
def hour() -> Hour:
    """Look at the last hour: this minute, and those before it."""
    this = timezone.now().replace(second=0, microsecond=0)
    since = this - timedelta(minutes=MINUTES - 1)
    per_minute = ended.since(since)
    latest = Saga.objects.filter(finished_at__gte=since).order_by("-finished_at")
    took = sorted(
        (end - begin).total_seconds()
        for begin, end in latest.values_list("created_at", "finished_at")[:SAMPLE]
        if end
    )
    done = [count[SagaState.COMPLETED.value] for count in per_minute]
    back = [count[SagaState.FAILED.value] for count in per_minute]
    return Hour(
        started=Counted(
            "started", Saga.objects.filter(id__gte=first_id_at(since)).order_by()[: MOST + 1].count()
        ),
        completed=sum(done),
        failed=sum(back),
        bars=_bars(done, back),
        p50=percentile(took, 50),
        p95=percentile(took, 95),
    )


def _bars(done: list[int], back: list[int]) -> list[tuple[int, int, int, int]]:
    tallest = max(max((d + b for d, b in zip(done, back, strict=True)), default=0), 1)

    def scaled(n: int) -> int:
        return max(2, round(48 * n / tallest)) if n else 0

    return [
        (x, scaled(d), 48 - scaled(d) - scaled(b), scaled(b))
        for x, (d, b) in enumerate(zip(done, back, strict=True))
    ]


def percentile(values: list[float], percent: int) -> float | None:
    """Return the smallest value that at least so many percent do not exceed."""
    return values[-(-len(values) * percent // 100) - 1] if values else None


def recent() -> list[Row]:
    """Return the sagas that changed last, of the newest that run and those that ended last.

    The change itself is in no index: one would have to be moved with every step of every saga.
    """
    ended = Saga.objects.filter(finished_at__isnull=False).order_by("-finished_at")
    found = [*for_rows(Saga.objects.active().order_by("-pk"))[:LISTED], *for_rows(ended)[:LISTED]]
    return rows(sorted(found, key=lambda saga: saga.updated_at, reverse=True)[:LISTED])
