"""What needs a person: sagas at attention, grouped by why, and at which step of which type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import BooleanField, Case, CharField, Count, ExpressionWrapper, F, Min, Q, Value, When

from sagas.models import IMPORT, Step

#: Groups, at most.
GROUPED = 200

#: Attention code -> (what is the matter, what a person can do about it).
ATTENTION: Mapping[str, tuple[str, str]] = {
    "late_effect": ("an effect came too late", "undo it with Roll back, or settle it as waived"),
    "compensation_failed": ("an undo keeps failing", "try it again, or settle it by hand"),
    "expectation_missed": ("an expectation was missed", "look at what the participant did"),
    "misconfigured": ("the call itself is wrong", "mend what its error says, then retry"),
    "no_handler": ("nobody handles a command", "deploy its handler, then retry"),
    "cannot_undo": ("cannot be undone", "take care of it outside, then settle it by hand"),
    "outcome_unknown": ("an outcome is unknown", "ask the participant, then settle it by hand"),
    "retries_spent": ("retries are spent", "retry, skip or roll back"),
    "held": ("held for a decision", "retry, skip or roll back"),
}


@dataclass(frozen=True)
class Group:
    """Sagas that need a person for one reason, at one step."""

    code: str
    text: str
    hint: str
    saga_type: str
    step: str
    count: int
    since: datetime
    grown: bool
    """Whether it is a step that a durable function has named as it ran."""

    @property
    def query(self) -> str:
        """The list's filters for this group."""
        return urlencode({"attention": self.code, "type": self.saga_type, "step": self.step})


def attention_groups(*, by_type: bool = False) -> list[Group]:
    """Return what needs a person, the largest group first.

    ``by_type``: of durable functions, one group a reason; they name their steps as they run, each saga its own.
    """
    grown = When(function=True, then=Value(""))
    called = Case(grown, default=F("name"), output_field=CharField()) if by_type else F("name")
    found = (
        Step.objects.filter(attention__isnull=False)
        .exclude(saga__origin_kind=IMPORT)
        .annotate(function=ExpressionWrapper(Q(grown__isnull=False), BooleanField()))
        .annotate(called=called)
        .values("attention", "saga__saga_type", "called", "function")
        .annotate(count=Count("saga_id"), since=Min("saga__updated_at"))
        .order_by("-count", "since")[:GROUPED]
    )
    return [
        Group(
            code=str(g["attention"]),
            text=attention_text(g["attention"]),
            hint=attention_hint(g["attention"]),
            saga_type=g["saga__saga_type"],
            step=g["called"],
            count=g["count"],
            since=g["since"],
            grown=g["function"],
        )
        for g in found
    ]


def attention_text(code: str | None) -> str:
    """Say what is the matter."""
    return ATTENTION.get(code or "", ((code or "").replace("_", " "), ""))[0]


def attention_hint(code: str | None) -> str:
    """Say what a person can do about it."""
    return ATTENTION.get(code or "", ("", ""))[1]
