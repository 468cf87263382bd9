"""A saga as a document that another installation can read: its shape, version by version, and nothing else.

What follows from the rest is left out, but for the rows: those are repeated, so that whoever reads the
document need not fold, and whoever imports it can tell that nobody has changed it.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from sagas.core.plain import NotPlain, plain
from sagas.core.words import Attention, Direction, Outcome, SagaState, StepStatus, Waiting
from sagas.models import IMPORT
from sagas.orchestrator.asked import Invalid

FORMAT = "sagadesk.saga"
VERSION = 1
#: The largest number that a column keeps.
MOST = 2**31 - 1


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SagaPart(_Part):
    """The saga's own row."""

    id: UUID
    type: str = Field(min_length=1, max_length=100)
    correlation_id: str = Field(max_length=200)
    idempotency_key: str | None = Field(max_length=200)
    origin: UUID | None
    origin_kind: Literal["", "restart", "repair", "child", "undo"]
    state: SagaState
    attention: Attention | None
    waiting: dict[str, Any] | None
    paused: bool
    version: int
    sequence: int
    data: dict[str, Any]
    error: str | None
    begins_at: AwareDatetime | None = None
    deadline_at: AwareDatetime | None = None
    expired: bool = False
    created_at: AwareDatetime
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None


class PinnedRetry(_Part):
    """How often a command is sent again."""

    max_attempts: int
    first: float
    factor: float
    cap: float


class PinnedTimer(_Part):
    """How long a step waits."""

    seconds: float | None = None
    at: str | None = None
    path: str | None = None


class PinnedApproval(_Part):
    """Who answers a step, and what they see."""

    by: str
    people: int
    show: list[str] | str
    deadline: float | None
    otherwise: str | None
    self_approval: bool


class PinnedChild(_Part):
    """Which saga a step starts."""

    saga_type: str
    data: dict[str, Any] | str


class PinnedStep(_Part):
    """A step as it was defined; what is left out has its default."""

    name: str
    action: str = Field(max_length=200)
    compensation: str | None = Field(default=None, max_length=200)
    needs: list[str] | None = None
    pivot: bool = False
    retriable: bool = False
    hold: bool = False
    timeout: float = 300.0
    deadline: float | None = None
    retry: PinnedRetry | None = None
    undo_retry: PinnedRetry | None = None
    probe: str | None = Field(default=None, max_length=200)
    undo_probe: str | None = Field(default=None, max_length=200)
    probe_retry: PinnedRetry | None = None
    input: dict[str, Any] | None = None
    undoes: str | None = None
    timer: PinnedTimer | None = None
    approval: PinnedApproval | None = None
    child: PinnedChild | None = None


class PinnedPart(_Part):
    """The definition with which the saga started."""

    saga_type: str
    steps: list[PinnedStep]
    deadline: float | None = None
    flow: dict[str, Any] | None = None
    growing: bool = False


class StepPart(_Part):
    """A step's row, without what its definition says."""

    name: str
    status: StepStatus
    attention: Attention | None
    open: Direction | None
    scheduled: bool
    action_number: int | None
    undo_number: int | None
    generation: int
    undo_generation: int
    attempt: int
    budget: int
    due_at: AwareDatetime | None
    outcome: Outcome | None
    action_outcome: Outcome | None
    unresolved: bool
    inbox: bool
    probe: int = 0
    result: Any
    error: str | None
    input: dict[str, Any] | None
    standing: bool
    waiting: Waiting | None = None
    waiting_since: AwareDatetime | None = None
    approver: str | None = Field(default=None, max_length=200)
    asked: dict[str, Any] | None = None
    event: dict[str, Any] | None = None
    grown: dict[str, Any] | None = None
    former: dict[str, Any] | None = None
    dispatched_at: AwareDatetime | None
    executed_at: AwareDatetime | None
    compensated_at: AwareDatetime | None
    refused_at: AwareDatetime | None = None


class EventPart(_Part):
    """One entry of the event log."""

    sequence: PositiveInt
    version: PositiveInt
    type: str
    step: str | None
    at: AwareDatetime
    data: dict[str, Any]


class LatePart(_Part):
    """A reply that changed nothing."""

    step: str = Field(max_length=100)
    number: int | None = Field(ge=0, le=MOST)
    kind: str = Field(max_length=16)
    payload: Any
    at: AwareDatetime


def _no_import(verb: str) -> str:
    if verb == IMPORT:
        raise ValueError(
            "that it was imported is left out of a document: whoever imports it writes their own"
        )
    return verb


class ActionPart(_Part):
    """What an operator did there. Who it was is a name: the account stays where it is."""

    action_id: str = Field(min_length=1, max_length=100)
    verb: Annotated[str, Field(max_length=16), AfterValidator(_no_import)]
    step: str | None = Field(max_length=100)
    operator: str = Field(max_length=200)
    via: str = Field(max_length=16)
    reason: str
    request: dict[str, Any]
    version_before: int = Field(ge=0, le=MOST)
    version_after: int = Field(ge=0, le=MOST)
    at: AwareDatetime


class SagaDocument(_Part):
    """All that is known of one saga."""

    format: Literal["sagadesk.saga"]
    version: Literal[1]
    revealed: bool = Field(description="Whether values are in it, or placeholders.")
    saga: SagaPart
    definition: PinnedPart
    steps: list[StepPart]
    events: list[EventPart]
    late_replies: list[LatePart]
    actions: list[ActionPart]


def parse(given: Any) -> SagaDocument:
    """Check a document's shape. Raises Invalid with the first place that is wrong, and why."""
    if not isinstance(given, dict) or given.get("format") != FORMAT:
        raise Invalid("format", f"this is not a saga's document: it must be an object with format {FORMAT!r}")
    if given.get("version") != VERSION:
        raise Invalid("version", f"{given.get('version')!r} is not known here; it must be {VERSION}")
    try:
        return SagaDocument.model_validate(plain(given, "document"))
    except NotPlain as wrong:
        raise Invalid("document", str(wrong)) from wrong
    except ValidationError as wrong:
        first = wrong.errors(include_url=False)[0]
        raise Invalid(".".join(map(str, first["loc"])), first["msg"]) from wrong


def iso(time: datetime | None) -> str | None:
    """Write a time as documents have it."""
    return time.isoformat() if time else None
