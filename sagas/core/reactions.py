"""What the author of a choreography writes, and the definition that it makes: a step per delivery, and the end."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sagas.core.built_in import timer
from sagas.core.definition import ACTION_RETRY, InvalidDefinition, Retry, SagaDefinition, SagaStep
from sagas.core.flow import END, Flow, Part, delivery


@dataclass(frozen=True)
class Reaction:
    """What a subscriber is expected to do about an event."""

    name: str
    """Unique in its choreography; the step's address for ever."""
    on: str
    """The event."""
    by: str | None = None
    """The subscriber's name, as ``@subscribe(…, name=…)`` has it; None: it is called as the reaction."""
    publishes: str | tuple[str, ...] = ()
    """At least one of these events is expected, in time."""
    may_publish: str | tuple[str, ...] = ()
    """Events that it publishes only sometimes, so that nobody waits for them."""
    within: float = 300.0
    """Seconds, from its delivery, in which one of ``publishes`` is expected."""
    compensates: str | None = None
    """The reaction whose effect it undoes; it gets that one's key, as an undo does.

    Where its inbox finds nothing to undo, it is not called, and the first of ``publishes`` is published for it.
    """
    timeout: float = 300.0
    """Seconds one delivery may take, from its claim."""
    retry: Retry = ACTION_RETRY

    def __post_init__(self) -> None:
        for name in ("publishes", "may_publish"):
            object.__setattr__(self, name, event_names(getattr(self, name)))

    @property
    def part(self) -> Part:
        """What is pinned of it, beside the step."""
        return Part(
            self.name,
            self.on,
            self.by or self.name,
            tuple(self.publishes),
            tuple(self.may_publish),
            float(self.within),
            self.compensates,
        )


def event_names(given: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names of events that an author gave, or the only one."""
    return (given,) if isinstance(given, str) else tuple(given)


def compose(saga_type: str, flow: Flow, reactions: Sequence[Reaction]) -> SagaDefinition:
    """Return the definition of a choreography. Raises :class:`InvalidDefinition` for one that could not run."""
    if any(each.name == END for each in reactions):
        raise InvalidDefinition(
            f"{saga_type}: a reaction cannot be called {END}: that is how it waits to end."
        )
    steps = [_step(flow, each, reactions[:n]) for n, each in enumerate(reactions)]
    if flow.endings:
        needs = tuple(p.step for p in flow.parts if {*p.publishes, *p.may_publish} & {*flow.endings})
        steps.append(timer(END, wait=flow.within, needs=needs))
    return SagaDefinition(saga_type, tuple(steps), flow=flow)


def _step(flow: Flow, reaction: Reaction, earlier: Sequence[Reaction]) -> SagaStep:
    part = reaction.part
    # Needs are drawn, and nothing else: a step begins when its event is published.
    needs = tuple(r.name for r in earlier if part.on in (*r.part.publishes, *r.part.may_publish))
    return SagaStep(
        name=reaction.name,
        action=delivery(part.on, part.by),
        needs=needs,
        timeout=reaction.timeout,
        retry=reaction.retry,
    )
