"""Batches as the desk shows them: what was asked for, how far they are, and the form that begins one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate
from typing import Any

from django.http import HttpRequest, QueryDict

from sagas import orchestrator
from sagas.core.words import SagaState
from sagas.dashboard.filters import Filters, moment_of
from sagas.dashboard.numbers import typed, whole
from sagas.models import Batch, BatchItem
from sagas.orchestrator import (
    BATCH_PERMISSION,
    BATCH_VERBS,
    LARGEST,
    MOST_UNDER_WAY,
    VERBS,
    Course,
    boundary,
    permission,
)

#: How an item stands -> what it is called, and its glyph.
ITEMS: Mapping[str, tuple[str, str]] = {
    BatchItem.WELL: ("went well", "completed"),
    BatchItem.FAILED: ("went wrong", "attention"),
    BatchItem.REFUSED: ("left alone", "skipped"),
    BatchItem.ACTED: ("under way", "pending"),
    BatchItem.WAITING: ("to come", "started"),
}
#: State of a batch -> the glyph and the colour of a saga's state that stands for it.
STATES: Mapping[str, str] = {
    Batch.RUNNING: "pending",
    Batch.PAUSED: "paused",
    Batch.DONE: "completed",
    Batch.CANCELLED: "failed",
}
#: How wide a batch's bar is, in units of its own.
WIDTH = 1000
#: State that is filtered for -> the verbs that its sagas may be in need of; any other: none.
_OFFERED: Mapping[str, Sequence[str]] = {
    "": ("retry", "compensate"),
    SagaState.STARTED: ("retry", "compensate"),
    SagaState.PENDING: ("retry", "compensate"),
    SagaState.COMPENSATING: ("retry",),
    SagaState.FAILED: ("restart",),
}
#: Verbs by which more sagas are acted on than before: they need the permission for that, too.
_GOES_ON = frozenset({"resume", "release"})


def offered(filters: Filters, user: Any) -> list[tuple[str, str]]:
    """Return the verbs, with their labels, that all sagas of a list may be acted on with, by this user."""
    if not filters.active or filters.problems or not user.has_perm(BATCH_PERMISSION):
        return []
    verbs = _OFFERED.get(filters.state, ())
    return [(verb, VERBS[verb]) for verb in verbs if user.has_perm(permission(verb))]


def verbs_for(user: Any, shown: "Shown") -> list[tuple[str, str, str, str]]:
    """Return a batch's verbs with what they are called and would do, each with the permission that this user lacks."""
    return [(verb, label, says, _lacks(user, shown.batch, verb)) for verb, label, says in shown.verbs]


def _lacks(user: Any, batch: Batch, verb: str) -> str:
    """Return the permission without which the orchestrator would refuse; empty if the user has all."""
    needed = [BATCH_PERMISSION, *([permission(batch.verb)] if verb in _GOES_ON else [])]
    return next((each for each in needed if not user.has_perm(each)), "")


@dataclass(frozen=True)
class Form:
    """What a batch is asked for, as it was typed."""

    filters: Filters
    verb: str
    waves: str
    per_second: str
    stop_above: str
    seen_at: datetime | None
    total: int | None
    """Of the preview."""

    @classmethod
    def read(cls, request: HttpRequest, verb: str) -> "Form":
        """Read it from what was sent, or from the link that leads here."""
        sent, usual = request.POST, Course()
        asked = QueryDict(sent.get("list", "")) if request.method == "POST" else request.GET
        return cls(
            filters=Filters.read(asked),
            verb=verb,
            waves=sent.get("waves", ", ".join(map(str, usual.waves))).strip()[:200],
            per_second=sent.get("per_second", f"{usual.per_second:g}").strip()[:20],
            stop_above=sent.get("stop_above", str(usual.stop_above)).strip()[:20],
            seen_at=moment_of(sent.get("seen_at", "")),
            total=whole(sent.get("total", ""), LARGEST),
        )

    @property
    def course(self) -> Course:
        """How it is to go on. Raises Invalid for what cannot be read, or is none."""
        wave = "numbers, such as 1, 5, 25"
        waves = tuple(typed("waves", each, int, wave) for each in self.waves.replace(",", " ").split())
        pace = typed("per_second", self.per_second, float)
        above = typed("stop_above", self.stop_above, int) if self.stop_above else None
        course = Course(waves, pace, above)
        course.check()
        return course


@dataclass(frozen=True)
class Part:
    """The sagas of a batch that stand alike: a piece of its bar, and a link."""

    state: str
    label: str
    glyph: str
    count: int
    start: int
    """Where its piece of the bar begins, and how wide it is, of WIDTH."""
    width: int


@dataclass(frozen=True)
class Shown:
    """A batch, and how far it is."""

    batch: Batch
    counts: Mapping[str, int]
    width: int = field(default=WIDTH)

    @classmethod
    def of(cls, batches: Iterable[Batch]) -> list["Shown"]:
        """Count the sagas of batches."""
        listed = list(batches)
        counted = orchestrator.counts(listed)
        return [cls(batch, counted[batch.pk]) for batch in listed]

    @property
    def verbs(self) -> list[tuple[str, str, str]]:
        """What can be done to it: the verb, its label, and what it would do."""
        possible = orchestrator.batch_verbs(self.batch, self.counts)
        return [(verb, BATCH_VERBS[verb], says) for verb, says in possible.items()]

    @property
    def label(self) -> str:
        """The verb, as a button says it."""
        return VERBS[self.batch.verb]

    @property
    def glyph(self) -> str:
        """The glyph of its state."""
        return STATES[self.batch.state]

    @property
    def had_their_turn(self) -> int:
        """How many sagas had their turn."""
        return self.batch.total - self.counts[BatchItem.WAITING]

    @property
    def parts(self) -> list[Part]:
        """The pieces of its bar, from what went well to what is to come."""
        counted = [self.counts[state] for state in ITEMS]
        ends = [end * WIDTH // self.batch.total for end in accumulate(counted)]
        starts = [0, *ends[:-1]]
        return [
            Part(state, *ITEMS[state], count, start, end - start)
            for state, count, start, end in zip(ITEMS, counted, starts, ends, strict=True)
        ]

    @property
    def sentence(self) -> str:
        """Where it stands, in a sentence."""
        batch, under_way = self.batch, self.counts[BatchItem.ACTED]
        if batch.state == Batch.PAUSED:
            return batch.note or "Paused: no further saga has its turn."
        if batch.over:
            to_come = self.counts[BatchItem.WAITING]
            told = (
                f"Cancelled: {to_come} had no turn."
                if batch.state == Batch.CANCELLED
                else "All had their turn."
            )
            return f"{told} It is not known yet what came of {under_way}." if under_way else told
        end = boundary(batch)
        waves = sum(each < batch.total for each in accumulate(batch.waves)) + 1
        wave = f"Wave {min(batch.wave, waves - 1) + 1} of {waves}: " if waves > 1 else ""
        if batch.note:
            return batch.note
        if under_way >= MOST_UNDER_WAY:
            return (
                f"{wave}no more than {under_way} are under way at once; {self.had_their_turn} had their turn."
            )
        if self.had_their_turn < end:
            return f"{wave}{self.had_their_turn} of {end} had their turn."
        return f"{wave}all {end} had their turn; it is not known yet what came of {under_way}."
