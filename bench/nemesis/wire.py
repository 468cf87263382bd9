"""How to ask the ledger: a connection, a line there, a line back."""

import asyncio
import json
import socket
from typing import Any

#: Seconds that a participant waits for the ledger; less than it takes for an answer that is to be lost.
PATIENCE = 3.0


def ask(port: int, question: dict[str, Any]) -> dict[str, Any]:
    """Ask and wait. Raises OSError, TimeoutError among them, or ConnectionError where no answer came."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as lines:
            return _read(lines.readline())


async def ask_soon(port: int, question: dict[str, Any]) -> dict[str, Any]:
    """Ask as :func:`ask` does, from an event loop."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(json.dumps(question).encode() + b"\n")
            return _read(await reader.readline())
        finally:
            writer.close()


def _read(line: bytes) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ConnectionError("the ledger hung up")
    answer: dict[str, Any] = json.loads(line)
    return answer
