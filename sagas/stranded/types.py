"""Saga types that are no longer defined."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from django.db.models import QuerySet
from django.db.models.fields.json import KT

from sagas import registry
from sagas.models import Saga, Step
from sagas.stranded.finding import Finding
from sagas.stranded.flight import TO_BEGIN, Flying, Need, grown_steps, pinned_steps

#: Where the type of a child stands that a function has asked for.
_CHILD = "grown__step__child__saga_type"


def gone(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find sagas whose type is gone, and those whose child has yet to begin and is of such a type."""
    yield from _types(flying)
    yield from _children(flying)
    if any(each.grows for each in flying):
        yield from _grown_children(flying)


def _types(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find types whose class is gone: their sagas run as pinned, but without hooks, edits and restarts."""
    counts: Counter[str] = Counter()
    digests: dict[str, list[str]] = defaultdict(list)
    for definition, sagas in flying:
        own = definition.document.get("flow") and not definition.document["flow"].get("completed")
        if registry.saga_type(definition.saga_type) is None and not own:  # an event by itself has no class
            counts[definition.saga_type] += sagas
            digests[definition.saga_type].append(definition.pk)
    for name, sagas in counts.items():
        ids = Saga.objects.active().filter(definition__in=digests[name]).values_list("pk", flat=True)
        why = f"the saga type {name} is no longer defined; they would end without its hooks"
        yield Finding.of("type", name, None, None, name, why, sagas=sagas, ids=ids, definitions=digests[name])


def _children(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find children by what the definitions say; one that has begun goes on as it is pinned."""
    unknown: dict[Need, list[str]] = defaultdict(list)
    for definition, _ in flying:
        for step in definition.document["steps"]:
            kind = (step.get("child") or {}).get("saga_type")
            if kind is not None and registry.saga_type(kind) is None:
                unknown[Need(definition.saga_type, step["name"], "child", kind)].append(definition.pk)
    for need, digests in unknown.items():
        steps = pinned_steps(flying, digests).filter(TO_BEGIN, name=need.step)
        yield from _orphans(need, steps, digests)


def _grown_children(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find those that functions have asked for."""
    steps = grown_steps(flying).filter(TO_BEGIN, grown__step__child__isnull=False)
    asked = steps.annotate(kind=KT(_CHILD))
    for saga_type, name, kind in asked.values_list("saga__saga_type", "name", "kind").distinct():
        if registry.saga_type(kind) is None:
            these = asked.filter(saga__saga_type=saga_type, name=name, **{_CHILD: kind})
            yield from _orphans(Need(saga_type, name, "child", kind), these, ())


def _orphans(need: Need, steps: QuerySet[Step], digests: Sequence[str]) -> Iterator[Finding]:
    ids = steps.values_list("saga_id", flat=True)
    count = ids.count()
    if count:
        why = f"the saga type {need.name}, the child of step {need.step}, is no longer defined"
        yield Finding.of("child", *need, why, sagas=count, ids=ids, definitions=digests)
