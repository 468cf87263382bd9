"""Open pages: some that watch as a browser does and must see the truth, and some that behave badly, all the time."""

import asyncio
import random
import sqlite3
import sys
import time
from contextlib import suppress
from typing import Any

import psycopg

from bench.nemesis.api import Api, Unanswered
from bench.nemesis.journal import Journal
from bench.nemesis.plan import OVER, Plan
from bench.nemesis.websocket import TEXT, Closed, Refused, Socket

WATCHERS, HOSTILE = 5, 15
#: As the desk's own page: without a word for so long it connects anew; it shows other sagas after a while.
SILENCE, TURN = 8.0, 12.0
#: Sagas on a page.
SHOWN = 40
BROKEN = (OSError, EOFError, TimeoutError, Closed, Refused, ValueError)


class Watcher:
    """A page that shows a list."""

    def __init__(self, plan: Plan, journal: Journal, number: int) -> None:
        self.plan, self.journal, self.name = plan, journal, f"page-{number}"
        self.chance = random.Random(f"{plan.seed}:page-{number}")
        self.api = Api(plan.web, plan.token)
        self.shows: dict[str, int] = {}
        self.since = 0.0
        """When it began to show these, on an open socket; 0 while it is not live."""

    async def run(self) -> None:
        """Watch until it is over."""
        failures = 0
        while True:
            try:
                await self._watch()
                failures = 0
            except BROKEN as no:
                failures = 0 if self.since else failures + 1
                self.journal.write("lost", page=self.name, why=f"{type(no).__name__}: {no}"[:200])
            self.since = 0.0
            await asyncio.sleep(min(5.0, 0.25 * 2 ** min(failures, 5)) * self.chance.uniform(0.5, 1))

    async def _watch(self) -> None:
        socket = await Socket.open(self.plan.web, "/ws/sagas/", session=self.plan.session)
        try:
            while True:
                await self._turn(socket)
        finally:
            socket.close()

    async def _turn(self, socket: Socket) -> None:
        """Show what the list shows now, and keep it up to date for a while.

        Until it is here the former list is shown, and judged: a page that turns is no page that is away.
        """
        with suppress(Unanswered):
            status, answer = await asyncio.to_thread(self.api.get, f"sagas?limit={SHOWN}")
            if status == 200:
                self.shows = {saga["id"]: saga["version"] for saga in answer["items"]}
        await socket.send({"type": "show", "sagas": self.shows, "overview": True, "list": ""})
        self.since = time.monotonic()
        end = time.monotonic() + TURN
        while time.monotonic() < end:
            try:
                async with asyncio.timeout(SILENCE):
                    frame = await socket.receive()
            except TimeoutError:
                self.journal.write("silent", page=self.name)
                raise
            for saga in frame.get("sagas") or ():
                if saga["id"] in self.shows:
                    self.shows[saga["id"]] = max(saga["version"], self.shows[saga["id"]])
            await socket.send({"type": "got", "n": frame["n"]})


class Judge:
    """Compares what pages show with the database, once a second."""

    def __init__(self, plan: Plan, journal: Journal, watchers: list[Watcher]) -> None:
        self.plan, self.journal, self.watchers = plan, journal, watchers
        self.behind: dict[tuple[str, str], tuple[int, float]] = {}

    async def run(self) -> None:
        """Note how long each page has been behind, at most."""
        while True:
            await asyncio.sleep(1)
            ids = {saga for watcher in self.watchers for saga in watcher.shows}
            with suppress(psycopg.Error, sqlite3.Error):
                versions = await asyncio.to_thread(_versions, self.plan, ids)
                self._compare(versions)

    def _compare(self, versions: dict[str, int]) -> None:
        now, worst, lag = time.monotonic(), None, 0.0
        behind = {}
        for watcher in self.watchers:
            for saga, shown in watcher.shows.items() if watcher.since else ():
                if versions.get(saga, 0) > shown:
                    before = self.behind.get((watcher.name, saga))
                    since = before[1] if before and before[0] > shown else max(now, watcher.since)
                    behind[watcher.name, saga] = (versions[saga], since)
                    if now - since > lag:
                        worst, lag = (watcher.name, saga, shown, versions[saga]), now - since
        self.behind = behind
        live = sum(1 for watcher in self.watchers if watcher.since)
        phase = self.plan.phase
        self.journal.write(
            "judged", phase=phase, live=live, behind=len(behind), lag=round(lag, 2), worst=worst
        )


def _versions(plan: Plan, ids: set[str]) -> dict[str, int]:
    if not ids:
        return {}
    if plan.database == "postgres":
        with psycopg.connect(plan.back_door, connect_timeout=2) as connection:
            found = connection.execute(
                "SELECT id::text, version FROM sagas_saga WHERE id = ANY(%s::uuid[])", [list(ids)]
            ).fetchall()
            return dict(found)
    connection = sqlite3.connect(f"file:{plan.back_door}?mode=ro", uri=True, timeout=5)
    try:
        marks = ", ".join("?" * len(ids))
        keys = {saga.replace("-", ""): saga for saga in ids}
        found = connection.execute(f"SELECT id, version FROM sagas_saga WHERE id IN ({marks})", list(keys))  # noqa: S608
        return {keys[pk]: version for pk, version in found}
    finally:
        connection.close()


class Hostile:
    """A client that means no good. Its kinds take turns."""

    def __init__(self, plan: Plan, journal: Journal, number: int) -> None:
        self.plan, self.journal = plan, journal
        self.chance = random.Random(f"{plan.seed}:hostile-{number}")
        self.number = number

    async def run(self) -> None:
        """Misbehave, one way after the other."""
        kinds = [self.deaf, self.large, self.foreign, self.expired, self.nonsense, self.hasty]
        turn = self.number
        while self.plan.phase != OVER:
            turn += 1
            kind = kinds[turn % len(kinds)]
            with suppress(*BROKEN):
                await kind()
            self.journal.write("hostile", kind=kind.__name__)
            await asyncio.sleep(self.chance.uniform(1, 5))

    async def _open(self, **options: Any) -> Socket:
        return await Socket.open(self.plan.web, "/ws/sagas/", **{"session": self.plan.session, **options})

    async def deaf(self) -> None:
        """Show everything, confirm nothing, read nothing."""
        socket = await self._open()
        await socket.send({"type": "show", "sagas": {}, "overview": True, "list": ""})
        socket.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(self.chance.uniform(5, 20))
        socket.close()

    async def large(self) -> None:
        """Send a frame of a megabyte."""
        socket = await self._open()
        await socket.send_raw(TEXT, b"x" * 1024 * 1024)
        async with asyncio.timeout(5):
            while True:
                await socket.receive()

    async def foreign(self) -> None:
        """Come from another site's page: must be refused."""
        await self._must_not(origin="http://evil.example")

    async def expired(self) -> None:
        """Come with a session that is no more: must hear nothing."""
        await self._must_not(session=self.plan.expired)

    async def _must_not(self, **options: Any) -> None:
        socket = await self._open(**options)
        await socket.send({"type": "show", "sagas": {}, "overview": True, "list": ""})
        async with asyncio.timeout(5):
            frame = await socket.receive()
        self.journal.write("leaked", options=options, frame=str(frame)[:200])

    async def nonsense(self) -> None:
        """Send what is no question."""
        socket = await self._open()
        for text in (b"[", b'{"type":"show","sagas":7}', b'{"type":"got","n":"x"}', b"\xff\xfe", b"null"):
            await socket.send_raw(TEXT, text)
        async with asyncio.timeout(3):
            while True:
                await socket.receive()

    async def hasty(self) -> None:
        """Connect and hang up, many times."""
        for _ in range(5):
            socket = await self._open()
            socket.close()


async def run(plan: Plan) -> None:
    """Run all of them until killed."""
    journal = Journal(plan.path / "sockets.jsonl")
    watchers = [Watcher(plan, journal, n) for n in range(WATCHERS)]
    hostile = [Hostile(plan, journal, n) for n in range(HOSTILE)]
    async with asyncio.TaskGroup() as group:
        for each in (*watchers, *hostile, Judge(plan, journal, watchers)):
            group.create_task(each.run())


if __name__ == "__main__":
    asyncio.run(run(Plan.load(sys.argv[1])))
