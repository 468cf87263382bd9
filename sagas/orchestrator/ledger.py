"""The books: sagas are locked together, decided one by one, and written in one go.

Here alone saga state is written. A :class:`Group` is used inside one transaction:
lock, decide, write. What was decided is sent as a signal once the transaction is committed.
"""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction

from sagas import registry, rows
from sagas.clock import FRESH, about_now, database_now
from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import DueCommand, changed
from sagas.core.decide import Refused, drafted
from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress
from sagas.models import Due, Event, Saga, Step
from sagas.orchestrator import loading, outbox, shapes
from sagas.orchestrator.loading import STEP_COLUMNS, DueRow, Held, Known
from sagas.signals import Change, committed

log = logging.getLogger(__name__)

COMMAND_COLUMNS = (
    "queue", "due_at", "paused", "name", "attempt", "step", "direction", "number", "generation", "timeout",
    "lease_token", "lease_until", "claimed_at", "timeout_at", "worker", "error",
)  # fmt: skip


class Lease(NamedTuple):
    """A claim on a command that is made with its very dispatch: no other worker need look for it.

    Its fields are those of COMMAND_COLUMNS.
    """

    token: UUID
    until: datetime
    at: datetime
    timeout_at: datetime
    worker: str


#: What is told of new rows to whoever goes on with them.
_STEP_TOLD, _COMMAND_TOLD = ("saga_id", "name", "id"), ("saga_id", "number", "id", "lease_token")
_NO_LEASE = (None,) * len(Lease._fields)

#: Asked for each command that becomes due at once: (queue, now, its timeout in seconds) -> a lease to write with it.
Claim = Callable[[str, datetime, float], Lease | None]


class Claimed(NamedTuple):
    """A command that was leased as it was dispatched, to whoever wrote that."""

    held: Held
    command: DueCommand
    lease: Lease


class Group:
    """Sagas that are decided and written together, in the caller's transaction.

    They are locked first, or trusted to be as they were last seen: writing compares, and fails if one is not.
    """

    def __init__(self, claim: Claim | None = None) -> None:
        self.batch = rows.Batch(Saga)
        """What :meth:`write` will write; a caller's own rows may go with it."""
        self.sagas: dict[UUID, Held] = {}
        self.broken: dict[UUID, Exception] = {}
        """Sagas whose rows could not be read, and why."""
        self.claim = claim
        self._claims: dict[UUID, Claim] = {}
        self.claimed: list[Claimed] = []
        self.queues: set[str] = set()
        """Queues on which something became due that nobody holds."""

    @cached_property
    def now(self) -> datetime:
        """The database's time; of a group with locks, when it had them."""
        return about_now()

    def lock(self, ids: Iterable[UUID], known: Known = MappingProxyType({})) -> None:
        """Lock and load sagas. One that is known at its present version is not read again."""
        self.now, versions, due = loading.lock(sorted(set(ids)))
        moved = []
        for saga_id, version in versions.items():
            if saga_id in known and known[saga_id].progress.version == version and known[saga_id].rooted:
                self.sagas[saga_id] = known[saga_id].again(due.get(saga_id, {}))
            else:
                moved.append(saga_id)
        if moved:
            # Once more, since what became due while we waited for the locks is not among them.
            held, broken = loading.load(moved, loading.lock(moved).due)
            self.sagas.update(held)
            self.broken.update(broken)

    def trust(self, known: Iterable[Held]) -> None:
        """Take in sagas as they were last seen, unlocked. Only those that are :attr:`~loading.Held.whole`."""
        self.sagas.update({held.id: held.again(held.due) for held in known})

    def add(
        self,
        saga_id: UUID,
        correlation_id: str,
        pin: SagaDefinition,
        origin_kind: str = "",
        claim: Claim | None = None,
    ) -> Held:
        """Take in a saga of which nothing is recorded yet; it may have a claim of its own."""
        if claim is not None:
            self._claims[saga_id] = claim
        blank = Progress.blank(pin)
        held = Held(saga_id, pin.saga_type, correlation_id, pin, blank, {}, {}, origin_kind)
        self.sagas[saga_id] = held
        return held

    def decide(self, held: Held, message: m.Message, since: datetime | None = None) -> tuple[e.Event, ...]:
        """Decide one message about a saga, and remember what it decided. Raises Refused.

        ``since`` is what the database's clock said when the command that it answers was claimed.
        """
        if held.imported:
            raise Refused(loading.IMPORTED)
        draft = drafted(held.definition, held.progress, message, self.moment(held, since))
        held.progress, held.definition = draft.progress, draft.definition
        held.events.extend(draft.events)
        return tuple(draft.events)

    def moment(self, held: Held, since: datetime | None = None) -> m.Now:
        """Return what the core may know of this moment; a saga's time does not run backwards.

        Our own idea of the time may be behind what the database said at a claim, as long as we carry it on by
        ourselves. If it is behind by more than that, the clock was set, and the database is asked.
        """
        if since is not None and self.now < since:
            set_since = since > self.now + timedelta(seconds=FRESH)
            self.now = database_now() if set_since else since
        before = held.progress.updated_at
        at = self.now if before is None else max(self.now, before)
        return m.Now(at, random.random(), held.claimed)

    def write(self) -> None:
        """Write what was decided, all or nothing; the signal follows the commit.

        Raises :class:`rows.Stale` if a saga is not as it was when it was locked, or last seen.
        """
        # In one order: two groups do not wait for each other. Those whose sagas change in several ways could, since
        # they are written one way after the other; then PostgreSQL ends one of them, and it is written again.
        moved = sorted((held for held in self.sagas.values() if held.events), key=lambda held: held.id.int)
        if not moved:
            self.batch.write()
            return
        self._add_sagas([held for held in moved if not held.new])
        steps = self._add_steps(moved)
        self.batch.insert(
            Event, shapes.EVENT_COLUMNS, [row for held in moved for row in shapes.event_rows(held)]
        )
        commands = self._add_commands(moved)
        deliveries = [row for held in moved for row in outbox.deliveries(held, self.now)]
        self.batch.insert(Due, outbox.COLUMNS, deliveries)
        self.queues.update(row[outbox.COLUMNS.index("queue")] for row in deliveries)
        self.batch.write()
        self._write_pauses(moved)
        changes = [_change(held) for held in moved]
        self._hear(steps, commands)
        transaction.on_commit(lambda: _tell(changes, self.queues))

    def _add_sagas(self, moved: Sequence[Held]) -> None:
        changes = [
            (
                (held.id, held.before.version),
                shapes.saga_values(held.before),
                shapes.saga_values(held.progress),
            )
            for held in moved
        ]
        for shape, known in shapes.SAGA.sort(changes):
            self.batch.update(Saga, ("id", "version"), shape, known)

    @property
    def _goes_on(self) -> bool:
        """Whether whoever writes goes on with what it writes, and so wants to know the new rows."""
        return bool(self.claim or self._claims)

    def _hear(self, steps: Sequence[rows.Row], commands: Sequence[rows.Row]) -> None:
        """Learn which rows are new: a saga whose rows are all known need not be read again."""
        for saga_id, name, pk in steps:
            held = self.sagas[saga_id]
            held.step_ids = {**held.step_ids, name: pk}
        for saga_id, number, pk, token in commands:
            held = self.sagas[saga_id]
            held.due = {**held.due, number: DueRow(pk, number, token)}

    def _add_steps(self, moved: Sequence[Held]) -> list[rows.Row]:
        new: list[tuple[Any, ...]] = []
        changes: list[shapes.Changed] = []
        for held in moved:
            for position, pinned in enumerate(held.definition.steps):
                step = held.progress.steps[pinned.name]
                if pinned.name not in held.step_ids:
                    fixed = (held.id, position, pinned.name, pinned.action, pinned.compensation)
                    new.append((*fixed, *shapes.step_values(step)))
                elif step is not held.before.steps[pinned.name]:
                    changes.append(((held.step_ids[pinned.name],), held.before.steps[pinned.name], step))
        columns = ("saga_id", "position", "name", "action", "compensation", *STEP_COLUMNS)
        for shape, known in shapes.STEP.sort(changes):
            self.batch.update(Step, ("id",), shape, known)
        return self.batch.insert(Step, columns, new, _STEP_TOLD if self._goes_on else ())

    def _add_commands(self, moved: Sequence[Held]) -> list[rows.Row]:
        """Add what becomes due, in the row of what no longer is, where there is one."""
        new: list[tuple[Any, ...]] = []
        replaced: list[tuple[Any, ...]] = []
        gone: list[int] = []
        for held in moved:
            over, due = _due_changes(held)
            left = {number: row for number, row in held.due.items() if number not in over}
            for command in due:
                queue, due_at = _queue(command), self._due_at(held, command)
                free = not held.progress.paused and due_at <= self.now
                lease = self._lease(held, command, queue) if free else None
                values = _command_values(held, command, queue, due_at, lease)
                if over:
                    row = over.pop(command.number, None) or over.popitem()[1]
                    left[command.number] = DueRow(row, command.number, lease and lease.token)
                    replaced.append((row, *values))
                else:
                    new.append((Due.COMMAND, held.id, *values))
            gone += over.values()
            held.due = left
        self.batch.update(Due, ("id",), COMMAND_COLUMNS, replaced)
        self.batch.delete(Due, "id", gone)
        columns = ("kind", "saga_id", *COMMAND_COLUMNS)
        return self.batch.insert(Due, columns, new, _COMMAND_TOLD if self._goes_on else ())

    def _lease(self, held: Held, command: DueCommand, queue: str) -> Lease | None:
        """Have the caller take on what is due at once, or say that its queue has work."""
        claim = self._claims.get(held.id, self.claim)
        lease = claim(queue, self.now, command.timeout) if claim else None
        if lease is None:
            self.queues.add(queue)
        else:
            self.claimed.append(Claimed(held, command, lease))
        return lease

    def _due_at(self, held: Held, command: DueCommand) -> datetime:
        """Return when a command is due by the database's clock, to which a saga's may be ahead if it was set back."""
        by_saga = held.progress.updated_at
        if command.fixed or by_saga is None or by_saga <= self.now:
            return command.due_at
        return command.due_at - (by_saga - self.now)

    def _write_pauses(self, moved: Sequence[Held]) -> None:
        for held in moved:
            if held.progress.paused != held.before.paused:
                commands = Due.objects.filter(saga_id=held.id, kind=Due.COMMAND)
                commands.update(paused=held.progress.paused)
                if not held.progress.paused:
                    self.queues.update(commands.filter(due_at__lte=self.now).values_list("queue", flat=True))


def _queue(command: DueCommand) -> str:
    """Return the queue of what is due: whoever serves a participant may call it, anybody tell that a time is up."""
    return registry.WAITS_QUEUE if command.waits else registry.queue_for(command.name)


def _command_values(
    held: Held, command: DueCommand, queue: str, due_at: datetime, lease: Lease | None
) -> tuple[Any, ...]:
    return (
        queue, due_at, held.progress.paused, command.name, command.attempt, command.step, command.direction.value,
        command.number, command.generation, command.timeout, *(lease or _NO_LEASE), None,
    )  # fmt: skip


def _due_changes(held: Held) -> tuple[dict[int, int], list[DueCommand]]:
    """Return the rows of commands that are no longer due, by number, and the commands that are due now.

    One that is due again comes first: it stays in its own row.
    """
    over: dict[int, int] = {}
    due: list[DueCommand] = []
    for number, command in changed(held.definition, held.before, held.progress):
        if number is not None:
            over[number] = held.due[number].id
        if command is not None:
            due.append(command)
    return over, sorted(due, key=lambda command: command.number not in over)


def _change(held: Held) -> Change:
    p = held.progress
    return Change(held.id, held.saga_type, p.version, p.state.value, p.attention, held.new)


def _tell(changes: list[Change], queues: set[str]) -> None:
    # Listeners give hints; a listener that fails must not fail what is already committed.
    committed.send_robust(sender=Group, changes=changes, queues=queues)
