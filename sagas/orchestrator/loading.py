"""Sagas as their rows tell them: read together, for deciding under a lock or just to look."""

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connections, router, transaction

from sagas import rows
from sagas.clock import database_now
from sagas.core import events as e
from sagas.core.commands import own_wake
from sagas.core.definition import SagaDefinition
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import Attention, Direction, Outcome, SagaState, StepStatus, Waiting
from sagas.models import IMPORT, Due, Saga, Step
from sagas.orchestrator import pins

log = logging.getLogger(__name__)

STEP_COLUMNS = StepProgress._fields[1:]
"""All but the name, which does not change."""
PROGRESS_COLUMNS = Progress._fields[1:]
"""All but the steps, which are rows of their own."""
_SAGA = ("id", "saga_type", "correlation_id", "definition_id", "origin_kind", *PROGRESS_COLUMNS)
#: Why nothing is decided about a saga that ran elsewhere.
IMPORTED = "It was imported: it ran, or runs, elsewhere, and is only a record here."
STEP_ROW = ("id", *StepProgress._fields)
_DUE = ("id", "saga_id", "number", "lease_token", "kind")


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
    origin_kind: str = ""
    progress: Progress = field(init=False)
    events: list[e.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.progress = self.before

    @property
    def new(self) -> bool:
        """Whether there are no rows of it yet."""
        return not self.step_ids

    @property
    def imported(self) -> bool:
        """Whether it ran elsewhere: nothing may be decided about it here."""
        return self.origin_kind == IMPORT

    @property
    def claimed(self) -> frozenset[int]:
        """Numbers of the commands that a worker holds."""
        return frozenset(n for n, row in self.due.items() if row.lease_token)

    @property
    def whole(self) -> bool:
        """Whether its version is all that need be compared: what is due of it cannot be claimed meanwhile unseen.

        We know all its rows, and each command is held by somebody: a claim makes no version, so whoever withdraws a
        command that is free must lock it. What waits for a time may be free, since nobody is called when that is up.
        """
        if self.progress.paused or not self.rooted:
            return False
        calls = {step.number: step.waiting is None for step in self.progress.steps.values() if step.scheduled}
        own = own_wake(self.definition, self.progress)
        if own is not None:
            calls[own.number] = False
        due = self.due
        return calls.keys() == due.keys() and all(not calls[n] or due[n].lease_token for n in due)

    @property
    def rooted(self) -> bool:
        """Whether we know the rows of all its steps; not of those that were just added to it."""
        return len(self.step_ids) == len(self.progress.steps)

    def again(self, due: Mapping[int, DueRow]) -> "Held":
        """Return it as it stands, for the next decision."""
        same = (self.id, self.saga_type, self.correlation_id, self.definition)
        return Held(*same, self.progress, due, self.step_ids, self.origin_kind)


#: Sagas as this process last saw them, by id. They are only good for the version that they have.
Known = Mapping[UUID, Held]


class Locked(NamedTuple):
    """Sagas under our lock, before anything else of them was read."""

    now: datetime
    """The database's time, once the locks were there."""
    versions: Mapping[UUID, int]
    due: Mapping[UUID, Mapping[int, DueRow]]
    """What was due when the locks were asked for: complete for a saga whose version is as we know it."""


def lock(ids: Sequence[UUID]) -> Locked:
    """Lock sagas and their commands, in the order of their ids: two groups never wait for each other.

    Commands too, so that none is claimed between the decision to withdraw it and that.
    """
    connection = connections[router.db_for_write(Saga)]
    if connection.vendor != "postgresql":  # its transaction has locked everything
        versions: list[tuple[UUID, int]] = rows.select(Saga, ("id", "version"), "id", ids, "id")
        return Locked(database_now(), dict(versions), due_of(ids))
    with rows.prepared(connection) as cursor:
        sagas, due, now = cursor.execute(_LOCK, [rows.array(ids)] * 2).fetchone()
    found: dict[UUID, dict[int, DueRow]] = {}
    for pk, saga_id, number, token in json.loads(due or "[]"):
        found.setdefault(UUID(saga_id), {})[number] = DueRow(pk, number, UUID(token) if token else None)
    return Locked(now, {UUID(pk): version for pk, version in json.loads(sagas or "[]")}, found)


#: Not the sagas' keys: somebody who publishes in one refers to it, and may take a while to commit.
#: Commands are put in order, not read in it: that could mean to read all that wait.
#: The sagas come first, since they are counted before any command is read; the time comes last, when all is locked.
_LOCK = f"""
WITH s AS (
    SELECT id, version FROM {Saga._meta.db_table} WHERE id = ANY(%s::uuid[]) ORDER BY id FOR NO KEY UPDATE
), d AS (
    SELECT id, saga_id, number, lease_token FROM {Due._meta.db_table}
    WHERE saga_id = ANY(%s::uuid[]) AND kind = '{Due.COMMAND}' AND (SELECT count(*) FROM s) > 0
    ORDER BY id + 0 FOR UPDATE
)
SELECT (SELECT json_agg(json_build_array(id, version))::text FROM s),
       (SELECT json_agg(json_build_array(id, saga_id, number, lease_token))::text FROM d),
       clock_timestamp()
"""  # noqa: S608 - names are our models' own


def locked(ids: Collection[UUID]) -> frozenset[UUID]:
    """Return those of these sagas that somebody else keeps locked just now, without waiting for any."""
    if connections[router.db_for_write(Saga)].vendor != "postgresql":
        return frozenset()
    sagas = Saga.objects.filter(pk__in=ids)
    commands = Due.objects.filter(saga_id__in=ids, kind=Due.COMMAND)
    with transaction.atomic():
        free = set(sagas.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
        ours = set(commands.select_for_update(skip_locked=True).values_list("pk", flat=True))
        kept = {saga_id for pk, saga_id in commands.values_list("pk", "saga_id") if pk not in ours}
        return frozenset(kept.union(sagas.values_list("pk", flat=True)) - (free - kept))


def read(ids: Iterable[UUID]) -> list[Held]:
    """Load sagas without locking them; not for deciding. One that cannot be read is left out, and logged."""
    held, broken = load(list(ids), {})
    _log(broken)
    return list(held.values())


def look(saga_id: UUID) -> Held | None:
    """Load one saga, with what workers hold of it, without locking it; not for deciding."""
    held, broken = load([saga_id], due_of([saga_id]))
    for fault in broken.values():
        raise fault
    return held.get(saga_id)


def from_texts(texts: Mapping[UUID, str]) -> dict[UUID, Held]:
    """Make sagas of what :data:`AS_TEXT` gave for them. One that cannot be read is left out, and logged."""
    held, broken = _held((from_text(text) for text in texts.values()), {})
    _log(broken)
    return held


def load(
    ids: Sequence[UUID], due: Mapping[UUID, Mapping[int, DueRow]]
) -> tuple[dict[UUID, Held], dict[UUID, Exception]]:
    """Read sagas and their steps; return them, and those whose rows make no sense with the reason."""
    return _held(_rows(ids), due)


def _held(
    found: Iterable["_Rows"], due: Mapping[UUID, Mapping[int, DueRow]]
) -> tuple[dict[UUID, Held], dict[UUID, Exception]]:
    held: dict[UUID, Held] = {}
    broken: dict[UUID, Exception] = {}
    for saga, steps in found:
        saga_id = saga["id"]
        try:
            held[saga_id] = held_from(saga, steps, due.get(saga_id, {}))
        except Exception as fault:
            broken[saga_id] = fault
    return held, broken


def _log(broken: Mapping[UUID, Exception]) -> None:
    for saga_id, fault in broken.items():  # one saga's fault is not its neighbours'
        log.error("saga %s cannot be read", saga_id, exc_info=fault)


#: A saga's columns, and those of each of its steps, as STEP_ROW names them.
_Rows = tuple[Mapping[str, Any], Sequence[Sequence[Any]]]


def _rows(ids: Sequence[UUID]) -> Iterable[_Rows]:
    if not ids:
        return
    connection = connections[router.db_for_write(Saga)]
    if connection.vendor == "postgresql":
        with rows.prepared(connection) as cursor:
            found = cursor.execute(_READ, [rows.array(ids)]).fetchall()
        yield from (from_text(text) for (text,) in found)
        return
    steps_of: dict[UUID, list[Sequence[Any]]] = {}
    for saga_id, *step in rows.select(Step, ("saga_id", *STEP_ROW), "saga_id", ids, "position"):
        steps_of.setdefault(saga_id, []).append(step)
    for row in rows.select(Saga, _SAGA, "id", ids, "id"):
        yield dict(zip(_SAGA, row, strict=True)), steps_of.get(row[0], ())


#: PostgreSQL's expression for the saga ``s`` and its steps as one text, which costs less to read than columns.
AS_TEXT = f"""
json_build_array({rows.as_json(Saga, _SAGA, "s")}, (
    SELECT json_agg({rows.as_json(Step, STEP_ROW, "t")} ORDER BY t.position)
    FROM {Step._meta.db_table} AS t WHERE t.saga_id = s.id
))::text"""  # noqa: S608 - names are our models' own
_READ = f"SELECT {AS_TEXT} FROM {Saga._meta.db_table} AS s WHERE s.id = ANY(%s::uuid[]) ORDER BY s.id"  # noqa: S608


def from_text(text: str) -> _Rows:
    """Return the columns in what :data:`AS_TEXT` gave."""
    saga, steps = json.loads(text)
    listed = [rows.from_json(Step, STEP_ROW, step) for step in steps or ()]
    return dict(zip(_SAGA, rows.from_json(Saga, _SAGA, saga), strict=True)), listed


def held_from(saga: Mapping[str, Any], listed: Sequence[Sequence[Any]], due: Mapping[int, DueRow]) -> Held:
    """Make a saga of its columns, and of its steps' rows: the values that STEP_ROW names."""
    values = {name: saga[name] for name in PROGRESS_COLUMNS}
    values["state"] = SagaState(values["state"])
    steps: dict[str, StepProgress] = {}
    ids: dict[str, int] = {}
    for pk, *step in listed:
        made = _step_progress(step)
        steps[made.name], ids[made.name] = made, pk
    progress = Progress(steps, **values)
    pinned = definition_of(saga["definition_id"], (step.grown for step in steps.values()))
    same = (saga["id"], saga["saga_type"], saga["correlation_id"], pinned)
    return Held(*same, progress, due, ids, origin_kind=saga["origin_kind"])


def definition_of(digest: str, grown: Iterable[Mapping[str, Any] | None]) -> SagaDefinition:
    """Return a saga's definition: what was pinned at its start, and what a function has added since."""
    pinned = pins.definition(digest)
    return pinned.grown([each for each in grown if each]) if pinned.growing else pinned


def due_of(ids: Sequence[UUID]) -> dict[UUID, dict[int, DueRow]]:
    """Return these sagas' commands that are due, by their numbers."""
    found: dict[UUID, dict[int, DueRow]] = {}
    for pk, saga_id, number, token, kind in rows.select(Due, _DUE, "saga_id", ids, "saga_id"):
        if kind == Due.COMMAND:
            found.setdefault(saga_id, {})[number] = DueRow(pk, number, token)
    return found


_STEP_WORDS: Mapping[str, type[StrEnum]] = {
    "status": StepStatus,
    "attention": Attention,
    "open": Direction,
    "outcome": Outcome,
    "action_outcome": Outcome,
    "waiting": Waiting,
}
#: Where a step's words stand among its values, and which there are.
_WORDS = [
    (StepProgress._fields.index(name), {word.value: word for word in words})
    for name, words in _STEP_WORDS.items()
]


def _step_progress(values: list[Any]) -> StepProgress:
    for index, words in _WORDS:
        if values[index] is not None:
            values[index] = words[values[index]]
    return StepProgress._make(values)
