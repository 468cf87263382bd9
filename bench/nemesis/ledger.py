"""The ledger: the participants' books, in a process and a file of their own. It is the oracle of a chaos run.

It knows nothing of sagas, Django or this project. A connection carries one question and one answer, a JSON line each.
It remembers its answer to each key, and an undo that finds no effect leaves a tombstone; for participants without
an inbox (``plain``) it does neither. It has faults of its own: see :data:`FAULTS`.
"""

import asyncio
import json
import random
import sqlite3
import sys
import time
from typing import Any

#: What may happen to a call, and how often, each in a hundred.
FAULTS = {"500": 5, "lost": 5, "slow": 5, "refuse": 5}
#: Seconds: every call takes up to NEAR, a slow one up to FAR more, and after LOST nobody waits for an answer any more.
NEAR, FAR, LOST = 0.12, 1.5, 4.0

SCHEMA = """
CREATE TABLE replies (key TEXT PRIMARY KEY, verdict TEXT NOT NULL, answer TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE effects (id INTEGER PRIMARY KEY, key TEXT NOT NULL, saga TEXT NOT NULL, step TEXT NOT NULL,
    plain INTEGER NOT NULL, at REAL NOT NULL, undone_at REAL, undone_by TEXT);
CREATE INDEX effects_by_key ON effects (key);
CREATE TABLE calls (id INTEGER PRIMARY KEY, key TEXT NOT NULL, undoes TEXT, saga TEXT NOT NULL, step TEXT NOT NULL,
    attempt INTEGER, pid INTEGER, claimed_at TEXT, began REAL NOT NULL, ended REAL, fault TEXT, verdict TEXT,
    answered INTEGER NOT NULL DEFAULT 0);
CREATE TABLE faults (kind TEXT PRIMARY KEY, dose INTEGER NOT NULL);
"""


class Ledger:
    """The books, and what was asked."""

    def __init__(self, path: str, seed: str) -> None:
        self.books = sqlite3.connect(path, isolation_level=None)
        self.books.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + SCHEMA)
        self.chance = random.Random(f"{seed}:ledger")
        self.seed = seed
        self.calm = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one question, and answer it, mostly."""
        try:
            asked = json.loads(await reader.readline() or b"{}")
            match asked.get("ask"):
                case "call":
                    await self._call(asked, writer)
                case "close":
                    await _answer(writer, self._close(asked["key"], plain=bool(asked.get("plain"))))
                case "calm":
                    self.calm = True
                    await _answer(writer, {})
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _call(self, asked: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        fault = self._fault()
        began = time.time()
        values = [asked[n] for n in ("key", "undoes", "saga", "step", "attempt", "pid", "claimed_at")]
        call = self.books.execute(
            "INSERT INTO calls (key, undoes, saga, step, attempt, pid, claimed_at, began, fault)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*values, began, fault],
        ).lastrowid
        await asyncio.sleep(
            self.chance.uniform(0, NEAR) + (self.chance.uniform(0, FAR) if fault == "slow" else 0)
        )
        if fault == "500":
            answer: dict[str, Any] = {"status": 500}
        else:
            answer = self._do(asked)
        if fault == "lost":  # done, and nobody hears of it
            await asyncio.sleep(LOST)
        heard = fault != "lost" and await _answer(writer, answer)
        self.books.execute(
            "UPDATE calls SET ended = ?, verdict = ?, answered = ? WHERE id = ?",
            [time.time(), answer.get("verdict", "500"), int(heard), call],
        )

    def _fault(self) -> str | None:
        drawn, sum_ = self.chance.uniform(0, 100), 0
        for kind in ("500", "lost", "slow"):
            sum_ += FAULTS[kind]
            if drawn < sum_ and not self.calm:
                self._count(kind)
                return kind
        return None

    def _count(self, kind: str) -> None:
        self.books.execute(
            "INSERT INTO faults VALUES (?, 1) ON CONFLICT (kind) DO UPDATE SET dose = dose + 1", [kind]
        )

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Have the effect and remember the answer, in one transaction; or give the remembered one."""
        key = asked["key"]
        self.books.execute("BEGIN IMMEDIATE")
        try:
            answer = None if asked["plain"] else self._remembered(key)
            if answer is None:
                answer = self._undo(asked) if asked["undoes"] else self._act(asked)
                if not asked["plain"]:
                    self._remember(key, answer)
            self.books.execute("COMMIT")
        except BaseException:
            self.books.execute("ROLLBACK")
            raise
        return answer

    def _act(self, asked: dict[str, Any]) -> dict[str, Any]:
        if self._refuses(asked, FAULTS["refuse"]):
            return {"verdict": "rejected", "reason": "not today"}
        effect = self.books.execute(
            "INSERT INTO effects (key, saga, step, plain, at) VALUES (?, ?, ?, ?, ?)",
            [asked["key"], asked["saga"], asked["step"], int(asked["plain"]), time.time()],
        ).lastrowid
        return {"verdict": "completed", "result": {"effect": effect}}

    def _undo(self, asked: dict[str, Any]) -> dict[str, Any]:
        # Without an inbox a refusal does not close the key, so that in a calm it has to be taken in the end.
        if not (self.calm and asked["plain"]) and self._refuses(asked, FAULTS["refuse"]):
            return {"verdict": "rejected", "reason": "not yet"}
        undone = self.books.execute(
            "UPDATE effects SET undone_at = ?, undone_by = ? WHERE key = ? AND undone_at IS NULL",
            [time.time(), asked["key"], asked["undoes"]],
        ).rowcount
        if not undone and not asked["plain"] and self._remembered(asked["undoes"]) is None:
            self._remember(asked["undoes"], {"verdict": "rejected", "reason": "cancelled"})
        return {"verdict": "completed", "result": {"undone": undone}}

    def _refuses(self, asked: dict[str, Any], in_a_hundred: int) -> bool:
        """Whether this key is refused, which is the same each time it is asked."""
        refused = (
            asked["refusable"] and random.Random(f"{self.seed}:{asked['key']}").uniform(0, 100) < in_a_hundred
        )
        if refused:
            self._count("refuse")
        return bool(refused)

    def _close(self, key: str, *, plain: bool) -> dict[str, Any]:
        """Tell an operator what became of a key, once and for all: what has not happened never will.

        Without an inbox nothing can be ruled out for the future.
        """
        standing = self.books.execute(
            "SELECT id FROM effects WHERE key = ? AND undone_at IS NULL ORDER BY id", [key]
        ).fetchall()
        answer = self._remembered(key)
        if not standing and answer is None and not plain:
            self._remember(key, {"verdict": "rejected", "reason": "cancelled"})
        return {"standing": [pk for (pk,) in standing], "answer": answer}

    def _remembered(self, key: str) -> dict[str, Any] | None:
        row = self.books.execute("SELECT answer FROM replies WHERE key = ?", [key]).fetchone()
        return json.loads(row[0]) if row else None

    def _remember(self, key: str, answer: dict[str, Any]) -> None:
        self.books.execute(
            "INSERT INTO replies VALUES (?, ?, ?, ?)",
            [key, answer["verdict"], json.dumps(answer), time.time()],
        )


async def _answer(writer: asyncio.StreamWriter, answer: dict[str, Any]) -> bool:
    try:
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    except ConnectionError:
        return False
    return not writer.is_closing()


async def main(path: str, port: str, seed: str) -> None:
    """Serve until killed."""
    ledger = Ledger(path, seed)
    async with await asyncio.start_server(ledger.serve, "127.0.0.1", int(port)) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
