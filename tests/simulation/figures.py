"""Simulates many sagas and counts: what they suffered, where they ended, which rows of the tables they used."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields

from sagas.core import events as e
from sagas.core.machine import STEP_TRANSITIONS, TRANSITIONS, next_state, next_status
from sagas.core.words import SagaState, StepStatus

from .chance import LEAST, draw
from .faults import FAULTS
from .play import Found, Played, play
from .world import World


@dataclass
class Figures:
    """What came of many sagas; those of several chunks can be added up."""

    sagas: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    alive: int = 0
    """Faults that a saga suffered before it had ended."""
    tough: int = 0
    """Sagas that had suffered the least number of faults before they had ended."""
    least: Counter[int] = field(default_factory=Counter)
    """How many faults a saga suffered -> how many sagas did."""
    ends: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    """Why a person was asked -> how often."""
    transitions: Counter[str] = field(default_factory=Counter)
    step_transitions: Counter[str] = field(default_factory=Counter)
    events: int = 0
    late: int = 0
    superseded: int = 0
    clicks: int = 0
    refused: int = 0
    violations: dict[int, str] = field(default_factory=dict)
    """Number of the saga -> the rule that it broke."""

    def __iadd__(self, other: "Figures") -> "Figures":
        for each in fields(self):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine | theirs if each.name == "violations" else mine + theirs)
        return self

    def add(self, played: Played) -> None:
        """Count one saga that held."""
        faults = {fault: played.faults[fault] for fault in FAULTS if played.faults[fault]}
        self.faults.update(faults)
        self.least[sum(faults.values())] += 1
        self.alive += played.alive
        self.tough += played.alive >= LEAST
        world = played.world
        self.ends[world.progress.state] += 1
        self.late += played.late
        self.superseded += world.superseded
        self.clicks += len(world.operator.pressed)
        self.refused += world.operator.refused
        self._add_log(world)

    def _add_log(self, world: World) -> None:
        state = SagaState.STARTED
        statuses = dict.fromkeys(world.definition.names, StepStatus.PENDING)
        self.events += len(world.log)
        for event in world.log:
            kind = type(event)
            self.transitions[f"{state} {kind.__name__}"] += 1
            state = next_state(state, kind)
            if isinstance(event, e.StepEvent):
                self.step_transitions[f"{statuses[event.step]} {kind.__name__}"] += 1
                statuses[event.step] = next_status(statuses[event.step], kind)
            if isinstance(event, e.StepHeld | e.UndoHeld):
                self.asked[event.code] += 1
            elif isinstance(event, e.LateEffectFound):
                self.asked["late_effect"] += 1


#: What the tables allow, in the words of the counters.
ALL_TRANSITIONS = {f"{state} {event.__name__}" for state, event in TRANSITIONS}
ALL_STEP_TRANSITIONS = {f"{status} {event.__name__}" for status, event in STEP_TRANSITIONS}


def simulate(seed: int, numbers: Iterable[int]) -> Figures:
    """Simulate these sagas of a seed."""
    figures = Figures()
    for number in numbers:
        figures.sagas += 1
        case, suffering = draw(seed, number)
        try:
            figures.add(play(case, suffering))
        except Found as found:
            figures.violations[number] = found.rule
    return figures
