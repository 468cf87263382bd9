"""A WebSocket client of the plainest kind, which can also misbehave."""

import asyncio
import base64
import json
import os
import struct
from typing import Any

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
#: Seconds that opening may take.
PATIENCE = 5.0


class Refused(Exception):
    """The server did not open the socket. Its text is the status line."""


class Closed(Exception):
    """The server closed the socket. Its text is the code."""


class Socket:
    """An open socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, path: str, *, session: str, origin: str | None = None) -> "Socket":
        """Open a socket. Raises OSError, TimeoutError, Refused."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            key = base64.b64encode(os.urandom(16)).decode()
            lines = [
                f"GET {path} HTTP/1.1",
                f"Host: 127.0.0.1:{port}",
                "Upgrade: websocket",
                "Connection: Upgrade",
                f"Sec-WebSocket-Key: {key}",
                "Sec-WebSocket-Version: 13",
                f"Origin: {origin or f'http://127.0.0.1:{port}'}",
                f"Cookie: sagadesk={session}",
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                head = b"nothing"
        if not head.startswith(b"HTTP/1.1 101"):
            writer.close()
            raise Refused(head.split(b"\r\n")[0].decode())
        return cls(reader, writer)

    async def send(self, value: Any) -> None:
        """Send a value as JSON."""
        await self.send_raw(TEXT, json.dumps(value).encode())

    async def send_raw(self, kind: int, data: bytes) -> None:
        """Send a frame."""
        size = len(data)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 65536:
            length = b"\xfe" + struct.pack(">H", size)
        else:
            length = b"\xff" + struct.pack(">Q", size)
        self.writer.write(bytes([0x80 | kind]) + length + bytes(4) + data)  # a mask of zeros changes nothing
        await self.writer.drain()

    async def receive(self) -> Any:
        """Return the next value; raises Closed, or OSError, EOFError among them."""
        whole = b""
        while True:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size > 125:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
            data = await self.reader.readexactly(size)
            match first & 0x0F:
                case 8:
                    raise Closed(str(int.from_bytes(data[:2], "big")))
                case 9:
                    await self.send_raw(PONG, data)
                case 0 | 1:
                    whole += data
                    if first & 0x80:
                        return json.loads(whole)

    def close(self) -> None:
        """Hang up."""
        self.writer.transport.abort()
