"""What callers hand to the verbs, what they get back, and what they may hear instead."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sagas.core.decide import Refused as Refused
from sagas.models import Batch

#: Every verb, and what it is called where people read it.
VERBS: Mapping[str, str] = {
    "retry": "Retry",
    "compensate": "Roll back",
    "skip": "Skip",
    "resolve": "Settle by hand",
    "edit": "Edit data",
    "pause": "Pause",
    "resume": "Resume",
    "approve": "Approve",
    "reject": "Reject",
    "restart": "Restart",
}
#: The verbs that are about one step.
STEP_VERBS = frozenset({"retry", "skip", "resolve", "approve", "reject"})
#: What can be done to a queue, to an alert and to a batch, and what that is called where people read it.
QUEUE_VERBS: Mapping[str, str] = {"pause": "Pause", "resume": "Resume"}
ALERT_VERBS: Mapping[str, str] = {"take": "Take", "give_back": "Give back"}
BATCH_VERBS: Mapping[str, str] = {
    "pause": "Pause",
    "resume": "Resume",
    "release": "Wait no longer",
    "cancel": "Cancel",
}
#: Characters of a reason, and of the evidence, at most: people are to read them in a table.
LONGEST_REASON = 2_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One operator's request, from whichever face it came."""

    operator: Any
    """The user; its permission ``sagas.<verb>_saga`` is checked."""
    via: str
    """desk, admin, api or command."""
    reason: str
    step: str | None = None
    version: int | None = None
    """The version that the operator saw; None: whatever it is now."""
    action_id: str | None = None
    """Made by the client; the same one again gives the stored answer."""
    outcome: str | None = None
    result: Any = None
    evidence: str | None = None
    data: Mapping[str, Any] | None = None
    batch: Batch | None = None
    """In which it is asked; for who began that, whoever's process this is."""
    by: str = ""
    """Who asks, where that is no person: a saga, of its child."""

    @property
    def name(self) -> str:
        """Who asks, as the audit trail keeps it."""
        if self.by:
            return self.by
        if self.batch is not None:
            return self.batch.operator_name
        if self.operator is not None:
            return str(self.operator.get_username())
        try:
            return f"shell:{getpass.getuser()}"
        except (KeyError, OSError):  # a process whose user has no name
            return "shell"


@dataclass(frozen=True)
class Answer:
    """What became of a verb. ``saga`` is the saga's snapshot right after it."""

    saga: dict[str, Any]
    verb: str
    repeated: bool = False
    """The action id was known: this is the answer given then."""
    created: UUID | None = None
    """The new saga that a restart, or the compensation of a late effect, started."""


class OrchestratorError(Exception):
    """Something that a caller has to hear. Its text is for people."""


class NotFound(OrchestratorError):
    """There is no such saga, or no such saga type."""


class Forbidden(OrchestratorError):
    """The operator may not do this."""


class Invalid(OrchestratorError):
    """Data that cannot be accepted: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Conflict(OrchestratorError):
    """The verb does not apply, or the saga moved on since the operator looked."""

    def __init__(
        self, text: str, saga: dict[str, Any], moved_by: dict[str, Any] | None = None, refusal: str = ""
    ) -> None:
        super().__init__(text)
        self.refusal = refusal or text
        """What speaks against it, without who did what: of a saga that did not move, nobody did that."""
        self.saga = saga
        """The saga's snapshot now."""
        self.moved_by = moved_by
        """Who moved it since: ``{operator, verb, reason, at}``; None: the engine, or nobody."""


class KeyTaken(OrchestratorError):
    """The idempotency key belongs to a saga that was started with other data."""

    def __init__(self, text: str, saga_id: UUID) -> None:
        super().__init__(text)
        self.saga_id = saga_id


@dataclass(frozen=True)
class Plan:
    """What a verb would do, in data and in sentences, before it does it."""

    verb: str
    step: str | None
    version: int
    state: str
    """The saga's state right after the verb."""
    sentences: tuple[str, ...]
    """What will happen, in plain words, most important first."""
    calls: tuple[dict[str, Any], ...] = field(default=())
    """Commands due at once: ``{step, direction, command, key, repeated, queue_paused}``."""
    then: tuple[dict[str, Any], ...] = field(default=())
    """Commands that would follow if every call succeeds."""
    awaited: tuple[str, ...] = field(default=())
    untouched: tuple[str, ...] = field(default=())
    standing: tuple[str, ...] = field(default=())
    asks: tuple[str, ...] = field(default=())
    ends: str | None = None
    changes: tuple[dict[str, Any], ...] = field(default=())
    """Of an edit, what it changes in the data: ``{path, kind, before, after}``; kind is added, removed or changed."""

    @property
    def waits(self) -> bool:
        """Whether something that is due at once is not called at once: an operator has paused its queue."""
        return any(call["queue_paused"] for call in self.calls)
