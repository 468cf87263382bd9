"""Many operators in one process, each with a page open: it says what it shows and confirms, as ``live.js`` does.

Overviews stay open. A list is loaded again every few seconds, as by a click on "n new". A saga's page follows a saga
that runs, and goes on to another one at its end. What arrives is written down, to be compared with the database later.
"""

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import psycopg

from bench.watching.socket import Socket, opened

#: Seconds for which a list stays as it was loaded.
RELOAD = 5.0
#: Seconds within which everybody should have come; who has not is refused, and counted.
OPEN = 30.0
NUMBER = re.compile(rb'"n":(\d+)')
SAGA = re.compile(rb'"id":"([0-9a-f-]{36})","version":(\d+)')
CHANGED = re.compile(rb'datetime=\\"([0-9T:.-]{23})')
NEWEST = "SELECT id::text, version FROM sagas_saga {where} ORDER BY id DESC LIMIT 50"
FOLLOWED = "SELECT id::text, version FROM sagas_saga WHERE saga_type = 'Followed' AND finished_at IS NULL ORDER BY id"


@dataclass
class Task:
    """What this process is to do."""

    port: int
    cookie: str
    database: str
    overviews: int
    lists: int
    pages: int
    slow: int
    """Overviews that stop to read."""


@dataclass
class Written:
    """What was seen."""

    stays: list[dict[str, Any]] = field(default_factory=list)
    """A page that shows sagas for a while: ``{kind, at, shows, heard: [[time, id, version]], until}``."""
    overviews: list[list[tuple[float, str]]] = field(default_factory=list)
    """For each overview, when a frame came and the latest change that it told of."""
    frames: list[list[float]] = field(default_factory=list)
    """For each client, when its frames came."""
    bytes: int = 0
    lost: int = 0
    """Sockets that ended by themselves."""
    refused: int = 0


class Shown:
    """What pages would show if they were loaded now; one look a second for all of this process."""

    def __init__(self, database: str) -> None:
        self._database = database
        self.lists: dict[str, dict[str, int]] = {}
        self.followed: list[tuple[str, int]] = []

    async def follow(self) -> None:
        """Look for ever."""
        async with await psycopg.AsyncConnection.connect(self._database, autocommit=True) as database:
            while True:
                for query, where in (("", ""), ("type=Followed", "WHERE saga_type = 'Followed'")):
                    found = await database.execute(NEWEST.format(where=where))
                    self.lists[query] = dict(await found.fetchall())
                self.followed = await (await database.execute(FOLLOWED)).fetchall()
                await asyncio.sleep(1)


class Operator:
    """One client."""

    def __init__(self, number: int, task: Task, shown: Shown, written: Written) -> None:
        self.number, self.task, self.shown, self.written = number, task, shown, written
        self.times: list[float] = []
        self.over = asyncio.Event()
        self.leaving = self.opened = False
        self.stay: dict[str, Any] = {"heard": []}
        written.frames.append(self.times)

    async def open(self, path: str) -> Socket:
        """Open a socket, and try again where that is refused or takes too long, as a page does."""
        while True:
            try:
                socket = await opened(self.task.port, path, self.task.cookie, self.heard, self.lost)
                self.opened = True
                return socket
            except OSError:
                self.written.refused += 1
                await asyncio.sleep(0.5)

    def show(self, socket: Socket, kind: str, sagas: dict[str, int], **more: Any) -> None:
        self.stay["until"] = now = time.time()
        self.stay = {"kind": kind, "at": now, "shows": sagas, "heard": []}
        self.written.stays.append(self.stay)
        socket.say({"type": "show", "sagas": sagas, **more})

    def heard(self, socket: Socket, text: bytes) -> None:
        now = time.time()
        if found := NUMBER.search(text, 0, 40):
            socket.say({"type": "got", "n": int(found[1])})
        self.times.append(now)
        self.written.bytes += len(text)
        self.stay["heard"] += [(now, saga.decode(), int(version)) for saga, version in SAGA.findall(text)]
        if b'"final":true' in text:
            self.over.set()

    def lost(self, socket: Socket) -> None:
        opened = socket.opened.done() and not socket.opened.cancelled() and not socket.opened.exception()
        if opened and not self.leaving:
            self.written.lost += 1

    async def overview(self) -> None:
        changes: list[tuple[float, str]] = []
        self.written.overviews.append(changes)
        take = self.heard

        def heard(socket: Socket, text: bytes) -> None:
            take(socket, text)
            if b'"recent":"' in text:
                changes.append((self.times[-1], max(CHANGED.findall(text)).decode()))

        self.heard = heard  # type: ignore[method-assign]
        socket = await self.open("/ws/sagas/")
        socket.say({"type": "show", "sagas": {}, "overview": True})

    async def list(self) -> None:
        socket = await self.open("/ws/sagas/")
        query = ("", "type=Followed")[self.number % 2]
        await asyncio.sleep(self.number % 50 / 50 * RELOAD)
        while True:
            self.show(socket, "list", self.shown.lists[query], list=query)
            await asyncio.sleep(RELOAD)

    async def page(self) -> None:
        while True:
            while not self.shown.followed:
                await asyncio.sleep(0.2)
            saga, version = self.shown.followed[self.number % len(self.shown.followed)]
            self.over.clear()
            socket = await self.open(f"/ws/sagas/{saga}/")
            self.show(socket, "page", {saga: version})
            await self.over.wait()
            self.leaving = True
            socket.close()
            await asyncio.sleep(1.2)  # until the ended one is no longer taken for one that runs
            self.leaving = False

    async def slow(self) -> None:
        """Open the overview, and never read again."""
        self.written.frames.remove(self.times)
        socket = await self.open("/ws/sagas/")
        self.leaving = True
        socket.say({"type": "show", "sagas": {}, "overview": True})
        socket.stop_reading()


async def watch(task: Task) -> Written:
    """Keep the pages open until stdin ends."""
    shown, written, operators = Shown(task.database), Written(), []
    running = [asyncio.create_task(shown.follow())]
    while not shown.lists.get("type=Followed"):
        await asyncio.sleep(0.1)
    for kind, count in (
        ("overview", task.overviews),
        ("list", task.lists),
        ("page", task.pages),
        ("slow", task.slow),
    ):
        for number in range(count):
            operators.append(Operator(number, task, shown, written))
            running.append(asyncio.create_task(getattr(operators[-1], kind)()))
            await asyncio.sleep(0.01)  # they do not come in the same moment
    last = time.monotonic() + OPEN
    while not all(operator.opened for operator in operators) and time.monotonic() < last:
        await asyncio.sleep(0.05)
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for each in running:
        if each.done() and each.exception():
            raise each.exception()  # type: ignore[misc]
    return written


def main() -> None:
    task = Task(**json.loads(sys.argv[1]))
    written = asyncio.run(watch(task))
    json.dump(vars(written), sys.stdout)


if __name__ == "__main__":
    main()
