"""The words of the saga lifecycle that are stored, shown and sent: exactly these strings."""

from enum import StrEnum


class SagaState(StrEnum):
    """Where a saga stands."""

    STARTED = "started"
    """Recorded; nothing is dispatched yet."""
    PENDING = "pending"
    """Waiting for steps."""
    COMPENSATING = "compensating"
    """Rolling back."""
    COMPLETED = "completed"
    """All steps succeeded, or were skipped by a named operator."""
    FAILED = "failed"
    """Rolled back: what had an effect is compensated or settled."""


TERMINAL = frozenset({SagaState.COMPLETED, SagaState.FAILED})
FORWARD = frozenset({SagaState.STARTED, SagaState.PENDING})


class StepStatus(StrEnum):
    """Where a step stands."""

    PENDING = "pending"
    """Not dispatched, or withdrawn before anyone claimed it."""
    EXECUTING = "executing"
    """From the action's dispatch to a verdict; back-off and waiting included."""
    COMPLETED = "completed"
    FAILED = "failed"
    """Rejected, or held after a rejection. Its action had no effect."""
    COMPENSATING = "compensating"
    """From the undo's dispatch until it is done; a stuck undo included."""
    COMPENSATED = "compensated"
    SKIPPED = "skipped"
    """An operator went on without it."""


class Direction(StrEnum):
    """Which of a step's two commands is meant."""

    DO = "do"
    UNDO = "undo"


class Attention(StrEnum):
    """Why nothing goes on for a step until a person decides. Most urgent last."""

    HELD = "held"
    RETRIES_SPENT = "retries_spent"
    OUTCOME_UNKNOWN = "outcome_unknown"
    CANNOT_UNDO = "cannot_undo"
    NO_HANDLER = "no_handler"
    MISCONFIGURED = "misconfigured"
    EXPECTATION_MISSED = "expectation_missed"
    COMPENSATION_FAILED = "compensation_failed"
    LATE_EFFECT = "late_effect"


#: Code -> urgency; the saga shows the most urgent of its steps' codes.
URGENCY = {code: rank for rank, code in enumerate(Attention)}


class Waiting(StrEnum):
    """For what a step waits, all being well: something outside has to happen. Most telling first."""

    APPROVAL = "approval"
    """For a person's answer."""
    REPLY = "reply"
    """For a participant that said: later."""
    TIMER = "timer"
    """For a moment to come."""


class Outcome(StrEnum):
    """What is known of a command's last attempt."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What an operator found out, or decided, when resolving a step by hand."""

    DONE = "done"
    NONE = "none"
    WAIVED = "waived"


class AlertKind(StrEnum):
    """What can ask for a person, so that somebody outside the desk is told."""

    ATTENTION = "attention"
    """Sagas that wait for a person, for one reason at one step; of durable functions, for one reason."""
    WORKERS = "workers"
    """No worker is alive."""
    CLOCK = "clock"
    """No clock is alive."""
    REDIS = "redis"
    """Redis does not answer."""
    UNSERVED = "unserved"
    """Work is due on a queue that nobody serves."""
    BEHIND = "behind"
    """Work has been due for long on a queue that somebody serves."""
    UNDELIVERED = "undelivered"
    """A hook or a subscriber keeps failing."""
    BATCH = "batch"
    """A batch has paused itself."""
    CHANNEL = "channel"
    """A channel does not take what it is told."""


#: What a command brings itself: of data under these names a handler would never see anything.
OWN_KEYS = ("saga_id", "step_name", "results", "original_result")
