"""A network that can be cut: each link is a port on loopback that leads to a server's unix socket.

A cut link holds what is sent, one way or both ways, as a network that loses packets does; healed, it delivers it,
or resets the connections. Network namespaces would need root, and a bridge; this needs neither.
"""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

UP, DOWN = "up", "down"
#: A transaction's first word on PostgreSQL's wire.
BEGIN = b"BEGIN"


class Link:
    """The way of one process to one server."""

    def __init__(self, name: str, target: Path) -> None:
        self.name = name
        self.port = 0
        self.cut_in_transaction = threading.Event()
        """Set once an armed link was cut behind a transaction's first statement."""
        self._target = target
        self._open = {UP: asyncio.Event(), DOWN: asyncio.Event()}
        self._writers: set[asyncio.StreamWriter] = set()
        self._armed = False

    async def listen(self) -> None:
        """Begin to carry."""
        for way in self._open.values():
            way.set()
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    def cut(self, *ways: str) -> None:
        """Carry nothing, up, down or both, from now on."""
        for way in ways:
            self._open[way].clear()

    def arm(self) -> None:
        """Cut both ways as soon as a transaction has begun and said what it is about."""
        self.cut_in_transaction.clear()
        self._armed = True

    def heal(self, *, reset: bool) -> None:
        """Carry what was held, or reset the connections that it was to go over."""
        self._armed = False
        if reset:
            for writer in list(self._writers):
                writer.transport.abort()
        for way in self._open.values():
            way.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open[UP].wait()
        try:
            far_reader, far_writer = await asyncio.open_unix_connection(str(self._target))
        except OSError:  # nobody is there: refused
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            _, left = await asyncio.wait(
                [
                    asyncio.create_task(self._copy(reader, far_writer, UP)),
                    asyncio.create_task(self._copy(far_reader, writer, DOWN)),
                ],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in left:
                task.cancel()
        finally:
            for each in (writer, far_writer):
                self._writers.discard(each)
                each.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        began = False
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open[way].wait()
                writer.write(data)
                await writer.drain()
                if way == UP and self._armed:
                    if began:
                        self._armed = False
                        self.cut(UP, DOWN)
                        self.cut_in_transaction.set()
                    began = BEGIN in data
            await self._open[way].wait()  # that it was closed is news that travels the same way


class Network:
    """All links, carried by one thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.links: dict[str, Link] = {}
        threading.Thread(target=self._loop.run_forever, name="network", daemon=True).start()

    def link(self, name: str, target: Path) -> Link:
        """Make a link; it carries from now on."""
        link = Link(name, target)
        asyncio.run_coroutine_threadsafe(link.listen(), self._loop).result(10)
        self.links[name] = link
        return link

    def do(self, function: Any, *arguments: Any, **options: Any) -> None:
        """Call a link's method in the thread that carries."""
        self._loop.call_soon_threadsafe(lambda: function(*arguments, **options))
