"""What is sent back, for the OpenAPI document; the tests hold the answers against it."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from sagas.core.words import AlertKind, Attention, Outcome, SagaState, StepStatus


class Pause(BaseModel):
    """A queue on which nothing is begun until an operator resumes it."""

    number: int = Field(description="Tells it from other pauses.")
    since: datetime
    operator: str
    reason: str


class Step(BaseModel):
    """One step of a saga, and where it stands."""

    name: str
    position: int
    status: StepStatus
    attention: Attention | None = Field(description="Why nothing goes on until a person decides.")
    attempt: int = Field(description="Of the open command, counted from 1.")
    budget: int = Field(description="The attempt after which its retries are spent.")
    action: str
    compensation: str | None = Field(description="Null: nothing to undo.")
    needs: list[str]
    pivot: bool
    retriable: bool
    cannot_undo: bool
    direction: Literal["do", "undo"] | None = Field(description="Of the open command.")
    outcome: Outcome | None = Field(description="Of the last attempt.")
    result: Any
    error: str | None
    probe: int = Field(description="How often its participant was asked what became of the last attempt.")
    probe_command: str | None = Field(description="The command that asks.")
    probe_budget: int = Field(description="How often it is asked, until a person is.")
    standing: bool = Field(description="A rollback passed it by: its effect stays.")
    generation: int
    undo_generation: int
    key: str | None = Field(description="The idempotency key of its latest action.")
    late_key: str | None = Field(
        description="That of an action that was closed as without effect, and had it after all; until it is settled."
    )
    undo_key: str | None
    due_at: datetime | None
    waiting: Literal["approval", "reply", "timer"] | None
    waiting_since: datetime | None
    approver: str | None = Field(description="Who may answer: group:name or perm:app.codename.")
    asked: dict[str, Any] | None = Field(description="What they see, and who has approved.")
    unanswerable: str | None = Field(
        description="Why nobody but a superuser can: there is no such group or permission, or nobody is in it."
    )
    dispatched_at: datetime | None
    claimed_at: datetime | None
    timeout_at: datetime | None = Field(
        description="When the attempt that is being made times out, or until when an answer from outside is waited for."
    )
    executed_at: datetime | None
    compensated_at: datetime | None
    worker: str | None
    silent_since: datetime | None = Field(
        description="When its worker last said that it is alive, if that is longer ago than it should be."
    )
    lease_until: datetime | None = Field(
        description="When the attempt counts as lost, unless its worker speaks."
    )
    unrecorded: str | None = Field(
        description="Why what was answered, or that nothing was, could not be recorded: it is tried again."
    )
    queue: str | None = Field(description="Where its open command is due; of whoever takes it from there.")
    queue_paused: Pause | None = Field(description="Who has paused that queue, as long as nobody holds it.")
    put_off: datetime | None = Field(
        description="When its turn is, if that is later than it is due: its queue was resumed slowly, or see below."
    )
    put_off_error: str | None = Field(
        description="Why it could not be begun, where that is why it is put off."
    )
    on: str | None = Field(description="In a choreography: the event that is delivered.")
    by: str | None = Field(description="In a choreography: the subscriber.")
    expects: list[str] = Field(description="In a choreography: one of these events is expected of it.")
    event: dict[str, Any] | None = Field(description="What was published: ``{name, number, data}``.")
    function: bool = Field(
        description="Whether it is a durable function: it asks for the other steps as it runs."
    )
    child_type: str | None = Field(description="The type of the saga that answers it.")
    child: UUID | None = Field(description="The saga that it started, and that answers it.")
    undone_by: UUID | None = Field(description="The saga that undoes the child, which was completed.")


class Told(BaseModel):
    """What a participant hears of its callback. It is told for good: repeating it changes nothing."""

    late: bool = Field(
        description="Nobody waited for it any more; it is recorded, and an operator sees it where it matters."
    )


class Waiting(BaseModel):
    """All is well; something outside has to happen."""

    kind: Literal["approval", "reply", "timer"]
    step: str | None = Field(description="Null: the saga itself, which begins later.")
    since: datetime
    until: datetime | None


class VerbNow(BaseModel):
    """A verb, and whether who asks may use it on the saga as it is."""

    verb: str
    step: str | None
    label: str
    applies: bool = Field(description="To the saga as it is, and for who asks.")
    allowed: bool = Field(description="False: it would apply, but is not for who asks; the reason says why.")
    reason: str | None = Field(description="Why it does not apply.")


class HelpfulVerb(BaseModel):
    """A verb that applies now, for who asks, and would help."""

    verb: str
    step: str | None
    label: str


class Why(BaseModel):
    """Why it is not moving, in one line, and what would help."""

    text: str
    timed: str = Field(description="The same line, its times in braces, in ISO 8601.")
    verbs: list[HelpfulVerb]


class Saga(BaseModel):
    """One saga, and where it stands."""

    id: UUID
    type: str
    state: SagaState
    attention: Attention | None = Field(description="The most urgent of its steps' codes.")
    waiting: Waiting | None
    paused: bool
    begins_at: datetime | None = Field(description="As long as that is to come.")
    deadline_at: datetime | None
    overdue: bool = Field(description="Its deadline has passed, and it is not over.")
    started_by: str | None = Field(description="The id of the user who started it; null: code did.")
    version: int
    current: str | None = Field(description="The first step at which something goes on.")
    correlation_id: str
    data: dict[str, Any]
    error: str | None = Field(description="Why it rolled back.")
    origin: UUID | None = Field(
        description="The saga that this one restarts, repairs or undoes, or whose child it is."
    )
    origin_kind: str = Field(description="restart, repair, undo or child; import: it ran elsewhere.")
    parent: UUID | None = Field(description="The saga that started it, and waits for its end.")
    restarted_as: UUID | None = Field(description="The saga that restarted this one.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    steps: list[Step]
    verbs: list[VerbNow]
    why: Why


class SagaPage(BaseModel):
    """A page of sagas, the newest first."""

    items: list[Saga]
    next: UUID | None = Field(description="The next page's `after`; null on the last page.")


class Event(BaseModel):
    """One entry of a saga's event log."""

    sequence: int
    version: int
    type: str
    step: str | None
    data: dict[str, Any]
    at: datetime
    operator: str | None


class EventPage(BaseModel):
    """A page of a saga's event log, the oldest first."""

    items: list[Event]
    next: int | None = Field(description="The next page's `after`; null on the last page.")


class Done(BaseModel):
    """What was done."""

    verb: str
    repeated: bool = Field(description="The action id was known: this is the answer given then.")
    created: UUID | None = Field(description="The saga that a restart or a repair started.")


class Acted(Saga):
    """The saga right after a verb."""

    action: Done


class Call(BaseModel):
    """A command that would be sent."""

    step: str
    direction: Literal["do", "undo"]
    command: str
    key: str
    repeated: bool = Field(description="The same key was sent before.")
    queue_paused: bool = Field(description="It waits until its queue, which is paused, is resumed.")


class Change(BaseModel):
    """One path of the data that an edit changes."""

    path: str = Field(description="As in items[0].price.")
    kind: Literal["added", "removed", "changed"]
    before: Any = Field(description="Null where it is added.")
    after: Any = Field(description="Null where it is removed.")


class Plan(BaseModel):
    """What a verb would do; nothing was changed."""

    verb: str
    step: str | None
    version: int
    state: SagaState = Field(description="Right after the verb.")
    sentences: list[str]
    calls: list[Call]
    then: list[Call]
    awaited: list[str]
    untouched: list[str]
    standing: list[str]
    asks: list[str]
    ends: SagaState | None
    changes: list[Change] = Field(description="Of an edit, what it changes in the data.")


class TypeStep(BaseModel):
    """One step of a saga type."""

    name: str
    action: str
    compensation: str | None
    needs: list[str]
    pivot: bool
    retriable: bool


class Type(BaseModel):
    """A saga type that can be started."""

    type: str
    description: str
    data_schema: dict[str, Any] | None = Field(description="The JSON schema of its data.")
    sample_data: dict[str, Any] | None
    steps: list[TypeStep] | None = Field(description="Null if they depend on the data.")


class TypeList(BaseModel):
    """All saga types."""

    items: list[Type]


class Queue(BaseModel):
    """A participant's queue, as it stands."""

    queue: str
    due: int = Field(description="What is due there, and held by nobody.")
    later: int = Field(description="What comes due later.")
    running: int = Field(description="What workers hold.")
    of_paused_sagas: int = Field(description="What waits because its saga is paused.")
    oldest_due_at: datetime | None
    workers: list[str] = Field(description="Who serves it, and is alive.")
    commands: list[str] = Field(description="What is handled there, as far as the code alive says.")
    paused: Pause | None


class QueueList(BaseModel):
    """All queues."""

    items: list[Queue]


class QueueDone(BaseModel):
    """What was done to a queue."""

    verb: Literal["pause", "resume"]
    repeated: bool = Field(description="The action id was known: this is the answer given then.")


class QueueActed(Queue):
    """The queue right after it was paused or resumed."""

    action: QueueDone


class QueuePlan(BaseModel):
    """What pausing or resuming a queue would do; nothing was changed."""

    verb: Literal["pause", "resume"]
    queue: Queue
    sentences: list[str]


class BatchCounts(BaseModel):
    """How many of a batch's sagas stand how."""

    waiting: int = Field(description="For their turn.")
    acted: int = Field(description="The verb was carried out; what comes of it is to be seen.")
    well: int
    failed: int = Field(description="They went wrong again.")
    refused: int = Field(description="The verb was not carried out: they had moved on, or it did not apply.")


class Batch(BaseModel):
    """One verb on many sagas, in waves, and how far it is."""

    id: int
    verb: Literal["retry", "compensate", "restart"]
    state: Literal["running", "paused", "done", "cancelled"]
    note: str | None = Field(description="Why it is paused, if it paused itself.")
    filters: dict[str, str] = Field(description="Which sagas were asked for.")
    reason: str
    operator: str
    via: str = Field(description="desk, api or command.")
    total: int
    counts: BatchCounts
    waves: list[int] = Field(description="How many sagas the first waves have; then come all others.")
    wave: int = Field(description="The one that is under way, the first being 0.")
    per_second: float
    stop_above: int | None = Field(
        description="It pauses by itself when more percent go wrong again; null: never."
    )
    created_at: datetime
    ended_at: datetime | None
    verbs: list[Literal["pause", "resume", "release", "cancel"]] = Field(
        description="What can be done to it as it is."
    )


class BatchPage(BaseModel):
    """A page of batches, the newest first."""

    items: list[Batch]
    next: int | None = Field(description="The next page's `after`; null on the last page.")


class BatchSaga(BaseModel):
    """One saga of a batch, and what came of it."""

    position: int
    saga: UUID
    version: int = Field(description="As which it was seen when the batch began.")
    state: Literal["waiting", "acted", "well", "failed", "refused"]
    steps: list[str] = Field(description="To which it was done; empty: to the saga itself.")
    created: UUID | None = Field(description="The saga that a restart started.")
    text: str = Field(description="Why it was refused, or how it failed.")
    acted_at: datetime | None


class BatchSagaPage(BaseModel):
    """A page of a batch's sagas, in the order of their turns."""

    items: list[BatchSaga]
    next: int | None = Field(description="The next page's `after`; null on the last page.")


class BatchDone(BaseModel):
    """What was done to a batch."""

    verb: Literal["start", "pause", "resume", "release", "cancel"]
    repeated: bool = Field(
        description="The action id was known: it was done then, and the batch is as of now."
    )


class BatchActed(Batch):
    """The batch right after it was begun, or a verb."""

    action: BatchDone


class Alike(BaseModel):
    """Sagas of a batch that are alike."""

    saga_type: str
    state: SagaState
    count: int = Field(description="Of a retry: of their steps.")
    step: str = Field(description="Of a retry: the step that asks for a person; else empty.")
    attention: str = Field(description="Of a retry: for what.")


class BatchPlan(BaseModel):
    """What a batch would do; nothing was changed."""

    verb: Literal["retry", "compensate", "restart"]
    total: int
    matching: int = Field(description="With those that the verb is not for.")
    possible: bool = Field(description="False: there is nothing to do, or too much for one batch.")
    sentences: list[str]
    alike: list[Alike]
    first: list[UUID] = Field(description="Those that come first.")
    seen_at: datetime = Field(description="Begin it with this, and what moves later is left out.")


class BatchVerbPlan(BaseModel):
    """What a verb would do to a batch; nothing was changed."""

    verb: Literal["pause", "resume", "release", "cancel"]
    batch: Batch
    sentences: list[str]


class Alert(BaseModel):
    """One thing that asks for a person, from when it began until it is over."""

    id: int
    kind: AlertKind
    about: dict[str, Any] = Field(description="What of its kind: a step, a queue, a batch.")
    title: str
    hint: str = Field(description="What a person can do about it.")
    count: int = Field(description="Sagas, or deliveries.")
    opened_at: datetime
    resolved_at: datetime | None = Field(description="Null: it is still there.")
    earlier: int = Field(description="How many times it was there in the day before.")
    told: int = Field(description="How many times it was to be told of.")
    tell_at: datetime | None = Field(
        description="When it is told of next, or until when it is taken; null: not again, or until it is over."
    )
    taken_by: str | None = Field(description="Who is on it.")
    taken_at: datetime | None
    taken_note: str | None
    version: int = Field(description="Raised when somebody takes it, or gives it back.")
    url: str | None = Field(description="Where the desk shows what is the matter.")
    take_url: str | None = Field(description="Where it is taken.")


class AlertPage(BaseModel):
    """A page of alerts, the newest first."""

    items: list[Alert]
    next: int | None = Field(description="The next page's `after`; null on the last page.")


class Notice(BaseModel):
    """That a channel was, or is to be, told of an alert."""

    channel: str
    what: Literal["begun", "again", "over"]
    number: int = Field(description="The how-manieth time that the alert is told of.")
    made_at: datetime
    attempt: int
    error: str | None = Field(description="What the latest attempt ended with.")
    sent_at: datetime | None
    given_up: bool


class AlertDetail(Alert):
    """An alert, and whom it was told."""

    notices: list[Notice] = Field(description="The latest 100, the newest first.")


class AlertDone(BaseModel):
    """What was done to an alert."""

    verb: Literal["take", "give_back"]
    repeated: bool = Field(
        description="The action id was known: it was done then, and the alert is as of now."
    )


class AlertActed(Alert):
    """The alert right after it was taken, or given back."""

    action: AlertDone


class AlertPlan(BaseModel):
    """What taking an alert, or giving it back, would do; nothing was changed."""

    verb: Literal["take", "give_back"]
    alert: Alert
    sentences: list[str]


class Error(BaseModel):
    """What went wrong."""

    code: str
    message: str
    field: str | None = None
    reason: str | None = None


class Problem(BaseModel):
    """Every answer that is not a success. The details in `error` stand beside it, too."""

    error: Error
    field: str | None = Field(None, description="422: what cannot be accepted.")
    reason: str | None = Field(None, description="422: why.")
    state: SagaState | None = Field(None, description="409: the saga's state now.")
    version: int | None = Field(None, description="409: the saga's version now.")
    moved_by: dict[str, Any] | None = Field(None, description="409: who changed it last, if an operator.")
    saga: Saga | None = Field(None, description="409: the saga now.")
    saga_id: UUID | None = Field(None, description="409: the saga that the idempotency key started.")
