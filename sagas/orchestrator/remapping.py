"""Commands that are called by other names now: sagas under way follow, one operator action and one event for each.

Only names change: a command's number and its idempotency key have no name in them, so whatever was sent
is known to its participant under the new name, too. What a worker holds at that moment is left as it is.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from sagas import registry
from sagas.core import messages as m
from sagas.core.decide import Refused
from sagas.core.definition import COMMANDS, NO_COMMANDS, SagaDefinition
from sagas.core.words import Attention
from sagas.models import Definition, Due, OperatorAction, Process, Saga, SagaQuerySet, Step
from sagas.orchestrator import ledger, loading, pins, trail
from sagas.orchestrator.asked import Asked, Invalid
from sagas.orchestrator.operators import check_operator, check_reason, check_words, permission

#: Sagas that are decided and written in one transaction.
BATCH = 100
#: How many of them are named in a preview.
EXAMPLES = 3

Names = Mapping[str, str]
"""Old name -> new name."""


@dataclass(frozen=True)
class Affected:
    """The sagas under way of one type whose pinned step names a command that would be called otherwise."""

    saga_type: str
    step: str
    role: str
    """action, compensation, probe or undo_probe."""
    old: str
    new: str
    sagas: int
    go_on: int
    """Of those, how many wait for a person because nobody handles it: they would go on."""
    claimed: int
    """Of those, for how many a worker holds that command now: they would be left as they are."""
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Remapped:
    """What became of some sagas."""

    done: Sequence[UUID]
    left: Mapping[UUID, str]
    """Those that were left as they are, and why."""


def at_misconfigured(ids: Iterable[UUID]) -> list[tuple[UUID, str]]:
    """Return which of these sagas have a step that somebody has to try again once its mistake is mended."""
    stopped = Step.objects.filter(saga_id__in=ids, attention=Attention.MISCONFIGURED.value)
    return list(stopped.order_by("saga_id", "name").values_list("saga_id", "name"))


def affected(names: Names, saga_type: str | None = None) -> list[Affected]:
    """Say what :func:`remap` would change: a few statements for each step, however many sagas. Raises Invalid."""
    _check_names(names)
    found: dict[tuple[str, str, str, str], list[str]] = defaultdict(list)
    flying = _in_flight(names, saga_type)
    for definition in flying:
        for step in definition.document["steps"]:
            for role in COMMANDS:
                if step.get(role) in names:
                    found[definition.saga_type, step["name"], role, step[role]].append(definition.pk)
    pinned = [
        _affected(*place, names, Saga.objects.active().filter(definition__in=digests))
        for place, digests in sorted(found.items())
    ]
    return [*pinned, *_affected_functions(names, saga_type)]


def remap(names: Names, asked: Asked, saga_type: str | None = None) -> Iterator[Remapped]:
    """Have the sagas under way call commands by their new names; yield what became of each batch, once committed.

    Each is an operator action of its own, with an event in the saga's log. A saga of which a worker holds such a
    command is left: ask again. May be stopped, and repeated, at any time. Raises Forbidden and Invalid.
    """
    _check_names(names)
    check_operator(asked, permission("remap"), "have commands called by other names")
    check_reason(asked)
    check_words(asked)
    digests = [definition.pk for definition in _in_flight(names, saga_type)]
    grown = [_naming(role, list(names), saga_type).values("saga") for role in COMMANDS]
    chosen = reduce(or_, (Q(pk__in=some) for some in grown), Q(definition__in=digests))
    ids = Saga.objects.active().filter(chosen).order_by("pk").values_list("pk", flat=True)
    page = list(ids[:BATCH])
    while page:
        yield _remap(page, names, asked)
        page = list(ids.filter(pk__gt=page[-1])[:BATCH])


def _check_names(names: Names) -> None:
    if not names:
        raise Invalid("old", "no command has a former name; say which is to be called by which other name")
    for old, new in names.items():
        for field, name in (("old", old), ("new", new)):
            if not isinstance(name, str) or not 0 < len(name) <= 200 or name in NO_COMMANDS:
                raise Invalid(field, f"must be a command's name, not {name!r}")
        if old == new:
            raise Invalid("new", f"{old} is called so already")
        if registry.handler(new) is None and not _served(registry.queue_for(new)):
            raise Invalid(
                "new",
                f"nobody handles {new}, and no worker serves its queue; sagas would only be stranded anew",
            )


def _served(queue: str) -> bool:
    told = Process.objects.filter(kind=Process.WORKER).values_list("queues", flat=True)
    return any(queue in queues for queues in told)


def _in_flight(names: Names, saga_type: str | None) -> list[Definition]:
    """Return the definitions of sagas under way that name one of the old names."""
    active: SagaQuerySet = Saga.objects.active()
    chosen = active.filter(saga_type=saga_type) if saga_type is not None else active
    definitions = Definition.objects.filter(pk__in=chosen.order_by().values("definition").distinct())
    return [each for each in definitions if _names_one(each, names)]


def _names_one(definition: Definition, names: Names) -> bool:
    return any(step.get(role) in names for step in definition.document["steps"] for role in COMMANDS)


def _naming(role: str, names: Sequence[str], saga_type: str | None) -> QuerySet[Step]:
    """Return the steps that functions under way have asked for, and that name one of these commands."""
    where = role if role in {"action", "compensation"} else f"grown__step__{role}"
    found = Step.objects.filter(grown__isnull=False, saga__in=Saga.objects.active())
    chosen = found if saga_type is None else found.filter(saga__saga_type=saga_type)
    return chosen.filter(reduce(or_, (Q(**{where: name}) for name in names)))


def _affected_functions(names: Names, saga_type: str | None) -> Iterator[Affected]:
    for role in COMMANDS:
        for old in sorted(names):
            places = (
                _naming(role, [old], saga_type).order_by().values_list("saga__saga_type", "name").distinct()
            )
            for kind, step in sorted(places):
                steps = _naming(role, [old], kind).filter(name=step)
                yield _affected(
                    kind, step, role, old, names, Saga.objects.filter(pk__in=steps.values("saga"))
                )


def _affected(saga_type: str, step: str, role: str, old: str, names: Names, sagas: SagaQuerySet) -> Affected:
    steps = Step.objects.filter(saga__in=sagas, name=step)
    waits = steps.filter(attention=Attention.NO_HANDLER.value)
    held = Due.objects.filter(saga__in=sagas, step=step, name=old, lease_token__isnull=False)
    counts = sagas.aggregate(sagas=Count("pk"))
    return Affected(
        saga_type, step, role, old, names[old], counts["sagas"], waits.count(), held.count(),
        tuple(str(pk) for pk in sagas.order_by("pk").values_list("pk", flat=True)[:EXAMPLES]),
    )  # fmt: skip


@transaction.atomic
def _remap(ids: Sequence[UUID], names: Names, asked: Asked) -> Remapped:
    group = ledger.Group()
    group.lock(ids)
    before = {held.id: held.definition for held in group.sagas.values()}
    left = {saga_id: f"cannot be read: {fault}" for saga_id, fault in group.broken.items()}
    for held in group.sagas.values():
        try:
            group.decide(held, m.Remap(names))
        except Refused as no:
            left[held.id] = str(no)
    done = [held for held in group.sagas.values() if held.events]
    for pinned in {held.definition.pinned.digest: held.definition.pinned for held in done}.values():
        pins.pin(pinned)
    group.write()
    _write_definitions(done)
    group.queues |= _write_names(done, before, names)
    _record(group, done, before, asked)
    return Remapped([held.id for held in done], left)


def _write_definitions(done: Iterable[loading.Held]) -> None:
    sagas: dict[str, list[UUID]] = defaultdict(list)
    for held in done:
        sagas[held.definition.pinned.digest].append(held.id)
    for digest, those in sagas.items():
        Saga.objects.filter(pk__in=those).update(definition_id=digest)


def _write_names(
    done: Sequence[loading.Held], before: Mapping[UUID, SagaDefinition], names: Names
) -> set[str]:
    """Have steps, and what is due, say the new names; return the queues on which something waits anew."""
    ids = [held.id for held in done]
    queues = set()
    used = Counter(
        old for held in done for old in names if before[held.id].renamed({old: names[old]}) != before[held.id]
    )
    for old in used:
        new, queue = names[old], registry.queue_for(names[old])
        for role in ("action", "compensation"):  # the others stand in the definition only
            Step.objects.filter(saga_id__in=ids, **{role: old}).update(**{role: new})
        due = Due.objects.filter(saga_id__in=ids, kind=Due.COMMAND, name=old)
        due.filter(queue=registry.WAITS_QUEUE).update(
            name=new
        )  # a promised reply, or its time: wherever it is called
        if due.exclude(queue=registry.WAITS_QUEUE).update(name=new, queue=queue):
            queues.add(queue)
    return queues


def _record(
    group: ledger.Group, done: Iterable[loading.Held], before: Mapping[UUID, SagaDefinition], asked: Asked
) -> None:
    OperatorAction.objects.bulk_create(
        trail.entry(
            asked,
            "remap",
            {"before": before[held.id].pinned.digest, "after": held.definition.pinned.digest},
            at=group.now,
            action_id=f"remap:{held.id}:{held.before.version}",
            saga_id=held.id,
            version_before=held.before.version,
            version_after=held.progress.version,
            answer={"saga": _brief(held)},
        )
        for held in done
    )


def _brief(held: loading.Held) -> dict[str, Any]:
    after = held.progress
    same = {"id": str(held.id), "type": held.saga_type, "definition": held.definition.pinned.digest}
    return {**same, "state": after.state, "attention": after.attention, "version": after.version}
