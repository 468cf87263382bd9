"""Subscribers in memory: participants that publish events, in one transaction with their effect."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sagas.core import messages as m

from ..participants import Effect, Participant, Request


def _nobody_listens(event: str, by: str) -> None:
    raise AssertionError(f"{event} of {by} was published before there was a bus")


@dataclass
class Subscriber(Participant):
    """One reaction's subscriber."""

    tells: tuple[str, ...] = ()
    """What it publishes with its effect."""
    harmless: bool = False
    """What it tells says that it did nothing."""
    undoes: "Subscriber | None" = None
    """Whose effect it undoes; the two are one service, with one inbox."""
    publish: Callable[[str, str], None] = _nobody_listens
    acted: set[str] = field(default_factory=set)
    """The keys of the deliveries that it took in."""

    def _do(self, request: Request) -> m.Completed | m.Rejected:
        if self._finds_nothing(request):
            self._change(request)
            return self._remember(request, m.Completed(request.number, {"undone": False}))
        reply = super()._do(request)
        self.acted.add(request.key)
        for event in self.tells:
            self.publish(event, request.step)
        return reply

    def _finds_nothing(self, request: Request) -> bool:
        """Whether its inbox calls nobody: what it undoes has not happened, and is not under way."""
        if self.undoes is None or not self.inbox:
            return False
        return request.undoes not in self.undoes.acted and not self.undoes.is_at(request.undoes or "")

    def _change(self, request: Request) -> None:
        if self.undoes is None:
            if not self.harmless:
                self.effects.append(Effect(request.step, request.key))
            self._show(request, int(not self.harmless))
            return
        found = [effect for effect in self.undoes.effects if effect.key == request.undoes]
        self._show(request, -sum(effect.standing for effect in found))
        for effect in found:
            effect.standing = False
        if self.inbox and not found and request.undoes:
            self.undoes._tombstones.add(request.undoes)


def of(case: Any) -> dict[str, Subscriber]:
    """Return the subscribers of a case's choreography, who have heard of nothing yet."""
    flow = case.definition.flow
    silly = flow.turns | {*flow.failed}
    made: dict[str, Subscriber] = {}
    for part in flow.parts:
        mind = case.minds[part.step]
        harmless = any(event in silly for event in mind.tells)
        of = made[part.compensates] if part.compensates else None
        made[part.step] = Subscriber(
            mind.inbox, mind.do, mind.undo, mind.probe, tells=mind.tells, harmless=harmless, undoes=of
        )
    return made
