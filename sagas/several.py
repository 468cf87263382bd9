"""One verb on several sagas: what it would do to each, and then each through the orchestrator's door.

Each is fenced by the version that its preview was of, with an action id, an audit entry and a transaction of its own:
what is refused holds up no other. The desk and the admin show a page in between, whose form is read here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from django.http import QueryDict

from sagas import orchestrator
from sagas.models import Saga
from sagas.orchestrator import STEP_VERBS, Asked, OrchestratorError, Outcome, Plan, Refused

#: The verbs that say the same of every saga; the others want to know something of each.
SEVERAL = ("retry", "compensate")
#: More than that nobody reads before pressing the button.
MOST = 50
#: The digits of a version, at most; Python itself reads no number of thousands of digits.
_LONGEST_VERSION = 18


@dataclass(frozen=True)
class Proposal:
    """What a verb would do to one saga."""

    saga: Mapping[str, Any]
    steps: Sequence[str] = ()
    """The steps that it would be about; empty for a verb about the whole saga."""
    plans: Sequence[Plan] = ()
    refusal: str = ""
    """Why nothing would happen to it; empty if something would."""
    action_id: str = field(default_factory=lambda: uuid4().hex)

    @property
    def sentences(self) -> list[str]:
        """What will happen, in plain words, each said once."""
        return list(dict.fromkeys(sentence for plan in self.plans for sentence in plan.sentences))

    @property
    def calls(self) -> list[Mapping[str, Any]]:
        """The commands that are due at once, with their keys."""
        return [call for plan in self.plans for call in plan.calls]


@dataclass(frozen=True)
class Confirmed:
    """What the page in between had said of one saga, as its form sends it back."""

    saga_id: UUID
    version: int
    steps: Sequence[str]
    action_id: str

    @classmethod
    def read(cls, fields: QueryDict, saga_id: UUID) -> "Confirmed | None":
        """Read it; None if the page had said that nothing would happen to this saga."""
        version = fields.get(f"version-{saga_id}", "")
        if not (version.isascii() and version.isdecimal()) or len(version) > _LONGEST_VERSION:
            return None
        action_id = fields.get(f"action-{saga_id}") or uuid4().hex
        return cls(saga_id, int(version), fields.getlist(f"step-{saga_id}"), action_id)


def propose(operator: Any, via: str, verb: str, sagas: Iterable[Saga]) -> list[Proposal]:
    """Say what a verb would do to each saga; change nothing."""
    return [_propose(operator, via, verb, saga) for saga in orchestrator.snapshots(sagas)]


def _propose(operator: Any, via: str, verb: str, saga: Mapping[str, Any]) -> Proposal:
    steps = orchestrator.steps_for(saga, verb)
    if verb in STEP_VERBS and not steps:
        return Proposal(saga, refusal=f"No step can be acted on: {saga['why']['text']}")
    plans: list[Plan] = []
    for step in steps or (None,):
        asked = Asked(operator=operator, via=via, reason="", step=step, version=saga["version"])
        try:
            plans.append(orchestrator.preview(saga["id"], verb, asked))
        except (OrchestratorError, Refused) as no:
            return Proposal(saga, steps, refusal=str(no))
    return Proposal(saga, steps, plans)


def carry_out(operator: Any, via: str, verb: str, reason: str, confirmed: Confirmed) -> Outcome:
    """Act on each step of a saga that was confirmed, or on the saga; say what came of it."""
    asked = Asked(
        operator=operator, via=via, reason=reason, version=confirmed.version, action_id=confirmed.action_id
    )
    return orchestrator.act_on_each(confirmed.saga_id, verb, confirmed.steps, asked)
