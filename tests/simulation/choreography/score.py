"""The oracle's books about a choreography: what it has seen of it, counted by itself from the pinned document."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..books import demand
from ..participants import Request

END = "end"
#: Where a delivery is that its subscriber has not taken.
UNTAKEN = frozenset({"sent", "parked", "refused", "late"})
#: Where a step is that asks for a person.
ASKING = frozenset({"parked", "refused", "overdue", "late"})
#: Where a step is of which nothing more is to come.
CLOSED = frozenset({"silent", "done", "failed", "skipped", "undone"})
#: Where a step is that its subscriber has taken.
TAKEN = frozenset({"expected", "overdue", "done"})


@dataclass(eq=False)
class Score:
    """What is known of one choreography. Steps and events are names, deliveries are numbers."""

    document: Mapping[str, Any]
    inbox: Mapping[str, bool]
    place: defaultdict[str, str] = field(default_factory=lambda: defaultdict(lambda: "silent"))
    """Step -> silent, queued, sent, expected, parked, refused, overdue, late, done, failed, skipped, undone."""
    told: dict[str, int] = field(default_factory=dict)
    """Event that somebody hears -> its number."""
    ending: str | None = None
    """The ending event that was published first."""
    commands: dict[int, str] = field(default_factory=dict)
    open: dict[str, int] = field(default_factory=dict)
    generations: Counter[str] = field(default_factory=Counter)
    tries: Counter[str] = field(default_factory=Counter)
    """Step -> attempts without success since it was dispatched, or an operator asked for more."""
    doubt: set[int] = field(default_factory=set)
    """Deliveries with an attempt of unknown outcome."""
    denied: set[str] = field(default_factory=set)
    """Steps of whose latest delivery somebody said that it had no effect."""
    found: set[int] = field(default_factory=set)
    """Deliveries of which a success is recorded, in time or late."""
    trusted: defaultdict[str, bool] = field(default_factory=lambda: defaultdict(lambda: True))
    """Step -> whether its subscriber remembers keys, as its replies said."""
    given_up: dict[str, str] = field(default_factory=dict)
    """Step with a late effect -> where it was before."""
    besides: set[tuple[str, int]] = field(default_factory=set)
    """(step, a delivery before its latest) that was done after all, and that nobody has settled."""
    promised: set[str] = field(default_factory=set)
    """Steps whose subscriber has taken the event on, and may still say how it went."""
    retries: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    """Key -> how often it was acted upon."""
    effects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(step, key) -> how many of its effects stand."""
    delivered: set[str] = field(default_factory=set)
    """Steps whose subscriber said that it is done."""
    lied: set[str] = field(default_factory=set)
    """Steps of which an operator said "no effect" while one stood, or might still come."""
    insisted: bool = False
    """An operator said how it ends."""
    turned: bool = False
    ended: str | None = None
    sequence: int = 0
    at: datetime | None = None

    def __post_init__(self) -> None:
        flow = self.document["flow"]
        self.parts: dict[str, Mapping[str, Any]] = {part["step"]: part for part in flow["parts"]}
        self.completed, self.failed = set(flow.get("completed", ())), set(flow.get("failed", ()))
        self.compensation: str | None = flow.get("compensation")
        self.turns = {*flow.get("turning", ()), *([self.compensation] if self.compensation else [])}
        steps = self.document["steps"]
        self.attempts = {step["name"]: step.get("retry", {}).get("max_attempts", 5) for step in steps}

    @property
    def endings(self) -> set[str]:
        """The events that end it."""
        return self.completed | self.failed

    def publishes(self, step: str) -> tuple[str, ...]:
        """Return the events of which one is expected."""
        return tuple(self.parts[step].get("publishes", ()))

    def listeners(self, event: str) -> set[str]:
        """Return the steps to which an event is to be delivered."""
        return {step for step, part in self.parts.items() if part["on"] == event}

    def untaken(self, subscriber: str, apart: str = "") -> list[str]:
        """Return a subscriber's deliveries that are under way, or parked."""
        mine = [step for step, part in self.parts.items() if part["by"] == subscriber and step != apart]
        return [step for step in mine if self.place[step] in UNTAKEN or self.stays_for(step)]

    def stays_for(self, step: str) -> bool:
        """Whether a delivery that was given up waits for a person all the same: for an earlier one that was done."""
        return self.place[step] in {"failed", "skipped"} and self.was_done_before(step)

    def was_done_before(self, step: str) -> bool:
        """Whether nobody has settled what came of a delivery before the latest."""
        return any(name == step for name, _ in self.besides)

    def asks_of_late(self, step: str) -> bool:
        """Whether a person is asked what becomes of an effect that came too late."""
        closed = self.place[step] in {"refused", *CLOSED}
        return self.place[step] == "late" or (closed and self.was_done_before(step))

    @property
    def asking(self) -> set[str]:
        """The steps that ask for a person."""
        return {step for step in self.place if self.place[step] in ASKING or self.asks_of_late(step)}

    def in_the_way(self, step: str) -> list[str]:
        """Return what its subscriber has to take before: what is on its way, or parked, and was told before."""
        mine = self.told[self.parts[step]["on"]]
        others = self.untaken(self.parts[step]["by"], apart=step)
        return [s for s in others if self.place[s] == "sent" or self.told[self.parts[s]["on"]] < mine]

    def latest(self, step: str) -> int:
        """Return the number of a step's latest delivery; 0 if there was none."""
        return max((number for number, name in self.commands.items() if name == step), default=0)

    def undos(self, step: str) -> list[str]:
        """Return the steps that undo a step."""
        return [name for name, part in self.parts.items() if part.get("compensates") == step]

    def is_moot(self, step: str, undo: int) -> bool:
        """Whether nothing can come of a step any more once its undo is done, and something is awaited or asked."""
        awaited = self.place[step] in {"expected", "overdue", "parked"} and self.trusted[step]
        return self.turned and self.latest(step) < undo and (awaited or self.place[step] == "refused")

    def too_late(self, step: str, number: int, reply: Any) -> bool:
        """Whether a success tells of an effect that came after it was given up, and that nothing will undo."""
        undoing = self.undos(step)
        if number != self.latest(step):  # it was refused, and delivered anew
            return bool(undoing) and number not in self.found
        closed = number != self.open.get(step) and number not in self.found
        met = reply.inbox and step not in self.denied
        return closed and bool(undoing) and not met and all(self.place[s] != "queued" for s in undoing)

    @property
    def under_way(self) -> list[str]:
        """The steps of which something has yet to become."""
        return [step for step in self.parts if self.place[step] not in CLOSED or self.stays_for(step)]

    def witness(self, request: Request, change: int) -> None:
        """See a subscriber act upon a delivery, and an effect come or go."""
        step, key, undoes = request.step, request.key, request.undoes
        demand(
            self.commands.get(request.number) == step, "I6, C6: an intent is recorded before its call", step
        )
        self.changes[key] += 1
        if self.inbox[step]:
            demand(self.changes[key] == 1, "I2, C1: a key has one effect", key)
        undone = self.parts[step].get("compensates") or step
        self.effects[undone, undoes or key] += change

    def standing(self, step: str) -> int:
        """Count the effects of a step that stand."""
        return sum(count for (name, _), count in self.effects.items() if name == step)
