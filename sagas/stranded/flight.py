"""What is under way, with which definitions, and which of its steps may yet have to call what they name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from django.db.models import Case, CharField, Count, Exists, OuterRef, Q, QuerySet, Value, When

from sagas.core.definition import COMMANDS, NO_COMMANDS
from sagas.core.words import FORWARD, SagaState, StepStatus, Waiting
from sagas.models import IMPORT, Definition, Saga, Step

_FORWARD = [state.value for state in FORWARD]
_BACK = SagaState.COMPENSATING.value
_COMPLETED = StepStatus.COMPLETED.value
_AHEAD = [StepStatus.PENDING.value, StepStatus.EXECUTING.value]
_UNDOABLE = Q(standing=False) & (
    Q(saga__state__in=_FORWARD, passed=False, status__in=[*_AHEAD, _COMPLETED])
    | Q(saga__state=_BACK, status__in=[StepStatus.EXECUTING.value, _COMPLETED, StepStatus.COMPENSATING.value])
)
_DOABLE = Q(saga__state__in=_FORWARD, status__in=[*_AHEAD, StepStatus.FAILED.value])
#: Which of the steps that are returned below may yet have to begin their child, if they have one.
TO_BEGIN = _DOABLE & ~Q(waiting=Waiting.REPLY.value)
#: Role -> which of them may yet have to call it.
NEEDED = {
    "action": _DOABLE,
    "compensation": _UNDOABLE,
    "probe": _DOABLE | Q(saga__state=_BACK, status=StepStatus.EXECUTING.value),
    "undo_probe": _UNDOABLE,
}


class Flying(NamedTuple):
    """A pinned definition, and how many sagas under way have it."""

    definition: Definition
    sagas: int

    @property
    def grows(self) -> bool:
        """Whether it is a function's: which steps its sagas have stands with each of them."""
        return bool(self.definition.document.get("growing"))


class Need(NamedTuple):
    """A command, or a child, that a step of a type names."""

    saga_type: str
    step: str
    role: str
    name: str


def in_flight(saga_type: str | None = None) -> list[Flying]:
    """Return the definitions of sagas under way, the newest first; of one type, or of all."""
    active = Saga.objects.active()
    if saga_type is not None:
        active = active.filter(saga_type=saga_type)
    counts = dict(active.values_list("definition").annotate(Count("pk")).order_by())
    definitions = Definition.objects.filter(pk__in=counts).order_by("-created_at", "digest")
    return [Flying(definition, counts[definition.pk]) for definition in definitions]


def commands(step: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (role, name) of the commands that a pinned step names."""
    for role in COMMANDS:
        if step.get(role) not in {None, *NO_COMMANDS}:
            yield role, step[role]


def called(role: str) -> str:
    """Return what a role is called where people read it."""
    return role.replace("undo_probe", "probe of the undo")


def needs(flying: Iterable[Flying]) -> dict[Need, list[str]]:
    """Return the commands that the definitions name, each with the digests of those that do."""
    found: dict[Need, list[str]] = defaultdict(list)
    for definition, _ in flying:
        for step in definition.document["steps"]:
            for role, name in commands(step):
                found[Need(definition.saga_type, step["name"], role, name)].append(definition.pk)
    return found


def pinned_steps(flying: Iterable[Flying], digests: Iterable[str]) -> QuerySet[Step]:
    """Return the steps of sagas under way with these definitions; each knows whether its saga's pivot is passed."""
    chosen = set(digests)
    pivots: dict[str, list[str]] = defaultdict(list)
    for definition, _ in flying:
        pivot = next((s["name"] for s in definition.document["steps"] if s.get("pivot")), None)
        if pivot is not None and definition.pk in chosen:
            pivots[pivot].append(definition.pk)
    cases = [When(saga__definition_id__in=those, then=Value(name)) for name, those in pivots.items()]
    pivot_of_each = Case(*cases, default=Value(None), output_field=CharField(null=True))
    return _under_way(chosen).annotate(pivot=pivot_of_each).annotate(passed=_done(name=OuterRef("pivot")))


def grown_steps(flying: Iterable[Flying]) -> QuerySet[Step]:
    """Return what functions under way have asked for; each knows whether its saga's pivot is passed."""
    grown = _under_way([each.definition.pk for each in flying if each.grows]).filter(grown__isnull=False)
    return grown.annotate(passed=_done(grown__step__pivot=True))


def _under_way(digests: Iterable[str]) -> QuerySet[Step]:
    steps = Step.objects.filter(saga__state__in=[*_FORWARD, _BACK], saga__definition_id__in=digests)
    return steps.exclude(saga__origin_kind=IMPORT).order_by()


def _done(**which: Any) -> Exists:
    return Exists(Step.objects.filter(saga_id=OuterRef("saga_id"), status=_COMPLETED, **which))
