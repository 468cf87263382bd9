"""The definition of a choreography: what its author declares, and whoever else subscribes to its events."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sagas import registry
from sagas.core.definition import InvalidDefinition, SagaDefinition
from sagas.core.flow import Flow
from sagas.core.reactions import Reaction, compose, event_names


def definition(author: Any, reactions: Iterable[Reaction]) -> SagaDefinition:
    """Check what an author declares. Raises InvalidDefinition."""
    declared = tuple(reactions)
    events = {
        name: event_names(getattr(author, name))
        for name in ("completed_events", "failed_events", "turning_events")
    }
    if not events["completed_events"]:
        raise InvalidDefinition(
            f"{author.saga_type}: it names no completed_events, so it would never be completed."
        )
    flow = Flow(
        first=author.first_event,
        parts=(),
        completed=events["completed_events"],
        failed=events["failed_events"],
        turning=events["turning_events"],
        compensation=author.compensation_event,
        within=float(author.within),
    )
    return _composed(author.saga_type, flow, (*declared, *_others(flow, declared)))


def of_event(event: str) -> SagaDefinition | None:
    """Return the definition for an event that belongs to no choreography; None if nobody subscribes to it.

    It is a saga of its own, so that it is kept, delivered and repaired as every other is.
    """
    flow = Flow(first=event, parts=())
    others = tuple(_others(flow, ()))
    return _composed(event, flow, others) if others else None


def _others(flow: Flow, declared: Iterable[Reaction]) -> Iterator[Reaction]:
    """Yield a reaction for each subscriber of one of the events of whom the author said nothing."""
    known = [reaction.part for reaction in declared]
    events = dict.fromkeys([flow.first, *flow.endings, *flow.turns])
    for part in known:
        events |= dict.fromkeys([part.on, *part.publishes, *part.may_publish])
    taken = {(part.on, part.by) for part in known}
    for event in events:
        for subscriber in registry.subscribers(event):
            if (event, subscriber.name) not in taken:
                yield Reaction(f"{event}: {subscriber.name}"[:100], on=event, by=subscriber.name)


@lru_cache(maxsize=1024)
def _composed(saga_type: str, flow: Flow, reactions: tuple[Reaction, ...]) -> SagaDefinition:
    """Compose them once: nearly all sagas of a type have the same."""
    parts = tuple(reaction.part for reaction in reactions)
    return compose(saga_type, replace(flow, parts=parts), reactions)
