"""The books: sagas are locked and loaded together, decided one by one, and written in one go.

Here alone saga state is written. A :class:`Group` is used inside one transaction:
lock, decide, write. What was decided is sent as a signal once the transaction is committed.
"""

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from sagas import registry, rows
from sagas.clock import database_now
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed
from sagas.core.decide import decide
from sagas.core.definition import SagaDefinition
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, Direction, Outcome, SagaState, StepStatus
from sagas.models import Definition, Due, Event, Saga, Step
from sagas.orchestrator import outbox
from sagas.signals import Change, committed

log = logging.getLogger(__name__)

STEP_COLUMNS = tuple(f for f in StepProgress.__slots__ if f != "name")
SAGA_COLUMNS = (
    "state",
    "attention",
    "paused",
    "version=",
    "sequence",
    "data",
    "error",
    "updated_at",
    "finished_at",
)
EVENT_COLUMNS = ("saga_id", "sequence", "version", "type", "step", "data", "at")
COMMAND_COLUMNS = (
    "kind", "saga_id", "queue", "due_at", "paused", "name", "attempt", "step", "direction", "number", "generation",
    "lease_token", "lease_until", "claimed_at", "timeout_at", "worker",
)  # fmt: skip
DELIVERY_COLUMNS = ("kind", "saga_id", "queue", "due_at", "paused", "name", "attempt", "event", "payload")


class DueRow(NamedTuple):
    """What of a command's due row matters when deciding."""

    id: int
    number: int
    lease_token: UUID | None


@dataclass
class Held:
    """A saga under our lock: where it stood, and where it stands after what was decided."""

    id: UUID
    saga_type: str
    correlation_id: str
    definition: SagaDefinition
    before: Progress
    due: Mapping[int, DueRow]
    step_ids: Mapping[str, int]
    progress: Progress = field(init=False)
    events: list[e.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = self.before

    @property
    def new(self) -> bool:
        """Whether there are no rows of it yet."""
        return not self.step_ids

    @property
    def claimed(self) -> frozenset[int]:
        """Numbers of the commands that a worker holds."""
        return frozenset(n for n, row in self.due.items() if row.lease_token)


class Lease(NamedTuple):
    """A claim on a command that is made with its very dispatch: no other worker need look for it."""

    token: UUID
    until: datetime
    at: datetime
    timeout_at: datetime
    worker: str


#: Asked for each command that becomes due at once: (queue, now, its timeout in seconds) -> a lease to write with it.
Claim = Callable[[str, datetime, float], Lease | None]


class MovedOn(RuntimeError):
    """A row was not as it was when it was locked: somebody writes without the lock. Nothing was written."""


@lru_cache(maxsize=1024)
def definition(digest: str) -> SagaDefinition:
    """Return a pinned definition; read once per process."""
    return SagaDefinition.from_document(Definition.objects.values_list("document", flat=True).get(pk=digest))


#: Digests that are known to be stored, and committed.
_stored: set[str] = set()


def pin(pinned: SagaDefinition) -> None:
    """Store a definition, once."""
    digest = pinned.digest
    if digest not in _stored:
        row = Definition(digest=digest, saga_type=pinned.saga_type, document=pinned.document())
        Definition.objects.bulk_create([row], ignore_conflicts=True)
        # Only once it is committed: the caller may yet roll back.
        transaction.on_commit(lambda: _stored.add(digest))


def forget_definitions() -> None:
    """Drop what is cached of definitions; for tests, whose databases forget them."""
    definition.cache_clear()
    _stored.clear()


class Group:
    """Sagas that are locked, decided and written together, in the caller's transaction."""

    def __init__(self, claim: Claim | None = None) -> None:
        self.now = database_now()
        self.sagas: dict[UUID, Held] = {}
        self.broken: dict[UUID, Exception] = {}
        """Sagas whose rows could not be read, and why."""
        self.claim = claim
        self.claimed: list[tuple[Held, DueCommand, Lease]] = []
        """Commands that were leased to the caller as they were dispatched."""

    def lock(self, ids: Iterable[UUID]) -> None:
        """Lock and load sagas, in the order of their ids, so that two groups never wait for each other."""
        wanted = sorted(set(ids) - self.sagas.keys())
        found = Saga.objects.select_for_update().filter(pk__in=wanted).order_by("pk")
        sagas = list(found.values(*_HELD_COLUMNS))
        present = [saga["id"] for saga in sagas]
        steps = _steps(present)
        due = _due(present)
        for saga in sagas:
            try:
                self.sagas[saga["id"]] = held_from(saga, steps[saga["id"]], due.get(saga["id"], {}))
            except Exception as fault:  # one saga's fault is not its neighbours'
                self.broken[saga["id"]] = fault

    def add(self, saga_id: UUID, correlation_id: str, pin: SagaDefinition) -> Held:
        """Take in a saga of which nothing is recorded yet."""
        blank = Progress.blank(pin)
        held = Held(saga_id, pin.saga_type, correlation_id, pin, blank, due={}, step_ids={})
        self.sagas[saga_id] = held
        return held

    def decide(self, held: Held, message: m.Message) -> tuple[e.Event, ...]:
        """Decide one message about a saga, and remember what it decided."""
        events = decide(held.definition, held.progress, message, self.moment(held))
        if events:
            held.progress = fold(held.progress, events)
            held.events.extend(events)
        return events

    def moment(self, held: Held) -> m.Now:
        """Return what the core may know of this moment."""
        return m.Now(self.now, random.random(), held.claimed)

    def write(self) -> None:
        """Write what was decided; the signal follows the commit. Raises :class:`MovedOn`, and then nothing was."""
        moved = [held for held in self.sagas.values() if held.events]
        if not moved:
            return
        self._write_sagas([held for held in moved if not held.new])
        self._write_steps(moved)
        rows.insert(Event, EVENT_COLUMNS, [row for held in moved for row in _event_rows(held)])
        queues = self._write_due(moved)
        deliveries = [row for held in moved for row in outbox.deliveries(held, self.now)]
        rows.insert(Due, DELIVERY_COLUMNS, deliveries)
        queues |= {row[DELIVERY_COLUMNS.index("queue")] for row in deliveries}
        changes = [_change(held) for held in moved]
        transaction.on_commit(lambda: _tell(changes, queues))

    def _write_sagas(self, moved: Sequence[Held]) -> None:
        values = [(held.id, held.before.version, *_saga_values(held.progress)) for held in moved]
        if rows.update(Saga, ("id", "version"), SAGA_COLUMNS, values) != len(values):
            raise MovedOn("a saga's version changed while it was locked")

    def _write_steps(self, moved: Sequence[Held]) -> None:
        new, known = [], []
        for held in moved:
            for position, pinned in enumerate(held.definition.steps):
                step = held.progress.steps[pinned.name]
                if held.new:
                    fixed = (held.id, position, pinned.name, pinned.action, pinned.compensation)
                    new.append((*fixed, *_step_values(step)))
                elif step is not held.before.steps[pinned.name]:
                    known.append((held.step_ids[pinned.name], *_step_values(step)))
        rows.insert(Step, ("saga_id", "position", "name", "action", "compensation", *STEP_COLUMNS), new)
        rows.update(Step, ("id",), STEP_COLUMNS, known)

    def _write_due(self, moved: Sequence[Held]) -> set[str]:
        gone: list[int] = []
        new: list[tuple[Any, ...]] = []
        queues: set[str] = set()
        for held in moved:
            for number, command in changed(held.definition, held.before, held.progress):
                if number is not None:
                    gone.append(held.due[number].id)
                if command is not None:
                    new.append(self._due_values(held, command, queues))
        if gone:
            Due.objects.filter(pk__in=gone).delete()
        rows.insert(Due, COMMAND_COLUMNS, new)
        queues |= self._write_pauses(moved)
        return queues

    def _due_values(self, held: Held, command: DueCommand, queues: set[str]) -> tuple[Any, ...]:
        queue = registry.queue_for(command.name)
        paused = held.progress.paused
        lease = None
        if not paused and command.due_at <= self.now:
            timeout = held.definition.step(command.step).timeout
            lease = self.claim(queue, self.now, timeout) if self.claim else None
            if lease is None:
                queues.add(queue)
            else:
                self.claimed.append((held, command, lease))
        leased = (
            (lease.token, lease.until, lease.at, lease.timeout_at, lease.worker) if lease else (None,) * 5
        )
        return (
            Due.COMMAND, held.id, queue, command.due_at, paused, command.name, command.attempt,
            command.step, command.direction.value, command.number, command.generation, *leased,
        )  # fmt: skip

    def _write_pauses(self, moved: Sequence[Held]) -> set[str]:
        queues: set[str] = set()
        for held in moved:
            if held.progress.paused != held.before.paused:
                commands = Due.objects.filter(saga_id=held.id, kind=Due.COMMAND)
                commands.update(paused=held.progress.paused)
                if not held.progress.paused:
                    queues.update(commands.filter(due_at__lte=self.now).values_list("queue", flat=True))
        return queues


PROGRESS_COLUMNS = (
    "state", "data", "paused", "error", "version", "sequence", "created_at", "updated_at", "finished_at",
)  # fmt: skip

_HELD_COLUMNS = ("id", "saga_type", "correlation_id", "definition_id", *PROGRESS_COLUMNS)


def read(ids: Iterable[UUID]) -> list[Held]:
    """Load sagas without locking them; not for deciding. One that cannot be read is left out, and logged."""
    sagas = list(Saga.objects.filter(pk__in=list(ids)).values(*_HELD_COLUMNS))
    steps = _steps([saga["id"] for saga in sagas])
    found = []
    for saga in sagas:
        try:
            found.append(held_from(saga, steps[saga["id"]], {}))
        except Exception:  # one saga's fault is not its neighbours'
            log.exception("saga %s cannot be read", saga["id"])
    return found


def look(saga_id: UUID) -> Held | None:
    """Load one saga, with what workers hold of it, without locking it; not for deciding."""
    for saga in Saga.objects.filter(pk=saga_id).values(*_HELD_COLUMNS):
        due = Due.objects.filter(saga_id=saga_id, kind=Due.COMMAND)
        return held_from(saga, _steps([saga_id])[saga_id], _due_rows(due).get(saga_id, {}))
    return None


def saga_row_values(held: Held) -> tuple[Any, ...]:
    """Return the projected columns of a saga's row, in the order of SAGA_COLUMNS."""
    return _saga_values(held.progress)


def held_from(saga: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], due: Mapping[int, DueRow]) -> Held:
    values = {name: saga[name] for name in PROGRESS_COLUMNS}
    values["state"] = SagaState(values["state"])
    progress = Progress({step["name"]: _step_progress(step) for step in steps}, **values)
    pinned = definition(saga["definition_id"])
    ids = {step["name"]: step["id"] for step in steps}
    return Held(saga["id"], saga["saga_type"], saga["correlation_id"], pinned, progress, due, ids)


def _steps(ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    found: dict[UUID, list[dict[str, Any]]] = {saga_id: [] for saga_id in ids}
    query = Step.objects.filter(saga_id__in=ids).order_by("saga_id", "position")
    for step in query.values("id", "saga_id", "name", *STEP_COLUMNS):
        found[step.pop("saga_id")].append(step)
    return found


def _due(ids: Sequence[UUID]) -> dict[UUID, dict[int, DueRow]]:
    # Locked, so that no command is claimed between the decision to withdraw it and its deletion.
    query = Due.objects.select_for_update().filter(saga_id__in=ids, kind=Due.COMMAND)
    return _due_rows(query.order_by("id"))


def _due_rows(query: QuerySet[Due]) -> dict[UUID, dict[int, DueRow]]:
    found: dict[UUID, dict[int, DueRow]] = {}
    for pk, saga_id, number, token in query.values_list("id", "saga_id", "number", "lease_token"):
        found.setdefault(saga_id, {})[number or 0] = DueRow(pk, number or 0, token)
    return found


_STEP_TYPES = {
    "status": StepStatus,
    "attention": Attention,
    "open": Direction,
    "outcome": Outcome,
    "action_outcome": Outcome,
}


def _step_progress(row: Mapping[str, Any]) -> StepProgress:
    values = {name: row[name] for name in StepProgress.__slots__}
    for name, kind in _STEP_TYPES.items():
        if values[name] is not None:
            values[name] = kind(values[name])
    return StepProgress(**values)


def _step_values(step: StepProgress) -> tuple[Any, ...]:
    return tuple(getattr(step, name) for name in STEP_COLUMNS)


def _saga_values(p: Progress) -> tuple[Any, ...]:
    return (
        p.state,
        p.attention,
        p.paused,
        p.version,
        p.sequence,
        p.data,
        p.error,
        p.updated_at,
        p.finished_at,
    )


def _event_rows(held: Held) -> Iterable[tuple[Any, ...]]:
    for sequence, event in enumerate(held.events, start=held.before.sequence + 1):
        step = getattr(event, "step", None)
        yield held.id, sequence, event.version, type(event).__name__, step, e.event_data(event), event.at


def _change(held: Held) -> Change:
    p = held.progress
    return Change(held.id, held.saga_type, p.version, p.state.value, p.attention, held.new)


def _tell(changes: list[Change], queues: set[str]) -> None:
    # Listeners give hints; a listener that fails must not fail what is already committed.
    committed.send_robust(sender=Group, changes=changes, queues=queues)
