"""The oracle's books: what it has seen of one saga, counted by itself.

Effects as the participants have them, commands as they were dispatched, what operators said.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .graph import FUNCTION, Graph
from .participants import Request


class Violation(AssertionError):
    """A rule that did not hold."""

    def __init__(self, rule: str, what: object = "") -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


def demand(held: object, rule: str, what: object = "") -> None:
    """Raise :class:`Violation` unless it held."""
    if not held:
        raise Violation(rule, what)


def _longest(retry_after: float) -> timedelta:
    """Return how long a participant's action is put off at most: by its policy, or as it has asked for."""
    return timedelta(seconds=max(60.0, retry_after))


def name_of(value: object) -> str:
    """Return what a message or an event is called: all that the oracle knows of its type."""
    return type(value).__name__


@dataclass(eq=False)
class Books:
    """What is known of one saga. Steps are names, commands are numbers."""

    graph: Graph
    inbox: Mapping[str, bool]
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(step, key of the action) -> how many of its effects stand."""
    changes: Counter[str] = field(default_factory=Counter)
    """Key -> how often it changed something."""
    commands: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Number -> (step, "do" or "undo"), of every command ever dispatched."""
    action: dict[str, int] = field(default_factory=dict)
    """Step -> its latest action."""
    generations: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: dict[str, int] = field(default_factory=dict)
    """Step -> its open command."""
    doubt: dict[int, bool] = field(default_factory=dict)
    """Commands with an attempt of unknown outcome, and whether there is an inbox, as the latest one said."""
    bound: dict[int, object] = field(default_factory=dict)
    """Commands in doubt, and the input that further attempts must carry."""
    status: dict[str, str] = field(default_factory=dict)
    """Step -> its verdict: completed, skipped, rejected, compensated, standing, withdrawn."""
    owed: set[str] = field(default_factory=set)
    """Steps whose undo has begun, and is not done."""
    done: set[int] = field(default_factory=set)
    """Actions that are recorded as done, in time or late."""
    told: set[int] = field(default_factory=set)
    """Actions of which a reply said that they are done."""
    rejected: set[int] = field(default_factory=set)
    said: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Step -> what operators settled."""
    lied: set[str] = field(default_factory=set)
    """Steps of which an operator said "no effect" while one stood, or might still come."""
    by_hand: set[str] = field(default_factory=set)
    """Steps of which an operator said that they are undone."""
    late: set[tuple[str, int]] = field(default_factory=set)
    """(step, its action) with a late effect that nobody has settled."""
    tries: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(step, "do" or "undo") -> attempts without success since it was dispatched, or an operator asked for more."""
    counted: set[str] = field(default_factory=set)
    """Steps whose latest attempt is among these, and is being asked about."""
    asked: Counter[str] = field(default_factory=Counter)
    """Step -> how often its participant was asked what became of the latest attempt."""
    retries: Counter[str] = field(default_factory=Counter)
    looked: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(step, "do" or "undo") -> how often a child that took its time was looked at, which is no attempt."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Step -> for what it waits: timer, approval or reply."""
    given: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Step -> who has approved it."""
    heard: set[str] = field(default_factory=set)
    """The steps of whose verdicts the function's latest run knew."""
    held: set[str] = field(default_factory=set)
    """Steps at which a person has to decide."""
    ends: dict[str, datetime] = field(default_factory=dict)
    """Step -> from when on no attempt of its action begins."""
    to_begin: bool = False
    """It is started, and begins later."""
    expired: bool = False
    """Its deadline passed, and it had not passed its pivot."""
    begun: bool = False
    turned: bool = False
    pivot_passed: bool = False
    """Whether the pivot was done before the saga turned back: from then on it only goes forward."""
    ended: str | None = None
    sequence: int = 0
    at: datetime | None = None

    def standing(self, step: str) -> int:
        """Count the effects of a step that stand at its participant."""
        return sum(count for (name, _), count in self.effects.items() if name == step)

    def witness(self, request: Request, change: int) -> None:
        """See an effect come or go at a participant."""
        step, undoes = request.step, request.undoes
        intent = (step, request.direction.value)
        known = self.commands.get(request.number)
        demand(known == intent, "I6, C6: an intent is recorded before its call", intent)
        self.changes[request.key] += 1
        if self.inbox[step]:
            demand(self.changes[request.key] == 1, "I2, C1: a key has one effect", request.key)
        self.effects[step, undoes or request.key] += change
        if undoes:
            demand(not self.pivot_passed, "C9: nothing is undone behind the pivot", step)
            self.nothing_stands_on(step)

    def nothing_stands_on(self, step: str) -> None:
        """Demand that what relies on a step is down, at the participants themselves."""
        for other in self.graph.above[step]:
            if self.inbox[other] and other not in self.lied and self.standing(other):
                stays = self.graph.undo[other] is None or self.status.get(other) in {"standing", "skipped"}
                demand(stays, "rule 4: nothing is undone while something that relies on it stands", step)

    def dispatched(self, step: str, direction: str) -> None:
        """Take down a command that is recorded as due, under the sequence of its event."""
        self.generations[step, direction] += 1
        self.commands[self.sequence] = (step, direction)
        self.open[step] = self.sequence
        self.asked[step] = 0
        self.counted.discard(step)
        self.waiting.pop(step, None)
        self.held.discard(step)
        if direction == "do":
            self.action[step] = self.sequence

    def verdict(self, step: str, status: str) -> None:
        """Take down what became of a step; its open command is closed."""
        self.status[step] = status
        self.open.pop(step, None)
        self.waiting.pop(step, None)
        self.held.discard(step)

    @property
    def news(self) -> set[str]:
        """The steps of whose verdicts no run of the function has heard."""
        verdicts = {"completed", "skipped", "rejected"}
        known = {step for step, status in self.status.items() if status in verdicts}
        return known - self.held - self.heard - {FUNCTION}

    def may_be_late(self, step: str, retry_after: float) -> bool:
        """Whether the next attempt of a step's action may have to begin behind the step's deadline."""
        ends = self.ends.get(step)
        return ends is not None and self.at is not None and self.at + _longest(retry_after) >= ends

    @property
    def own(self) -> set[int]:
        """The numbers of what is due for the saga itself: 1 is its beginning, 0 its deadline."""
        if self.turned or self.ended or self.expired or not self.sequence:
            return set()
        if self.to_begin:
            return {1}
        return {0} if self.graph.deadline and self.begun and not self.pivot_passed else set()

    def looks(self, step: str, direction: str) -> bool:
        """Whether a child saga that has not answered in time is looked at: it is as long as that is wanted."""
        return step in self.graph.children and (direction == "undo" or not self.turned)

    def too_late(self, step: str, number: int, reply: Any) -> bool:
        """Whether a success that nobody awaits tells of an effect that nobody knows, and that somebody has to."""
        if number in self.done or not self.graph.calls[step] or self.graph.is_function(step):
            return False
        if number != self.action.get(step):
            return True  # it was called without effect, and sent anew: there may be two
        if self.status.get(step) == "standing":
            return False
        went_on = self.ended == "completed" or not (self.turned or self.ended)
        # With an inbox the undo has met this effect, unless it was denied, or an operator undid what there was.
        unmet = number in self.rejected or not reply.inbox or step in self.by_hand
        return unmet and (went_on or self.graph.undo[step] is not None)
