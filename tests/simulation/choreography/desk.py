"""The operators of a choreography: whoever settles something says the truth about it, but for a denial."""

from typing import TYPE_CHECKING

from sagas.core import messages as m
from sagas.core.flow import END
from sagas.core.progress import StepProgress
from sagas.core.words import Attention, SagaState, StepStatus, Verdict

from ..faults import Fault
from ..operator import WORTH_A_RETRY, Operator

if TYPE_CHECKING:
    from .bus import Bus


class Desk(Operator):
    """What operators do about deliveries, and about the end."""

    world: "Bus"  # type: ignore[assignment]

    def truth(self, step: StepProgress) -> Verdict | None:
        """Return what an honest operator says of a delivery; None while nobody can know."""
        if step.name == END:
            return Verdict.DONE
        if step.attention is Attention.LATE_EFFECT:
            return Verdict.WAIVED
        subscriber, key = self.world.participants[step.name], self.world.key(step)
        if key in subscriber.acted:  # type: ignore[attr-defined]
            return Verdict.DONE
        under_way = any(request.key == key for request in self.world.requests)
        return None if under_way or subscriber.is_at(key) else Verdict.NONE

    def cure(self, step: StepProgress) -> m.Verb:
        """Return what helps a delivery that asks for a person: another try, once, and then for good."""
        if step.attention in WORTH_A_RETRY and step.name not in self._tried:
            self._tried.add(step.name)
            return m.Retry(step.name)
        verdict = self.truth(step)
        assert verdict, f"nobody can know what became of {step.name}"
        if verdict is Verdict.WAIVED:
            return m.Resolve(step.name, verdict)
        if verdict is Verdict.DONE:
            return m.Resolve(step.name, verdict, {"event": self._event(step.name)})
        doubted = step.unresolved or step.expecting
        return m.Resolve(step.name, verdict) if doubted else m.Skip(step.name)

    def verb(self, fault: Fault, step: str) -> m.Verb | None:
        """Return what a click on that button asks for; every other one who settles names an event, too."""
        verb = super().verb(fault, step)
        if isinstance(verb, m.Resolve) and verb.outcome is Verdict.DONE and len(self.pressed) % 2:
            return m.Resolve(step, verb.outcome, {"event": self._event(step)})
        return verb

    def _event(self, name: str) -> str | None:
        """Return an event that a delivery should have led to: one that does not deny what it did."""
        flow = self.world.definition.flow
        assert flow is not None
        step, part = self.world.progress.steps[name], flow.part(name)
        if part is None:
            possible = flow.failed if self.world.progress.state is SagaState.COMPENSATING else flow.endings
            told = step.event and str(step.event["name"])
            return told if told in possible else possible[0]
        if step.status is not StepStatus.EXECUTING or not part.publishes:
            return None
        meek = [event for event in part.publishes if event not in flow.turns | {*flow.failed}]
        stands = self.world.participants[name].stands(self.world.key(step))
        return next(iter(meek or (() if stands else part.publishes)), None)
