"""What is left of a run: rows, the ledger's books, journals. Ids are texts, times are UTC."""

import json
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from bench.nemesis import journal
from bench.nemesis.checker.books import Books, Row
from bench.nemesis.plan import Plan

_IDS = {"id", "saga_id", "origin_id"}
_JSON = {"data", "document", "result", "answer", "payload", "grown", "reply", "about"}
#: A durable function's own step, and what makes a step one that no service is asked for.
FUNCTION, WITHOUT_A_SERVICE = "function", ("timer", "child")


@dataclass
class Saga:
    """One saga with all that belongs to it."""

    row: Row
    steps: dict[str, Row] = field(default_factory=dict)
    events: list[Row] = field(default_factory=list)
    actions: list[Row] = field(default_factory=list)
    effects: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """By step."""
    definition: dict[str, Row] = field(default_factory=dict)
    """By step; ``needs`` is always there."""
    children: dict[str, list["Saga"]] = field(default_factory=lambda: defaultdict(list))
    """By the step that started them."""
    undone: bool = False
    """Whether another saga has undone all of it, once it was completed."""

    @property
    def id(self) -> str:
        """The saga's."""
        return str(self.row["id"])

    @property
    def over(self) -> bool:
        """Whether it is terminal."""
        return self.row["state"] in ("completed", "failed")

    @cached_property
    def settled_by_hand(self) -> set[int]:
        """The versions that an operator's *resolve* decided."""
        return {a["version_after"] for a in self.actions if a["verb"] == "resolve"}

    @cached_property
    def waived(self) -> set[str]:
        """The steps whose effect an operator let stand."""
        kept = (e for e in self.events if e["type"] == "StepLeftStanding")
        return {e["step"] for e in kept if e["version"] in self.settled_by_hand}

    def asks_nobody(self, step: str) -> bool:
        """Whether a step has no effect of its own: the function itself, a wait, a child."""
        return step == FUNCTION or any(self.definition[step].get(kind) for kind in WITHOUT_A_SERVICE)

    def dependents(self, step: str) -> list[str]:
        """Return the steps that need this one."""
        return [name for name, each in self.definition.items() if step in each["needs"]]

    def above(self, step: str) -> set[str]:
        """Return the steps that stand on this one, and those that stand on them."""
        found = set(self.dependents(step))
        return found.union(*(self.above(each) for each in found))


class Facts:
    """Everything that a run has left."""

    def __init__(self, folder: str) -> None:
        self.plan = Plan.load(folder)
        self.folder = Path(folder)
        self.of_queues: dict[str, Row] = {}
        """What was done to queues, by its action id."""
        self.of_batches: dict[str, Row] = {}
        """The same of batches."""
        self.sagas = self._sagas()
        self.late = self._rows("sagas_latereply")
        self.due = self._rows("sagas_due")
        self.points = self._rows("chaos_points")
        self.items = self._rows("sagas_batchitem")
        self.alerts = self._rows("sagas_alert")
        self.notices = self._rows("sagas_notice")
        self.watch = self._rows("sagas_watch")
        books = sqlite3.connect(self.folder / "ledger.sqlite3")
        books.row_factory = sqlite3.Row
        self.calls, effects, replies, faults = (
            [dict(row) for row in books.execute(f"SELECT * FROM {table} ORDER BY 1")]  # noqa: S608 - our own names
            for table in ("calls", "effects", "replies", "faults")
        )
        self.books = Books(self._rows, self.folder)
        self.replies = {row["key"]: json.loads(row["answer"]) for row in replies} | self.books.replies
        self.ledger_faults = {row["kind"]: row["dose"] for row in faults}
        self.effects = effects + self.books.effects
        for effect in self.effects:
            if effect["saga"] in self.sagas:
                self.sagas[effect["saga"]].effects[effect["step"]].append(effect)

    def journal(self, name: str) -> list[Row]:
        """Read a journal."""
        return list(journal.read(self.folder / f"{name}.jsonl"))

    @cached_property
    def net_points(self) -> Counter[str]:
        """By saga: how many times points were given and not taken back."""
        net: Counter[str] = Counter()
        for row in self.points:
            net[row["saga"]] += 1 if row["points"] > 0 else -1
        return net

    @cached_property
    def nemesis(self) -> list[Row]:
        """What the nemesis did, and what ended and began."""
        return self.journal("nemesis")

    @cached_property
    def probe(self) -> list[Row]:
        """What was seen each second."""
        return self.journal("probe")

    @cached_property
    def bots(self) -> list[Row]:
        """What operators saw and did."""
        return self.journal("bots")

    def _sagas(self) -> dict[str, Saga]:
        found = {row["id"]: Saga(row) for row in self._rows("sagas_saga")}
        definitions = {
            row["digest"]: _with_needs(row["document"]["steps"])
            for row in self._rows("sagas_definition", "digest")
        }
        for saga in found.values():
            saga.definition = dict(definitions[saga.row["definition_id"]])
        for step in self._rows("sagas_step", "saga_id, position"):
            saga = found[step["saga_id"]]
            saga.steps[step["name"]] = step
            if step["grown"]:  # a function has asked for it
                saga.definition[step["name"]] = step["grown"]["step"]
        for saga in found.values():
            _relate(saga, found)
        for event in self._rows("sagas_event", "saga_id, sequence"):
            found[event["saga_id"]].events.append(event)
        for action in self._rows("sagas_operatoraction"):
            if action["saga_id"] in found:  # what was done to no saga, such as a prune, is nobody's
                found[action["saga_id"]].actions.append(action)
            elif action["verb"].endswith("_queue"):
                self.of_queues[action["action_id"]] = action
            elif action["verb"].endswith("_batch"):
                self.of_batches[action["action_id"]] = action
        return found

    def _rows(self, table: str, order: str = "id") -> list[Row]:
        """Read a table; what was read is kept beside the journals, for a database does not outlive its run."""
        kept = self.folder / "rows" / f"{table}.json"
        if not kept.exists():
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(json.dumps(self._select(table, order), default=str))
        return [_plain(row) for row in json.loads(kept.read_text())]

    def _select(self, table: str, order: str) -> list[Row]:
        statement = f"SELECT * FROM {table} ORDER BY {order}"  # noqa: S608 - our own names
        if self.plan.database == "postgres":
            with psycopg.connect(self.plan.back_door, row_factory=dict_row) as connection:
                return connection.execute(statement).fetchall()  # type: ignore[call-overload,no-any-return]
        with closing(sqlite3.connect(f"file:{self.plan.back_door}?mode=ro", uri=True)) as file:
            file.row_factory = sqlite3.Row
            return [_read(dict(row)) for row in file.execute(statement)]


def _relate(saga: Saga, found: dict[str, Saga]) -> None:
    """Tell a saga of a child, whose key is that of the command which started it, or that it has been undone."""
    other = found.get(saga.row["origin_id"])
    if other is None:
        return
    if saga.row["origin_kind"] == "child":
        key = saga.row["idempotency_key"] or ":"
        other.children[key.split(":")[1]].append(saga)
    elif saga.row["origin_kind"] == "undo" and _has_done_all(saga):
        other.undone = True


def _has_done_all(saga: Saga) -> bool:
    """Whether a saga did all that it was for: also if it was rolled back too late, when nothing of it was left."""
    all_of_it = all(step["status"] == "completed" for step in saga.steps.values())
    return saga.row["state"] == "completed" or (saga.over and all_of_it)


def _read(row: Row) -> Row:
    """SQLite keeps JSON as text."""
    return {name: json.loads(v) if name in _JSON and v is not None else v for name, v in row.items()}


def _plain(row: Row) -> Row:
    for name, value in row.items():
        if value is None:
            continue
        if name in _IDS and not isinstance(value, int):
            row[name] = str(UUID(str(value)))
        elif name in ("at", "due_at") or name.endswith("_at"):
            row[name] = moment(value)
        elif name in ("paused", "standing", "scheduled", "unresolved", "inbox"):
            row[name] = bool(value)
    return row


def moment(value: Any) -> datetime:
    """Return a time, aware; SQLite keeps texts."""
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _with_needs(steps: list[Row]) -> dict[str, Row]:
    before: list[str] = []
    found = {}
    for step in steps:
        found[step["name"]] = {**step, "needs": step.get("needs", before)}
        before = [step["name"]]
    return found
