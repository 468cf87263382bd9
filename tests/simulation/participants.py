"""Participants in memory: with an inbox, or bare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from sagas.core import messages as m
from sagas.core.words import Direction

#: Seconds within which a participant promises to answer.
WITHIN = 600.0


class Answer(StrEnum):
    """What a participant does with a command that it has not answered before."""

    OK = "ok"
    REJECT = "reject"
    ERROR = "error"
    """It fails before it has had any effect."""
    BUSY = "busy"
    """So does this one, and asks us to wait."""
    LATER = "later"
    """It takes the command on, and has its effect and answers some time, from outside."""
    BREAK = "break"
    """It has its effect, and its answer never leaves the house."""


@dataclass(frozen=True)
class Request:
    """One attempt of a command, on its way to the participant."""

    step: str
    direction: Direction
    number: int
    key: str
    undoes: str | None
    token: int
    """Of the lease under which it was sent."""
    data: object = None
    """The input that it was sent with."""
    probe: bool = False
    """It only asks what became of the command."""
    wakes: bool = False
    """Nobody is called: a worker says that a time is up."""


#: Sees each change of effects as it happens: by how many.
Witness = Callable[[Request, int], None]


@dataclass
class Effect:
    """What an action did; an undo takes it down again."""

    step: str
    key: str
    standing: bool = True


@dataclass
class Participant:
    """One step's participant. Its plans say what it answers; the last answer of a plan holds for ever."""

    inbox: bool = True
    do: Sequence[Answer] = (Answer.OK,)
    undo: Sequence[Answer] = (Answer.OK,)
    probe: Sequence[Answer] = (Answer.OK,)
    within: float | None = WITHIN
    """How long it takes at most to keep a promise; None: whatever it takes, as a child saga does."""
    effects: list[Effect] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    """Key -> how often it was called."""
    taken_on: list[Request] = field(default_factory=list)
    """What is still to be done and answered."""
    witness: Witness | None = None
    _remembered: dict[str, m.Completed | m.Rejected] = field(default_factory=dict)
    _tombstones: set[str] = field(default_factory=set)
    _asked: dict[str, int] = field(default_factory=dict)

    def execute(self, request: Request) -> m.Reply:
        """Do what is asked, at most once per key if there is an inbox, and answer."""
        if request.probe:
            return self._tell(request)
        self.calls[request.key] = self.calls.get(request.key, 0) + 1
        if request.key in self._remembered:
            return self._remembered[request.key]
        if request.key in self._tombstones:
            return self._remember(request, m.Rejected(request.number, "cancelled"))
        answer = self._next(request.direction, self.do if request.direction is Direction.DO else self.undo)
        if self.inbox and self.is_at(request.key):
            return m.Later(request.number, self.within)
        if answer is Answer.LATER:
            self.taken_on.append(request)
            return m.Later(request.number, self.within, inbox=self.inbox)
        if answer is Answer.REJECT:
            return self._remember(request, m.Rejected(request.number, "no", inbox=self.inbox))
        if answer is Answer.BUSY:
            return m.Unknown(request.number, "busy", inbox=self.inbox, retry_after=90.0)
        if answer is not Answer.ERROR:
            reply = self._do(request)
            if answer is Answer.OK:
                return reply
        return m.Unknown(request.number, "it broke", inbox=self.inbox)

    def finish(self, which: int) -> m.Completed | m.Rejected:
        """Do what was taken on, unless its undo has come before, and answer."""
        request = self.taken_on.pop(which)
        if request.key in self._tombstones:
            return self._remember(request, m.Rejected(request.number, "cancelled"))
        return self._do(request)

    def is_at(self, key: str) -> bool:
        """Whether a command was taken on, and is not done."""
        return any(request.key == key for request in self.taken_on)

    def _do(self, request: Request) -> m.Completed | m.Rejected:
        self._change(request)
        result = {"by": request.key}
        return self._remember(request, m.Completed(request.number, result, inbox=self.inbox))

    def stands(self, key: str | None = None) -> bool:
        """Whether an effect stands: of that command, or of any."""
        return any(effect.standing for effect in self.effects if key in (None, effect.key))

    def _tell(self, request: Request) -> m.Reply:
        """Say what became of a command: as the inbox remembers it, or by the effects that are there."""
        answer = self._next("probe", self.probe)
        if answer is not Answer.OK:
            wait = 90.0 if answer is Answer.BUSY else None
            return m.Unknown(request.number, "nobody knows", inbox=False, retry_after=wait)
        if request.key in self._remembered:
            return replace(self._remembered[request.key], inbox=True)
        if request.key in self._tombstones:
            return m.Rejected(request.number, "cancelled")
        if self.inbox and self.is_at(request.key):
            return m.Later(request.number, self.within)
        if self._happened(request):
            return m.Completed(request.number, {"by": request.key}, inbox=self.inbox)
        return m.NoSuchCommand(request.number)

    def _happened(self, request: Request) -> bool:
        if request.direction is Direction.DO:
            return any(effect.key == request.key for effect in self.effects)
        found = [effect for effect in self.effects if effect.key == request.undoes]
        return bool(found) and not any(effect.standing for effect in found)

    def _next(self, what: str, plan: Sequence[Answer]) -> Answer:
        asked = self._asked.get(what, 0)
        self._asked[what] = asked + 1
        return plan[min(asked, len(plan) - 1)]

    def _remember(self, request: Request, reply: m.Completed | m.Rejected) -> m.Completed | m.Rejected:
        if self.inbox:
            self._remembered[request.key] = reply
        return reply

    def _change(self, request: Request) -> None:
        if request.direction is Direction.DO:
            self.effects.append(Effect(request.step, request.key))
            self._show(request, 1)
            return
        found = [effect for effect in self.effects if effect.key == request.undoes]
        self._show(request, -sum(effect.standing for effect in found))
        for effect in found:
            effect.standing = False
        if self.inbox and not found and request.undoes:
            self._tombstones.add(request.undoes)

    def _show(self, request: Request, change: int) -> None:
        if self.witness:
            self.witness(request, change)
