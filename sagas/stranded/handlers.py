"""Commands that nobody handles."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Count, F, Min
from django.db.models.fields.json import KT

from sagas import registry
from sagas.core.definition import COMMANDS, NO_COMMANDS
from sagas.models import Process
from sagas.stranded.finding import Finding
from sagas.stranded.flight import NEEDED, Flying, Need, called, grown_steps, needs, pinned_steps


def missing(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find sagas that still need a command which nobody handles here."""
    served = _served_elsewhere()
    unhandled = {need: ds for need, ds in needs(flying).items() if registry.handler(need.name) is None}
    if unhandled:
        yield from _pinned(flying, unhandled, served)
    if any(each.grows for each in flying):
        yield from _grown(flying, served)


def _pinned(
    flying: Sequence[Flying], unhandled: Mapping[Need, list[str]], served: frozenset[str]
) -> Iterator[Finding]:
    """Find them by what the definitions say."""
    steps = pinned_steps(flying, {digest for digests in unhandled.values() for digest in digests})
    asked = steps.filter(name__in={need.step for need in unhandled}).values("saga__definition_id", "name")
    counted = asked.annotate(**{f"in_{role}": Count("pk", filter=NEEDED[role]) for role in COMMANDS})
    rows: dict[Any, Any] = {(row["saga__definition_id"], row["name"]): row for row in counted.order_by()}
    for need, digests in unhandled.items():
        count = sum(rows.get((digest, need.step), {}).get(f"in_{need.role}", 0) for digest in digests)
        if count:
            these = steps.filter(NEEDED[need.role], saga__definition_id__in=digests, name=need.step)
            yield _finding(need, count, these.values_list("saga_id", flat=True), served, digests)


def _grown(flying: Sequence[Flying], served: frozenset[str]) -> Iterator[Finding]:
    """Find those of functions, for steps that were asked for."""
    steps = grown_steps(flying)
    for role in COMMANDS:
        column = role in {"action", "compensation"}
        where = role if column else f"grown__step__{role}"
        asked = steps.filter(NEEDED[role]).annotate(command=F(where) if column else KT(where))
        counted = asked.values("saga__saga_type", "command").annotate(
            sagas=Count("saga_id", distinct=True), step=Min("name")
        )
        for row in counted.exclude(command=None).order_by():
            need = Need(row["saga__saga_type"], row["step"], role, row["command"])
            if need.name not in NO_COMMANDS and registry.handler(need.name) is None:
                these = asked.filter(saga__saga_type=need.saga_type, **{where: need.name})
                yield _finding(
                    need, row["sagas"], these.values_list("saga_id", flat=True).distinct(), served, ()
                )


def _finding(need: Need, sagas: int, ids: Any, served: frozenset[str], definitions: Sequence[str]) -> Finding:
    elsewhere = registry.queue_for(need.name) in served
    who = (
        f"only a process with other code serves the queue of {need.name}"
        if elsewhere
        else f"nobody handles {need.name}"
    )
    why = f"{who}, the {called(need.role)} of step {need.step}"
    return Finding.of(
        "handler", *need, why, sagas=sagas, ids=ids, elsewhere=elsewhere, definitions=definitions
    )


def _served_elsewhere() -> frozenset[str]:
    """Return the queues that only workers with other code than ours can be there for."""
    told = Process.objects.filter(kind=Process.WORKER).values_list("queues", flat=True)
    return frozenset(queue for queues in told for queue in queues) - set(registry.queues())
