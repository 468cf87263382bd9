"""What the sagas of one run share: the participants' tables, what is to go wrong, and what has come of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sagas.core import messages as m
from sagas.core.words import Direction
from sagas.testing.books import Books, Change, Snapshot, changes
from sagas.testing.calling import Watch
from sagas.testing.elsewhere import Elsewhere
from sagas.testing.points import Act, Fate, Moment, Plan, Point


@dataclass
class Made:
    """What one call changed in the participants' tables."""

    step: str
    command: str
    undoes: str | None
    """The step whose effect it takes back: its own, or the one that its reaction compensates."""
    changes: Sequence[Change] = ()

    @property
    def of(self) -> str:
        """The step whose effect it is about."""
        return self.undoes or self.step


@dataclass
class World:
    """Steps are named with the steps of their saga's ancestors before them: ``book/charge``."""

    books: Books
    aliases: tuple[str, ...]
    elsewhere: Elsewhere
    plan: Plan
    point: Point | None
    """What is drilled; None: nothing goes wrong."""
    now: Snapshot
    """The tables, as they are after the last call."""
    made: list[Made] = field(default_factory=list)
    commits: dict[tuple[str, Direction], int] = field(default_factory=dict)
    met: set[Any] = field(default_factory=set)
    """What of the plan has happened."""
    promised: set[tuple[str, Direction]] = field(default_factory=set)
    """Which commands were taken on, to be answered from outside."""
    answers: dict[str, m.Completed | m.Rejected] = field(default_factory=dict)
    """What was answered from elsewhere, by the command's key."""
    untrue: list[str] = field(default_factory=list)
    """What participants elsewhere have said that cannot be so."""
    tables: set[str] = field(default_factory=set)
    """Which tables were written to."""
    refused: str = ""
    """Why an operator could not do what was planned."""
    rests: bool = False
    """A person is rightly asked, and no verb would take it any further."""

    def __post_init__(self) -> None:
        self._fates = {where: list(fates) for where, fates in self.plan.fates.items()}

    @property
    def as_planned(self) -> bool:
        """Whether all that was to go wrong did, and every intervention took place."""
        return not self.refused and self.met >= {*self.plan.fates, *self.plan.acts}

    def next_fate(self, where: tuple[str, Direction]) -> Fate | None:
        """Return what is to become of the next call, if anything is."""
        left = self._fates.get(where)
        if not left:
            return None
        self.met.add(where)
        return left.pop(0)

    def act_at(self, moment: Moment) -> Act | None:
        """Return what an operator is to do now, if he has not."""
        return next((act for act in self.plan.acts if act.moment == moment and act not in self.met), None)

    def note(self, made: Made, where: tuple[str, Direction], watch: Watch) -> Iterable[Change]:
        """Note what a call has changed, and how often it has committed; return the changes."""
        after = self.books.again(self.now, watch.tables, watch.blind)
        made.changes = changes(self.now, after)
        self.now = after
        self.tables |= watch.tables
        self.made.append(made)
        self.commits[where] = max(self.commits.get(where, 0), watch.commits)
        return made.changes

    def compare(self, key: str, command: str, reply: m.Completed | m.Rejected) -> None:
        """Compare an answer from elsewhere with the first one under its key: who remembers gives the same."""
        first = self.answers.setdefault(key, reply)
        if _meaning(first) != _meaning(reply):
            told = f"{command} answered {_meaning(first)} and then {_meaning(reply)}"
            self.untrue.append(f"{told}, under one key: it does not remember what it has answered.")


def _meaning(reply: m.Completed | m.Rejected) -> str:
    return f"completed, {reply.result!r}" if isinstance(reply, m.Completed) else f"rejected, {reply.reason!r}"
