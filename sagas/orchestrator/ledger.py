"""The books: sagas are locked together, decided one by one, and written in one go.

Here alone saga state is written. A :class:`Group` is used inside one transaction:
lock, decide, write. What was decided is sent as a signal once the transaction is committed.
"""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from sagas import registry, rows
from sagas.clock import database_now
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed
from sagas.core.decide import decide
from sagas.core.definition import SagaDefinition
from sagas.core.machine import fold
from sagas.core.progress import Progress, StepProgress
from sagas.models import Due, Event, Saga, Step
from sagas.orchestrator import outbox
from sagas.orchestrator.loading import HELD_COLUMNS, STEP_COLUMNS, Held, held_from, locked_due, steps_of
from sagas.signals import Change, committed

log = logging.getLogger(__name__)

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
        sagas = list(found.values(*HELD_COLUMNS))
        present = [saga["id"] for saga in sagas]
        steps = steps_of(present)
        due = locked_due(present)
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


def saga_row_values(held: Held) -> tuple[Any, ...]:
    """Return the projected columns of a saga's row, in the order of SAGA_COLUMNS."""
    return _saga_values(held.progress)


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
