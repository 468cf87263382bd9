"""A client of the live socket that costs little: on a machine with everything else, it must not be what is measured.

It speaks just enough of WebSocket for a server that sends whole, unmasked frames.
"""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from typing import Any

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
#: A client has to mask what it sends; with this mask nothing changes.
MASK = bytes(4)


class Socket(asyncio.Protocol):
    """One open socket: hands over each text that arrives, and answers pings."""

    def __init__(self, heard: Callable[["Socket", bytes], None], lost: Callable[["Socket"], None]) -> None:
        self._heard, self._lost = heard, lost
        self._buffer = bytearray()
        self._transport: Any = None
        self.opened = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, reason: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(reason or ConnectionError("the socket was refused"))
        self._lost(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._greeted():
            return
        while (frame := self._frame()) is not None:
            self._take(*frame)

    def ask(self, port: int, path: str, cookie: str) -> None:
        """Send the request that opens it."""
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"127.0.0.1:{port}"
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Origin: http://{host}",
            f"Cookie: {cookie}",
        )
        self._transport.write("\r\n".join((*lines, "", "")).encode())

    def say(self, document: dict[str, Any]) -> None:
        """Send a text."""
        self._send(TEXT, json.dumps(document).encode())

    def stop_reading(self) -> None:
        """Be the client that takes nothing more."""
        self._transport.pause_reading()

    def close(self) -> None:
        """Leave."""
        self._transport.abort()

    def _greeted(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return False
        self._buffer = rest
        if b" 101 " not in head.splitlines()[0]:
            self.opened.set_exception(ConnectionError(head.splitlines()[0].decode()))
            return False
        self.opened.set_result(None)
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        """Take a whole frame off what has arrived."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, begin = buffer[1] & 127, 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            if len(buffer) < begin:
                return None
            (length,) = struct.unpack(">H" if begin == 4 else ">Q", buffer[2:begin])
        if len(buffer) < begin + length:
            return None
        kind, payload = buffer[0] & 15, bytes(buffer[begin : begin + length])
        del buffer[: begin + length]
        return kind, payload

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            self._heard(self, payload)
        elif kind == PING:
            self._send(PONG, payload)
        elif kind == CLOSE:
            self.close()

    def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes((128 | kind, 128 | size)) if size < 126 else struct.pack(">BBH", 128 | kind, 254, size)
        self._transport.write(head + MASK + payload)


async def opened(
    port: int,
    path: str,
    cookie: str,
    heard: Callable[[Socket, bytes], None],
    lost: Callable[[Socket], None],
) -> Socket:
    """Return a socket that the server has accepted."""
    _, socket = await asyncio.get_running_loop().create_connection(
        lambda: Socket(heard, lost), "127.0.0.1", port
    )
    socket.ask(port, path, cookie)
    await socket.opened
    return socket
