"""Draws choreographies: who reacts to what, what that publishes, how it may end, and what is undone by whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from sagas.core.definition import Retry, SagaDefinition
from sagas.core.flow import Flow
from sagas.core.reactions import Reaction, compose

DONE, OFF, BACK = "Done", "Off", "Back"
#: How long one waits for what a delivery leads to.
WITHIN = (30.0, 300.0)


@dataclass
class _Draft:
    """A choreography in the making."""

    chance: Random
    policies: Sequence[Retry]
    steps: list[Reaction] = field(default_factory=list)
    turning: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=lambda: ["First"])
    unheard: list[str] = field(default_factory=lambda: ["First"])

    def new_event(self) -> str:
        self.events.append(f"E{len(self.events)}")
        self.unheard.append(self.events[-1])
        return self.events[-1]

    def add(self, on: str, publishes: Sequence[str], may: Sequence[str], undoes: str | None = None) -> None:
        name = f"r{len(self.steps)}"
        heard_by = {step.by for step in self.steps if step.on == on}
        by = self.chance.choice([s for s in ("s", "t", "u", name) if s not in heard_by])
        self.steps.append(
            Reaction(
                name,
                on=on,
                by=by,
                publishes=tuple(dict.fromkeys(publishes)),
                may_publish=tuple(dict.fromkeys(may)),
                within=self.chance.choice(WITHIN),
                compensates=undoes,
                retry=self.chance.choice(self.policies),
            )
        )


def flow(chance: Random, policies: Sequence[Retry], *, sure: bool) -> SagaDefinition:
    """Draw a choreography. One whose end is ``sure`` has no event that could overtake another and change it."""
    draft = _Draft(chance, policies)
    for _ in range(chance.randint(1, 4)):
        _forward(draft, sure=sure)
    way_back = not sure and chance.random() < 0.7
    if way_back:
        _backward(draft)
    _hear_all(draft, sure=sure)
    compensation = BACK if way_back and any(step.on == BACK for step in draft.steps) else None
    made = Flow(
        first="First",
        parts=tuple(step.part for step in draft.steps),
        completed=(DONE,),
        failed=(OFF,) if way_back or draft.turning or chance.random() < 0.5 else (),
        turning=tuple(event for event in draft.turning if any(step.on == event for step in draft.steps)),
        compensation=compensation,
        within=chance.choice((600.0, 3600.0)),
    )
    return compose("dance", made, draft.steps)


def _forward(draft: _Draft, *, sure: bool) -> None:
    """Add a reaction to what nobody hears yet, or to what somebody else hears, too."""
    chance = draft.chance
    on = draft.unheard.pop(0) if draft.unheard else chance.choice(draft.events)
    leads = [draft.new_event() for _ in range(chance.choice((0, 1, 1, 2)))]
    ended = any(DONE in (*step.publishes, *step.may_publish) for step in draft.steps)
    if chance.random() < 0.4 and not (sure and ended):
        leads.append(DONE)
    if not sure and chance.random() < 0.25:
        draft.turning.append(draft.new_event())
        leads.append(draft.turning[-1])
    cut = chance.randint(0, len(leads))
    draft.add(on, leads[:cut], leads[cut:])


def _backward(draft: _Draft) -> None:
    """Add who undoes what: on events that turn it back, or on the operator's."""
    chance = draft.chance
    begins = [*draft.turning, BACK]
    for made in [step.name for step in draft.steps if chance.random() < 0.6]:
        on = chance.choice(begins)
        if sum(step.on == on for step in draft.steps) < 3:
            draft.unheard = [event for event in draft.unheard if event != on]
            last = [OFF] if chance.random() < 0.6 else []
            expected = chance.random() < 0.5
            draft.add(on, last if expected else [], [] if expected else last, undoes=made)


def _hear_all(draft: _Draft, *, sure: bool) -> None:
    """Have what nobody hears be heard by somebody who only takes note."""
    for event in draft.unheard:
        draft.add(event, (), () if sure else (DONE,))
    draft.unheard = []
