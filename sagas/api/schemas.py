"""What may be sent: bodies and queries, checked by pydantic, and the source of the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticKnownError

from sagas import searchable
from sagas.core.ids import id_range
from sagas.core.waits import moment
from sagas.core.words import AlertKind, Attention, SagaState, Waiting
from sagas.matching import ANY, NONE, Wanted
from sagas.models import Batch, BatchItem
from sagas.orchestrator import BATCHED, Course

Text = Annotated[str, Field(min_length=1, max_length=200)]
Moment = Annotated[datetime, BeforeValidator(moment)]


class _Body(BaseModel):
    """JSON has types of its own, so none is converted; and a misspelt name is not passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StartBody(_Body):
    """Start a saga."""

    type: Annotated[str, Field(min_length=1, max_length=100, examples=["OrderFulfillment"])]
    data: dict[str, Any] = Field(description="What its steps work on; checked by the saga type.")
    correlation_id: Text | None = Field(None, description="Yours, to find it by; else the saga's id.")
    idempotency_key: Text | None = Field(None, description="The same key again gives the same saga.")
    at: Moment | None = Field(
        None,
        description="When it begins, with a time zone; left out: now.",
        examples=["2026-12-24T18:00:00Z"],
    )


class _Asking(_Body):
    """What every verb takes."""

    reason: str = Field("", max_length=2000, description="Why; required, except with dry_run.")
    action_id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Made by you; the same one again gives the stored answer and does nothing."
    )
    dry_run: bool = Field(False, description="Say what would happen, and change nothing.")


class VerbBody(_Asking):
    """Act on a saga. Which fields count depends on the verb."""

    step: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The step's name: retry, skip, resolve, approve and reject are about one."
    )
    version: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The version that you saw; 409 if the saga has moved on since."
    )
    outcome: Literal["done", "none", "waived"] | None = Field(None, description="resolve: what became of it.")
    result: Any = Field(None, description="resolve as done: the step's result.")
    evidence: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="resolve: how you know."
    )
    data: dict[str, Any] | None = Field(None, description="edit: the whole of the data as it shall be.")


class QueueBody(_Asking):
    """Pause a queue, or resume it."""

    per_second: float | None = Field(
        None, description="resume: begin so many a second of what is due; left out: all of it at once."
    )
    pause: Annotated[int, Field(ge=0)] | None = Field(
        None, description="resume: the number of the pause that you saw; 409 if it is another by now."
    )


class CallbackBody(_Body):
    """Answer a command, signed by the participant that it was sent to."""

    outcome: Literal["completed", "rejected"] = Field(description="What became of it.")
    result: Any = Field(None, description="completed: what the action returned.")
    reason: str = Field("", max_length=2000, description="rejected: why it had no effect.")


def _beginning(text: str) -> str:
    """Refuse what no id begins with."""
    if id_range(text) is None:
        raise ValueError("must be four hexadecimal digits or more, as an id begins")
    return text


def _searchable(name: str) -> str:
    """Let nothing pass under a name of its own but a path that has an index."""
    if not name.startswith(searchable.PREFIX):
        raise PydanticKnownError("extra_forbidden")
    try:
        searchable.check(name.removeprefix(searchable.PREFIX))
    except searchable.NotSearchable as no:
        raise ValueError(str(no)) from no
    return name


class Filters(BaseModel):
    """Which sagas: those that have all of it. A path of the data that is searchable is ``data.PATH``."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[Annotated[str, AfterValidator(_searchable)], str]

    state: Literal[tuple(s.value for s in SagaState)] | None = None  # type: ignore[valid-type]
    type: Annotated[str, Field(max_length=100)] | None = None
    attention: Literal[(ANY, NONE, *(a.value for a in Attention))] | None = Field(  # type: ignore[valid-type]
        None, description="A code that a step of it asks with, or any, or none."
    )
    step: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="A step that it has; with attention, one that asks so."
    )
    waiting: Literal[(ANY, *(w.value for w in Waiting))] | None = Field(  # type: ignore[valid-type]
        None, description="For what it waits that lies outside, or any."
    )
    paused: bool | None = Field(None, description="By an operator.")
    queue: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="On which something of them waits, due now or later."
    )
    id: Annotated[str, AfterValidator(_beginning)] | None = Field(None, description="How it begins.")
    correlation_id: Annotated[str, Field(max_length=200)] | None = None
    correlation: Annotated[str, Field(max_length=200)] | None = Field(
        None, description="How the correlation id begins."
    )
    since: Moment | None = Field(None, description="Started then or later.")
    until: Moment | None = Field(None, description="Started before.")

    def wanted(self) -> Wanted:
        """Return which sagas are meant."""
        plain = {name: getattr(self, name) for name in Filters.model_fields}
        extra = self.model_extra or {}
        return Wanted(**plain, data={path.removeprefix(searchable.PREFIX): extra[path] for path in extra})


class ListQuery(Filters):
    """Which sagas; the newest first."""

    after: UUID | None = Field(None, description="The `next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=200)] = 50


def _some(filters: Filters) -> Filters:
    """Refuse to take nothing for everything."""
    if not filters.wanted().named():
        raise ValueError(
            "must name at least one field: that every saga is meant has to be said, as by a state"
        )
    return filters


class BatchBody(_Asking):
    """Begin a batch: one verb on all sagas that match, in waves."""

    verb: Literal[tuple(BATCHED)]  # type: ignore[valid-type]
    filter: Annotated[Filters, AfterValidator(_some)] = Field(
        description="Which sagas: the parameters of their list; at least one.",
        examples=[{"attention": "held", "type": "OrderFulfillment"}],
    )
    waves: list[int] = Field(
        list(Course.waves),
        description="How many the first waves have; then come all others. []: all at once.",
    )
    per_second: float = Field(Course.per_second, description="At most so many a second.")
    stop_above: int | None = Field(
        Course.stop_above,
        description="It pauses by itself when more percent of them go wrong again; null: never.",
    )
    at_most: Annotated[int, Field(ge=1)] | None = Field(
        None, description="The `total` of the dry run that you saw; 409 if more match by now."
    )
    seen_at: Moment | None = Field(None, description="That of a dry run: what has moved since is left out.")


class BatchVerbBody(_Asking):
    """Pause a batch, resume it, release its wave, or cancel it."""


class AlertBody(_Asking):
    """Take an alert, or give it back."""

    hours: float | None = Field(
        None, description="take: for so long, at most a week; left out: until it is over."
    )
    version: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The version that you saw; 409 if somebody has taken it, or given it back, since."
    )


class _Query(BaseModel):
    """A query holds only texts, so they are converted."""

    model_config = ConfigDict(extra="forbid")


class BatchQuery(_Query):
    """Which batches; the newest first."""

    state: Literal[tuple(state for state, _ in Batch.STATES)] | None = None  # type: ignore[valid-type]
    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None, description="The `next` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class BatchSagaQuery(_Query):
    """Which sagas of a batch; in the order in which they have their turns."""

    state: Literal[tuple(state for state, _ in BatchItem.STATES)] | None = None  # type: ignore[valid-type]
    after: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        None, description="The `next` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


class AlertQuery(_Query):
    """Which alerts; the newest first."""

    open: bool | None = Field(None, description="Those that are not over, or only those that are.")
    kind: Literal[tuple(kind.value for kind in AlertKind)] | None = None  # type: ignore[valid-type]
    after: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = Field(
        None, description="The `next` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class EventQuery(_Query):
    """Which part of an event log; the oldest first."""

    after: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(0, description="The `next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
