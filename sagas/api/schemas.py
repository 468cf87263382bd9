"""What may be sent: bodies and queries, checked by pydantic, and the source of the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from sagas.core.waits import moment
from sagas.core.words import Attention, SagaState, Waiting

Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Body(BaseModel):
    """JSON has types of its own, so none is converted; and a misspelt name is not passed over."""

    model_config = ConfigDict(extra="forbid", strict=True)


class StartBody(_Body):
    """Start a saga."""

    type: Annotated[str, Field(min_length=1, max_length=100, examples=["OrderFulfillment"])]
    data: dict[str, Any] = Field(description="What its steps work on; checked by the saga type.")
    correlation_id: Text | None = Field(None, description="Yours, to find it by; else the saga's id.")
    idempotency_key: Text | None = Field(None, description="The same key again gives the same saga.")
    at: Annotated[datetime, BeforeValidator(moment)] | None = Field(
        None,
        description="When it begins, with a time zone; left out: now.",
        examples=["2026-12-24T18:00:00Z"],
    )


class VerbBody(_Body):
    """Act on a saga. Which fields count depends on the verb."""

    reason: str = Field("", max_length=2000, description="Why; required, except with dry_run.")
    step: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="The step's name: retry, skip, resolve, approve and reject are about one."
    )
    version: Annotated[int, Field(ge=0)] | None = Field(
        None, description="The version that you saw; 409 if the saga has moved on since."
    )
    action_id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Made by you; the same one again gives the stored answer and does nothing."
    )
    outcome: Literal["done", "none", "waived"] | None = Field(None, description="resolve: what became of it.")
    result: Any = Field(None, description="resolve as done: the step's result.")
    evidence: Annotated[str, Field(max_length=2000)] | None = Field(
        None, description="resolve: how you know."
    )
    data: dict[str, Any] | None = Field(None, description="edit: the whole of the data as it shall be.")
    dry_run: bool = Field(False, description="Say what would happen, and change nothing.")


class QueueBody(_Body):
    """Pause a queue, or resume it."""

    reason: str = Field("", max_length=2000, description="Why; required, except with dry_run.")
    per_second: float | None = Field(
        None, description="resume: begin so many a second of what is due; left out: all of it at once."
    )
    pause: Annotated[int, Field(ge=0)] | None = Field(
        None, description="resume: the number of the pause that you saw; 409 if it is another by now."
    )
    action_id: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Made by you; the same one again gives the stored answer and does nothing."
    )
    dry_run: bool = Field(False, description="Say what would happen, and change nothing.")


class CallbackBody(_Body):
    """Answer a command, signed by the participant that it was sent to."""

    outcome: Literal["completed", "rejected"] = Field(description="What became of it.")
    result: Any = Field(None, description="completed: what the action returned.")
    reason: str = Field("", max_length=2000, description="rejected: why it had no effect.")


class _Query(BaseModel):
    """A query holds only texts, so they are converted."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(_Query):
    """Which sagas; the newest first."""

    state: Literal[tuple(s.value for s in SagaState)] | None = None  # type: ignore[valid-type]
    type: Annotated[str, Field(max_length=100)] | None = None
    attention: Literal[("any", "none", *(a.value for a in Attention))] | None = Field(  # type: ignore[valid-type]
        None, description="A code, or any, or none."
    )
    waiting: Literal[("any", *(w.value for w in Waiting))] | None = Field(  # type: ignore[valid-type]
        None, description="For what it waits that lies outside, or any."
    )
    correlation_id: Annotated[str, Field(max_length=200)] | None = None
    queue: Annotated[str, Field(max_length=100)] | None = Field(
        None, description="On which something of them waits, due now or later."
    )
    after: UUID | None = Field(None, description="The `next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class EventQuery(_Query):
    """Which part of an event log; the oldest first."""

    after: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(0, description="The `next` of the page before.")
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
