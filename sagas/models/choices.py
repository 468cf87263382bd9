"""The words that columns may hold, as Django wants them."""

from django.db.models import Q

from sagas.core.words import Attention, Direction, Outcome, SagaState, StepStatus, Waiting

# Plain strings: a migration must not import the enum it was made from.
STATES = [(str(s.value), s.value) for s in SagaState]
STATUSES = [(str(s.value), s.value) for s in StepStatus]
ATTENTIONS = [(str(a.value), a.value.replace("_", " ")) for a in Attention]
DIRECTIONS = [(str(d.value), d.value) for d in Direction]
WAITS = [(str(w.value), w.value) for w in Waiting]
OUTCOMES = [(str(o.value), o.value) for o in Outcome]


def known(field: str, choices: list[tuple[str, str]]) -> Q:
    """Return the condition that a column holds one of its choices."""
    return Q(**{f"{field}__in": [value for value, _ in choices]})
