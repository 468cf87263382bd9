"""What a deploy would strand: sagas under way that need what the code in this tree does not have.

The pinned definitions are looked at first, and of the sagas only those that still need what is missing:
the number of statements depends on how much is missing, never on how many sagas there are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Case, CharField, Count, Exists, F, Min, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields.json import KT
from pydantic import BaseModel, ValidationError

from sagas import registry
from sagas.core import messages as m
from sagas.core.definition import CANNOT_UNDO, COMMANDS, FUNCTION
from sagas.core.waits import APPROVAL, OF_CHILDREN, TIMER
from sagas.core.words import FORWARD, SagaState, StepStatus, Waiting
from sagas.models import IMPORT, Definition, Process, Saga, SagaQuerySet, Step
from sagas.orchestrator import loading, rehearsal
from sagas.orchestrator.loading import Held

#: How many sagas are named for each finding.
EXAMPLES = 3
#: Sagas, for each command with a model, whose data is held against it.
LOOKED_AT = 200
#: What stands where a command's name would, and is none.
_WORDS = frozenset({CANNOT_UNDO, TIMER, APPROVAL, *OF_CHILDREN})
#: What a step names that has to be called.
ROLES = COMMANDS


@dataclass(frozen=True)
class Finding:
    """Some sagas of one type that the present code would strand, and where."""

    kind: str
    """handler: nobody handles a command; type: the class is gone; child: that of a child yet to begin is; data: the
    handler's model refuses what is pinned; function: the function no longer does what is recorded."""
    saga_type: str
    step: str | None
    role: str | None
    name: str
    """The command's name, or the type's; of a child its own."""
    sagas: int
    ids: Iterable[Any] = field(repr=False, compare=False)
    """Theirs; read from the database when it is asked for."""
    examples: tuple[str, ...]
    why: str
    """The end of a sentence about them."""
    elsewhere: bool = False
    """A worker that is, or was lately, alive serves the command's queue, and no handler of ours is on it."""
    definitions: tuple[str, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        if self.sagas > 1:
            return f"{self.sagas} running sagas of type {self.saga_type}, {self.examples[0]} among them: {self.why}."
        return f"Running saga {', '.join(self.examples)} of type {self.saga_type}: {self.why}."

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "ids"}


class _Need(NamedTuple):
    """A command that the steps of a type need, by the step's name and the command's role."""

    saga_type: str
    step: str
    role: str
    name: str


def findings(saga_type: str | None = None) -> list[Finding]:
    """Return everything that would strand a saga under way, of one type or of any; the certain first."""
    flying = in_flight(saga_type)
    served = _served_elsewhere()
    missing = {need: ds for need, ds in _needs(flying).items() if registry.handler(need.name) is None}
    growing = [each.definition.pk for each in flying if each.definition.document.get("growing")]
    grown = [*_unhandled_grown(growing, served), *_differing(growing)] if growing else []
    children = [*_childless(flying), *(_childless_grown(growing) if growing else ())]
    found = [*_types(flying), *_unhandled(flying, missing, served), *children, *_refused(flying), *grown]
    return sorted(found, key=lambda f: (f.elsewhere, f.saga_type, f.step or "", f.role or ""))


class Flying(NamedTuple):
    """A pinned definition, and how many sagas under way have it."""

    definition: Definition
    sagas: int


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
    for role in ROLES:
        if step.get(role) not in {None, *_WORDS}:
            yield role, step[role]


def called(role: str) -> str:
    """Return what a role is called where people read it."""
    return role.replace("undo_probe", "probe of the undo")


def _needs(flying: Iterable[Flying]) -> dict[_Need, list[str]]:
    """Return what the definitions name, each with the digests of those that name it."""
    found: dict[_Need, list[str]] = defaultdict(list)
    for definition, _ in flying:
        for step in definition.document["steps"]:
            for role, name in commands(step):
                found[_Need(definition.saga_type, step["name"], role, name)].append(definition.pk)
    return found


def _types(flying: Iterable[Flying]) -> Iterator[Finding]:
    """Find types whose class is gone: their sagas run as pinned, but without hooks, edits and restarts."""
    counts: Counter[str] = Counter()
    digests: dict[str, list[str]] = defaultdict(list)
    for definition, sagas in flying:
        own = definition.document.get("flow") and not definition.document["flow"].get("completed")
        if registry.saga_type(definition.saga_type) is None and not own:  # an event by itself has no class
            counts[definition.saga_type] += sagas
            digests[definition.saga_type].append(definition.pk)
    for name, sagas in counts.items():
        some = Saga.objects.active().filter(definition__in=digests[name]).values_list("pk", flat=True)
        why = f"the saga type {name} is no longer defined; they would end without its hooks"
        yield Finding(
            "type", name, None, None, name, sagas, some, _texts(some), why, False, tuple(digests[name])
        )


def _unhandled(
    flying: Iterable[Flying], missing: Mapping[_Need, list[str]], served: frozenset[str]
) -> Iterator[Finding]:
    """Find sagas that still need a command which nobody handles here."""
    if not missing:
        return
    steps = _steps(flying, {digest for digests in missing.values() for digest in digests})
    asked = steps.filter(name__in={need.step for need in missing}).values("saga__definition_id", "name")
    counted = asked.annotate(**{f"in_{role}": Count("pk", filter=_NEEDED[role]) for role in ROLES})
    rows = {(row["saga__definition_id"], row["name"]): row for row in counted.order_by()}
    for need, digests in missing.items():
        count = sum(rows.get((digest, need.step), {}).get(f"in_{need.role}", 0) for digest in digests)
        if count:
            these = steps.filter(_NEEDED[need.role], saga__definition_id__in=digests, name=need.step)
            some = these.values_list("saga_id", flat=True)
            there = registry.queue_for(need.name) in served
            yield Finding(
                "handler", need.saga_type, need.step, need.role, need.name, count, some,
                _texts(some), _why(need, there=there), there, tuple(digests),
            )  # fmt: skip


def _unhandled_grown(growing: Sequence[str], served: frozenset[str]) -> Iterator[Finding]:
    """Find sagas of functions that still need, for a step that was asked for, a command which nobody handles here."""
    done = {"saga_id": OuterRef("saga_id"), "status": _COMPLETED, "grown__step__pivot": True}
    under_way = Step.objects.filter(grown__isnull=False, saga__definition__in=growing)
    steps = (
        under_way.filter(saga__state__in=[*_FORWARD, _BACK])
        .exclude(saga__origin_kind=IMPORT)
        .annotate(passed=Exists(Step.objects.filter(**done)))
        .order_by()
    )
    for role in ROLES:
        where: Any = role if role in {"action", "compensation"} else KT(f"grown__step__{role}")
        asked = steps.filter(_NEEDED[role]).annotate(command=F(role) if where == role else where)
        counts = asked.values("saga__saga_type", "command").annotate(
            sagas=Count("saga_id", distinct=True), step=Min("name")
        )
        for row in counts.exclude(command=None).order_by():
            need = _Need(row["saga__saga_type"], row["step"], role, row["command"])
            if need.name in _WORDS or registry.handler(need.name) is not None:
                continue
            these = asked.filter(command=need.name, saga__saga_type=need.saga_type)
            some = these.values_list("saga_id", flat=True).distinct()
            there = registry.queue_for(need.name) in served
            yield Finding("handler", *need, row["sagas"], some, _texts(some), _why(need, there=there), there)


def _childless(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find sagas with a child yet to begin whose type is gone; one that has begun goes on as it is pinned."""
    gone: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for definition, _ in flying:
        for step in definition.document["steps"]:
            kind = (step.get("child") or {}).get("saga_type")
            if kind is not None and registry.saga_type(kind) is None:
                gone[definition.saga_type, step["name"], kind].append(definition.pk)
    for (saga_type, name, kind), digests in gone.items():
        steps = _steps(flying, digests).filter(_TO_BEGIN, name=name)
        yield from _orphan(saga_type, name, kind, steps, tuple(digests))


def _childless_grown(growing: Sequence[str]) -> Iterator[Finding]:
    """Find sagas of functions that have asked for such a child."""
    steps = Step.objects.filter(_TO_BEGIN, saga__definition__in=growing, grown__step__child__isnull=False)
    asked = (
        steps.exclude(saga__origin_kind=IMPORT).annotate(kind=KT("grown__step__child__saga_type")).order_by()
    )
    for saga_type, name, kind in asked.values_list("saga__saga_type", "name", "kind").distinct():
        if registry.saga_type(kind) is None:
            where = {"saga__saga_type": saga_type, "grown__step__child__saga_type": kind}
            these = asked.filter(name=name, **where)
            yield from _orphan(saga_type, name, kind, these, ())


def _orphan(
    saga_type: str, step: str, kind: str, steps: QuerySet[Step], digests: tuple[str, ...]
) -> Iterator[Finding]:
    some = steps.values_list("saga_id", flat=True)
    count = some.count()
    if count:
        why = f"the saga type {kind}, the child of step {step}, is no longer defined"
        yield Finding("child", saga_type, step, "child", kind, count, some, _texts(some), why, False, digests)


#: Sagas that are read, and replayed, at once.
REPLAYED = 100
#: More different reasons than people would read; what is beyond is counted with the last.
REASONS = 50


def _differing(growing: Sequence[str]) -> Iterator[Finding]:
    """Find sagas whose function does not do again what is recorded: each is run here, up to what it waits for."""
    active: SagaQuerySet = Saga.objects.active()
    forward = active.filter(definition__in=growing, state__in=_FORWARD).order_by("pk")
    found: dict[tuple[str, str, str], list[UUID]] = {}
    last: UUID | None = None
    while page := list(
        (forward.filter(pk__gt=last) if last else forward).values_list("pk", flat=True)[:REPLAYED]
    ):
        last = page[-1]
        for held in loading.read(page):
            why = _difference(held)
            if why is not None:
                key = (held.saga_type, held.definition.step(FUNCTION).action, why)
                found.setdefault(key if len(found) < REASONS else next(reversed(found)), []).append(held.id)
    for (saga_type, name, why), ids in found.items():
        text = f"the function does not do again what is recorded: {why}"
        yield Finding(
            "function", saga_type, FUNCTION, "action", name, len(ids), ids,
            tuple(str(pk) for pk in ids[:EXAMPLES]), text,
        )  # fmt: skip


def _difference(held: Held) -> str | None:
    """Run a saga's function against its record; return what does not fit, if anything."""
    try:
        said = rehearsal.rehearse(held)
    except LookupError:
        return None  # that is told already
    return said.error if isinstance(said, m.Unserved) else None


def _why(need: _Need, *, there: bool) -> str:
    who = (
        f"only a process with other code serves the queue of {need.name}"
        if there
        else f"nobody handles {need.name}"
    )
    return f"{who}, the {called(need.role)} of step {need.step}"


def _texts(ids: QuerySet[Any, UUID]) -> tuple[str, ...]:
    return tuple(str(each) for each in ids[:EXAMPLES])


def _steps(flying: Iterable[Flying], digests: Iterable[str]) -> QuerySet[Step]:
    """Return the steps of sagas under way with these definitions; each knows whether its saga's pivot is passed."""
    chosen = set(digests)
    pivots: dict[str, list[str]] = defaultdict(list)
    for definition, _ in flying:
        pivot = next((s["name"] for s in definition.document["steps"] if s.get("pivot")), None)
        if pivot is not None and definition.pk in chosen:
            pivots[pivot].append(definition.pk)
    cases = [When(saga__definition_id__in=those, then=Value(name)) for name, those in pivots.items()]
    pivot_done = Step.objects.filter(saga_id=OuterRef("saga_id"), name=OuterRef("pivot"), status=_COMPLETED)
    under_way = Step.objects.filter(saga__state__in=[*_FORWARD, _BACK], saga__definition_id__in=chosen)
    return (
        under_way.exclude(saga__origin_kind=IMPORT)
        .annotate(pivot=Case(*cases, default=Value(None), output_field=CharField(null=True)))
        .annotate(passed=Exists(pivot_done))
        .order_by()
    )


_FORWARD = [state.value for state in FORWARD]
_BACK = SagaState.COMPENSATING.value
_COMPLETED = StepStatus.COMPLETED.value
_AHEAD = [StepStatus.PENDING.value, StepStatus.EXECUTING.value]
_UNDOABLE = Q(standing=False) & (
    Q(saga__state__in=_FORWARD, passed=False, status__in=[*_AHEAD, _COMPLETED])
    | Q(saga__state=_BACK, status__in=[StepStatus.EXECUTING.value, _COMPLETED, StepStatus.COMPENSATING.value])
)
_DOABLE = Q(saga__state__in=_FORWARD, status__in=[*_AHEAD, StepStatus.FAILED.value])
#: Which steps may yet have to begin their child, if they have one.
_TO_BEGIN = _DOABLE & ~Q(waiting=Waiting.REPLY.value)
#: Role -> which steps may yet have to call it.
_NEEDED = {
    "action": _DOABLE,
    "compensation": _UNDOABLE,
    "probe": _DOABLE | Q(saga__state=_BACK, status=StepStatus.EXECUTING.value),
    "undo_probe": _UNDOABLE,
}


def _served_elsewhere() -> frozenset[str]:
    """Return the queues that only workers with other code than ours can be there for."""
    told = Process.objects.filter(kind=Process.WORKER).values_list("queues", flat=True)
    return frozenset(queue for queues in told for queue in queues) - set(registry.queues())


def _refused(flying: list[Flying]) -> Iterator[Finding]:
    """Find sagas whose data the handler of a command that they still need would refuse."""
    directed = [each for each in flying if "flow" not in each.definition.document]
    for need, digests in _needs(directed).items():  # what an event will bring along is not known yet
        handler = registry.handler(need.name)
        if handler is None or handler.model is None:
            continue
        inputs = {d.pk: _own_input(d, need.step) for d, _ in flying if d.pk in digests}
        steps = _steps(flying, digests).filter(_NEEDED[need.role], name=need.step)
        listed = list(steps.values_list("saga_id", "saga__definition_id", "saga__data", "input")[:LOOKED_AT])
        wrong = {
            str(saga): said
            for saga, digest, data, sent in listed
            if (
                said := _refusal(
                    handler.model, {**(sent or data or {}), **_extras(saga, need), **inputs[digest]}
                )
            )
        }
        if wrong:
            yield _refused_finding(need, wrong, len(listed), tuple(digests))


def _refused_finding(
    need: _Need, wrong: Mapping[str, str], looked_at: int, digests: tuple[str, ...]
) -> Finding:
    said = next(iter(wrong.values()))
    most = f" (of the {looked_at} that were looked at)" if looked_at == LOOKED_AT else ""
    why = f"{need.name}, the {called(need.role)} of step {need.step}, would reject their data{most}: {said}"
    examples = tuple(list(wrong)[:EXAMPLES])
    return Finding("data", *need, len(wrong), tuple(wrong), examples, why, False, digests)


def _own_input(definition: Definition, name: str) -> Mapping[str, Any]:
    return next((s.get("input") or {} for s in definition.document["steps"] if s["name"] == name), {})


def _extras(saga: UUID, need: _Need) -> dict[str, Any]:
    """Return what a handler gets beside the data."""
    undo = {"original_result": None} if need.role in {"compensation", "undo_probe"} else {}
    return {"saga_id": str(saga), "step_name": need.step, "results": {}, **undo}


#: Results of steps are only there once those have run; that one is missing now tells nothing.
_NOT_YET = frozenset({"results", "original_result"})


def _refusal(model: type[BaseModel], values: Mapping[str, Any]) -> str | None:
    """Return why a model refuses these values, if it does."""
    try:
        model.model_validate(dict(values))
    except ValidationError as wrong:
        errors = [e for e in wrong.errors(include_url=False) if e["loc"][:1] and e["loc"][0] not in _NOT_YET]
        return f"{'.'.join(str(part) for part in errors[0]['loc'])}: {errors[0]['msg']}" if errors else None
    return None
