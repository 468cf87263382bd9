"""Functions that no longer do what is recorded."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from sagas.core import messages as m
from sagas.core.definition import FUNCTION
from sagas.models import Saga
from sagas.orchestrator import loading, rehearsal
from sagas.orchestrator.loading import Held
from sagas.stranded.finding import Finding
from sagas.stranded.flight import Flying, Need

#: Sagas that are read, and replayed, at once.
REPLAYED = 100
#: More different reasons than people would read; what is beyond is counted with the last.
REASONS = 50


def differing(flying: Sequence[Flying]) -> Iterator[Finding]:
    """Find sagas whose function does not do again what is recorded: each is run here, up to what it waits for."""
    growing = [each.definition.pk for each in flying if each.grows]
    found: dict[tuple[Need, str], list[UUID]] = {}
    for held in _held(growing) if growing else ():
        why = _difference(held)
        if why is not None:
            need = Need(held.saga_type, FUNCTION, "action", held.definition.step(FUNCTION).action)
            known = (need, why) in found or len(found) < REASONS
            found.setdefault((need, why) if known else next(reversed(found)), []).append(held.id)
    for (need, why), ids in found.items():
        text = f"the function does not do again what is recorded: {why}"
        yield Finding.of("function", *need, text, sagas=len(ids), ids=ids)


def _held(growing: Sequence[str]) -> Iterator[Held]:
    """Read the functions that go forward, some at a time."""
    forward = Saga.objects.active().forward().filter(definition__in=growing).order_by("pk")
    ids = list(forward.values_list("pk", flat=True)[:REPLAYED])
    while ids:
        yield from loading.read(ids)
        ids = list(forward.filter(pk__gt=ids[-1]).values_list("pk", flat=True)[:REPLAYED])


def _difference(held: Held) -> str | None:
    """Run a saga's function against its record; return what does not fit, if anything."""
    try:
        said = rehearsal.rehearse(held)
    except LookupError:
        return None  # that is told already
    return said.error if isinstance(said, m.Unserved) else None
