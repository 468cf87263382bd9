"""What a batch would do: which sagas its verb is for, in which waves, at what pace, and when it pauses by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet

from sagas.clock import database_now
from sagas.core.words import Attention, SagaState
from sagas.models import IMPORT, RESTART, PausedQueue, Saga, SagaQuerySet, Step
from sagas.orchestrator.asked import VERBS, Asked, Invalid
from sagas.orchestrator.operators import check_operator, check_words, permission
from sagas.orchestrator.restarting import TAKES_PART

#: The verbs that a batch can carry out -> which sagas they are for. They say the same of every saga.
BATCHED: Mapping[str, str] = {
    "retry": "that asks for a person and can be retried",
    "compensate": "that is on its way forward",
    "restart": "that failed and was not restarted",
}
#: What a step asks for that no retry helps.
NOT_RETRIED = (Attention.LATE_EFFECT, Attention.CANNOT_UNDO)
#: The permission for batches, beside that for the verb itself.
BATCH_PERMISSION = "sagas.run_batch"
#: Sagas of one batch, at most.
LARGEST = 10_000
#: Sagas a second, at least and at most: it is about as many as one clock can act on.
SLOWEST, FASTEST = 0.01, 20.0
#: Waves before the last one, at most.
MOST_WAVES = 20
#: Sagas that are shown one by one before it begins.
SHOWN = 5
#: For how many seconds a saga must not have moved when it is looked for: who looks does not see what commits just now.
SETTLED = timedelta(seconds=1)


@dataclass(frozen=True)
class Course:
    """How a batch goes on."""

    waves: Sequence[int] = (1, 5, 25)
    """How many sagas the first waves have; then come all others."""
    per_second: float = 10.0
    stop_above: int | None = 20
    """It pauses when more percent of its sagas go wrong again; None: never."""

    def check(self) -> None:
        """Raise Invalid for what is none."""
        if len(self.waves) > MOST_WAVES:
            raise Invalid("waves", f"must be at most {MOST_WAVES}")
        if not all(_is_whole(size) and 0 < size <= LARGEST for size in self.waves):
            raise Invalid("waves", f"must be whole numbers from 1 to {LARGEST}")
        if not _is_number(self.per_second) or not SLOWEST <= self.per_second <= FASTEST:
            raise Invalid("per_second", f"must be from {SLOWEST:g} to {FASTEST:g}")
        if self.stop_above is not None and not (_is_whole(self.stop_above) and 0 <= self.stop_above < 100):
            raise Invalid("stop_above", "must be a percentage from 0 to 99, or left out")


@dataclass(frozen=True)
class Alike:
    """Sagas of a batch that are alike."""

    saga_type: str
    state: str
    count: int
    step: str = ""
    """Of a retry: the step that asks for a person."""
    attention: str = ""


@dataclass(frozen=True)
class BatchPlan:
    """What a batch would do, before it begins."""

    verb: str
    total: int
    matching: int
    """How many match, with those that the verb is not for."""
    alike: Sequence[Alike]
    first: Sequence[Saga]
    """Those that come first, to be looked at one by one."""
    seen_at: datetime
    """What moves after that is not taken by a batch that is begun with it."""
    sentences: Sequence[str]

    @property
    def possible(self) -> bool:
        """Whether it can begin."""
        return 0 < self.total <= LARGEST

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "verb": self.verb,
            "total": self.total,
            "matching": self.matching,
            "possible": self.possible,
            "sentences": list(self.sentences),
            "alike": [asdict(each) for each in self.alike],
            "first": [str(saga.pk) for saga in self.first],
            "seen_at": self.seen_at.isoformat(),
        }


def preview_batch(verb: str, sagas: SagaQuerySet, asked: Asked, course: Course) -> BatchPlan:
    """Say what a batch would do with the sagas that match, and change nothing. Raises Forbidden and Invalid."""
    check(verb, asked, course)
    seen_at = settled_by()
    found = applicable(verb, sagas, seen_at)
    total, matching = found.count(), sagas.count()
    told = tuple(_sentences(verb, total, matching, course))
    return BatchPlan(
        verb, total, matching, _alike(verb, found), list(found.order_by("pk")[:SHOWN]), seen_at, told
    )


def check(verb: str, asked: Asked, course: Course) -> None:
    """Raise Invalid or Forbidden unless this can be asked for, and by whom it is."""
    if verb not in BATCHED:
        raise Invalid("verb", f"{verb!r} is not for many sagas at once; there are {', '.join(BATCHED)}")
    check_operator(asked, BATCH_PERMISSION, "act on many sagas at once")
    check_operator(asked, permission(verb), f"{VERBS[verb].lower()} sagas")
    check_words(asked)
    course.check()


def settled_by() -> datetime:
    """Return the moment since which a saga that is taken must not have moved."""
    return database_now() - SETTLED


def applicable(verb: str, sagas: SagaQuerySet, seen_at: datetime) -> SagaQuerySet:
    """Return those that a verb is for, as their rows say; each is asked again when its turn comes."""
    ours = sagas.filter(updated_at__lte=min(seen_at, settled_by()), paused=False).exclude(origin_kind=IMPORT)
    if verb == "retry":
        return ours.at_attention().filter(Exists(_retriable().filter(saga=OuterRef("pk"))))
    if verb == "compensate":
        return ours.forward()
    again = Saga.objects.filter(origin=OuterRef("pk"), origin_kind=RESTART)
    failed = ours.filter(state=SagaState.FAILED, attention__isnull=True)
    return failed.exclude(origin_kind__in=TAKES_PART).exclude(Exists(again))


def _retriable() -> QuerySet[Step]:
    return Step.objects.filter(attention__isnull=False).exclude(attention__in=NOT_RETRIED)


def nothing(verb: str) -> str:
    """Say that a verb is for none of those that match."""
    return f"No saga matches {BATCHED[verb]}, or each has moved since you looked."


def too_many(total: int) -> str:
    """Say that more match than one batch takes."""
    return f"{total} sagas match, and one batch takes at most {LARGEST}: narrow the filters."


def sagas_counted(count: int) -> str:
    """Write a number of sagas."""
    return "1 saga" if count == 1 else f"{count} sagas"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _alike(verb: str, found: SagaQuerySet) -> list[Alike]:
    if verb != "retry":
        kinds = found.values_list("saga_type", "state").annotate(n=Count("pk")).order_by("-n", "saga_type")
        return [Alike(*kind) for kind in kinds]
    steps = _retriable().filter(saga__in=found)
    counted = steps.values("saga__saga_type", "saga__state", "name", "attention").annotate(n=Count("pk"))
    return [
        Alike(each["saga__saga_type"], each["saga__state"], each["n"], each["name"], each["attention"] or "")
        for each in counted.order_by("-n", "saga__saga_type", "name")
    ]


def _sentences(verb: str, total: int, matching: int, course: Course) -> list[str]:
    if not total:
        return [nothing(verb)]
    if total > LARGEST:
        return [too_many(total)]
    sizes = [size for size, end in zip(course.waves, accumulate(course.waves), strict=True) if end < total]
    does = {
        "retry": "retries the steps that ask for a person in",
        "compensate": "rolls back",
        "restart": "starts anew",
    }
    told = [
        f"It {does[verb]} {sagas_counted(total)}, the oldest first{_in_waves(sizes, total)}, "
        f"at most {course.per_second:g} a second."
    ]
    if sizes:
        told.append("A wave begins once it is known what came of each saga of the wave before.")
    if course.stop_above is not None:
        told.append(
            f"It pauses by itself when more than {course.stop_above} % of those of which it is known went wrong again."
        )
    told += [
        "Each is done only if its saga is then still as it is now, and the verb applies; "
        "others are left alone, and listed.",
        "It goes on with nobody looking, and can be paused, resumed and cancelled; what was done stays done.",
    ]
    if pauses := sorted(PausedQueue.names()):
        told.append(f"What calls a paused queue waits until that is resumed: {', '.join(pauses)}.")
    if matching > total:
        told.append(_left_alone(matching - total))
    return told


def _left_alone(count: int) -> str:
    if count == 1:
        return "1 more matches, and is left alone: it is not for that one, or it is paused, or moved a moment ago."
    return f"{count} more match, and are left alone: it is not for them, they are paused, or they moved a moment ago."


def _in_waves(sizes: Sequence[int], total: int) -> str:
    if not sizes:
        return ""
    return f": first {', then '.join(map(str, sizes))}, then the other {total - sum(sizes)}"
