"""A choreography's world: what is published waits in rows of its publisher's transaction until it is taken in."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.progress import StepProgress
from sagas.core.words import Direction

from ..faults import Fault
from ..happenings import HAPPENINGS
from ..world import SAGA, World
from .desk import Desk
from .subscribers import Subscriber


@dataclass(eq=False)
class Bus(World):
    """A choreography, and all who subscribe to its events."""

    published: list[m.Published] = field(default_factory=list)
    """Committed by their publishers, and not yet taken in."""
    ever: list[m.Published] = field(default_factory=list)
    """All that was ever published."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.operator = Desk(self)
        for subscriber in self.participants.values():
            assert isinstance(subscriber, Subscriber)
            subscriber.publish = self.publish

    def publish(self, event: str, by: str | None = None) -> None:
        """Leave an event for the saga."""
        self.published.append(m.Published(event, {"by": by}, by))
        self.ever.append(self.published[-1])

    def hear(self, token: int | None, reply: m.Reply) -> tuple[e.Event, ...]:
        """Take a reply, and what waits before it: whoever decides about the saga takes that in."""
        self.take_in()
        return super().hear(token, reply)

    def take_in(self) -> None:
        """Take in what was published, in its order."""
        while self.published:
            self.tell(self.published.pop(0))

    def undone_by(self, step: StepProgress, direction: Direction) -> str | None:
        """Return the key of the delivery that this one undoes, if it is there for that."""
        part = self.definition.flow.part(step.name) if self.definition.flow else None
        if part is None or part.compensates is None:
            return None
        made = self.progress.steps[part.compensates]
        return idempotency_key(SAGA, made.name, Direction.DO, max(made.generation, 1))


def _free(world: World) -> Sequence[int]:
    """Return what may be claimed, the soonest first: a saga's end is the last that anybody waits for."""
    if world.progress.paused:
        return ()
    return sorted((n for n, row in world.due.items() if row.token is None), key=lambda n: world.due[n].at)


def _published(world: World) -> Sequence[int]:
    assert isinstance(world, Bus)
    return (0,) if world.published else ()


def _ever(world: World) -> Sequence[m.Published]:
    assert isinstance(world, Bus)
    return world.ever


def _events(world: World) -> Sequence[str]:
    """Return its events, once it has begun, and one that nobody hears."""
    flow = world.definition.flow
    assert flow is not None
    return sorted({part.on for part in flow.parts} | {*flow.endings, "Unheard"}) if world.started else ()


def _take_in(world: World, _: int) -> None:
    assert isinstance(world, Bus)
    world.take_in()


def _again(world: World, told: m.Published) -> None:
    assert isinstance(world, Bus)
    world.publish(told.event, told.by)


def _publish(world: World, event: str) -> None:
    assert isinstance(world, Bus)
    world.publish(event)


Bus.happenings = {
    **HAPPENINGS,
    Fault.WORK: (_free, HAPPENINGS[Fault.WORK][1]),
    Fault.CLAIM: (_free, HAPPENINGS[Fault.CLAIM][1]),
    Fault.TAKE_IN: (_published, _take_in),
    Fault.PUBLISH_AGAIN: (_ever, _again),
    Fault.PUBLISH: (_events, _publish),
}
Bus.calm = (Fault.TAKE_IN, *World.calm)
