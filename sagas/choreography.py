"""What authors of choreographies write: the events that begin, turn and end it, the reactions that it expects.

Importing it needs no app registry; the orchestrator is loaded on first use.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from asgiref.sync import sync_to_async

from sagas.author import SagaOrchestrator

if TYPE_CHECKING:
    from sagas.core.reactions import Reaction


class Choreography(SagaOrchestrator):
    """Subclass it, name its events, and return :class:`~sagas.Reaction` objects from ``define_steps``.

    Nobody directs it: subscribers react to events, and publish others. It is started by its first event, whose
    data is the saga's, and is over when an ending event is published and everything is delivered.
    """

    first_event: ClassVar[str]
    """Published when it starts; publishing it, outside of a choreography, starts one."""
    completed_events: ClassVar[tuple[str, ...]] = ()
    """Events that end it well."""
    failed_events: ClassVar[tuple[str, ...]] = ()
    """Events that end it with everything undone."""
    turning_events: ClassVar[tuple[str, ...]] = ()
    """Events after which it is on the way back: its state is then ``compensating``."""
    compensation_event: ClassVar[str | None] = None
    """Published when an operator rolls it back; None: its subscribers know no way back."""
    within: ClassVar[float] = 3600.0
    """Seconds in which an ending event is expected."""

    def define_steps(self, data: dict[str, Any]) -> list["Reaction"]:  # type: ignore[override]
        """Return the expected reactions. Plain values in, plain values out: it is called once, at the start."""
        raise TypeError(f"{type(self).__name__} must define define_steps(self, data) and return Reactions.")


def publish(
    event: str, data: Mapping[str, Any] | None = None, *, saga_id: UUID | str | None = None
) -> tuple[UUID, ...]:
    """Publish a domain event in the caller's transaction; return the sagas that it is part of.

    From a subscriber it belongs to the saga of the event that is being delivered; from elsewhere to ``saga_id``,
    or it starts each choreography of which it is the first event. If there is none, it is a saga of its own, whose
    steps are its deliveries, and where nobody subscribes to it, it is not kept.

    Raises Invalid for data that is not plain or that the choreography does not accept, NotFound for no such saga.
    """
    from sagas import orchestrator

    return orchestrator.publish(event, data, saga_id=saga_id)


async def apublish(
    event: str, data: Mapping[str, Any] | None = None, *, saga_id: UUID | str | None = None
) -> tuple[UUID, ...]:
    """Publish as :func:`publish` does, from asynchronous code."""
    return await sync_to_async(publish)(event, data, saga_id=saga_id)
