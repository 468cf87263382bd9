"""What a participant of Sagadesk needs, in one file to copy: signatures, and an inbox with tombstones in SQLite.

It needs nothing but Python's standard library. docs/participants.md says what each header and status means.

    command = Command.read(keys, "POST", path, headers, body)     # BadSignature: answer 401
    status, document = inbox.once(command, book)                  # a command: its effect happens once
    status, document = inbox.became_of(command)                   # a probe: what became of another one
    urlopen(callback(command, status, document, keys[0]))         # after 202: answer it now
"""

import hashlib
import hmac
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import Request

#: Seconds by which a message may be old, or ahead.
TOLERANCE = 300

#: An HTTP status, and the JSON that goes with it.
Reply = tuple[int, Any]
#: Does what a command asks, in the transaction of the connection, and returns its result or raises Rejected.
Effect = Callable[[sqlite3.Connection, "Command"], Any]


class BadSignature(Exception):
    """A message that Sagadesk did not send, or not now."""


class Rejected(Exception):
    """No: the command had no effect, and never will. Its text is the reason."""


@dataclass(frozen=True)
class Command:
    """A command as it arrived."""

    name: str
    key: str
    """The same for all attempts: what was answered under it is answered again."""
    attempt: int
    undoes: str | None
    """In an undo, the key of the action that it undoes."""
    probes: str | None
    """In a probe, the command that it asks about; the key is that one's."""
    callback: str | None
    """Where to answer, after 202."""
    input: Mapping[str, Any]

    @classmethod
    def read(
        cls, keys: Sequence[str], method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> "Command":
        """Check who sent it, and read it. Header names are in any case. Raises :class:`BadSignature`."""
        named = {name.lower(): value.strip() for name, value in headers.items()}
        _verify(keys, method, path, named, body)
        told = {name.removeprefix("saga-"): unquote(value) for name, value in named.items()}
        return cls(
            name=told["command"],
            key=told["key"],
            attempt=int(told["attempt"]),
            undoes=told.get("undoes"),
            probes=told.get("probes"),
            callback=told.get("callback"),
            input=json.loads(body),
        )


def _verify(keys: Sequence[str], method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
    timestamp, given = headers.get("saga-timestamp", ""), headers.get("saga-signature", "")
    right = [_signature(key, method, path, timestamp, headers, body) for key in keys]
    if not any(hmac.compare_digest(each.encode(), given.encode()) for each in right):
        raise BadSignature("bad signature")
    if abs(time.time() - int(timestamp)) > TOLERANCE:
        raise BadSignature("stale")


def _signature(
    key: str, method: str, path: str, timestamp: str, headers: Mapping[str, str], body: bytes
) -> str:
    envelope = sorted(
        f"{name}:{value}"
        for name, value in headers.items()
        if name.startswith("saga-") and name not in ("saga-timestamp", "saga-signature")
    )
    text = "\n".join([method, path, timestamp, *envelope, "", ""]).encode() + body
    return "v1=" + hmac.new(key.encode(), text, hashlib.sha256).hexdigest()


def callback(command: Command, status: int, document: Any, key: str) -> Request:
    """Return the signed request that answers a command which was taken on with 202."""
    address = command.callback or ""
    answer = (
        {"outcome": "completed", "result": document}
        if status == 200
        else {"outcome": "rejected", "reason": document["reason"]}
    )
    body, timestamp = json.dumps(answer).encode(), str(int(time.time()))
    headers = {
        "content-type": "application/json",
        "saga-timestamp": timestamp,
        "saga-signature": _signature(key, "POST", urlsplit(address).path, timestamp, {}, body),
    }
    return Request(address, body, headers, method="POST")  # noqa: S310 - Sagadesk has signed the address


class Inbox:
    """What was answered, by key, in the database of the effects: each effect and its answer are one transaction."""

    def __init__(self, path: str, tables: str = "") -> None:
        """Open the database, and make it if need be: the inbox, and the effects' own ``tables``."""
        self.path = path
        with self.transaction() as connection:
            for statement in (_TABLE, *tables.split(";")):
                connection.execute(statement)

    def once(self, command: Command, effect: Effect) -> Reply:
        """Answer a command: as before, or after its effect, which happens now.

        An undo that finds nothing to undo leaves a tombstone, and the action that arrives after it is refused.
        """
        with self.transaction() as connection:
            known = _find(connection, command.key)
            if known is None:
                known = _decide(connection, command, effect)
                _keep(connection, command.key, *known)
        return _reply(*known)

    def became_of(self, command: Command) -> Reply:
        """Answer a probe."""
        with self.transaction() as connection:
            known = _find(connection, command.key)
        return _reply(*known) if known else (404, {"no_such_command": True})

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the database alone, until the block ends; all of it is written, or nothing."""
        connection = sqlite3.connect(self.path, timeout=20, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # which rolls back what was not committed


_TABLE = "CREATE TABLE IF NOT EXISTS inbox (key TEXT PRIMARY KEY, outcome TEXT NOT NULL, reply TEXT NOT NULL)"


def _find(connection: sqlite3.Connection, key: str) -> tuple[str, Any] | None:
    row = connection.execute("SELECT outcome, reply FROM inbox WHERE key = ?", [key]).fetchone()
    return (row[0], json.loads(row[1])) if row else None


def _keep(connection: sqlite3.Connection, key: str, outcome: str, reply: Any) -> None:
    connection.execute("INSERT INTO inbox VALUES (?, ?, ?)", [key, outcome, json.dumps(reply)])


def _decide(connection: sqlite3.Connection, command: Command, effect: Effect) -> tuple[str, Any]:
    if command.undoes and not _happened(connection, command.undoes):
        return "completed", {"undone": False, "reason": "there was no effect"}
    connection.execute("SAVEPOINT effect")
    try:
        return "completed", effect(connection, command)
    except Rejected as no:
        connection.execute("ROLLBACK TO effect")
        return "rejected", str(no)


def _happened(connection: sqlite3.Connection, action: str) -> bool:
    known = _find(connection, action)
    if known is None:
        _keep(connection, action, "rejected", "cancelled")  # the tombstone
    return known is not None and known[0] == "completed"


def _reply(outcome: str, reply: Any) -> Reply:
    return (200, reply) if outcome == "completed" else (409, {"reason": reply})
