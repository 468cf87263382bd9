"""The carrier: books pickups and cancels them. Plain ASGI, a SQLite file, nothing else.

CARRIER_SECRETS are the keys that it shares with Sagadesk, as a JSON list; CARRIER_DATABASE is its file.
"""

import asyncio
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from participants.carrier.keys import keys_from
from participants.carrier.moods import MOODS, Mood
from participants.carrier.saga_participant import BadSignature, Command, Inbox, Rejected, Reply, callback

#: The largest command that is read.
LARGEST = 1024 * 1024
TABLES = """CREATE TABLE IF NOT EXISTS pickup (
    key TEXT PRIMARY KEY, saga TEXT NOT NULL, address TEXT NOT NULL, tracking_number TEXT NOT NULL,
    cancelled INTEGER NOT NULL DEFAULT 0
)"""
try:
    KEYS = keys_from(os.environ.get("CARRIER_SECRETS", ""))
except ValueError as wrong:
    sys.exit(f"The carrier cannot start: {wrong}")


async def application(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[..., Any]) -> None:
    """Serve one request."""
    if scope["type"] != "http":
        return
    status, document = await _answer(scope, await _body(receive))
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": status, "headers": headers[: 1 + (status == 503)]})
    await send({"type": "http.response.body", "body": json.dumps(document).encode()})


async def _body(receive: Callable[[], Awaitable[Any]]) -> bytes | None:
    """Read the body; None if it is too large."""
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), part.get("more_body", False)
        if len(body) > LARGEST:
            return None
    return body


async def _answer(scope: Mapping[str, Any], body: bytes | None) -> Reply:
    if body is None:
        return 413, {"error": f"not more than {LARGEST} bytes"}
    path = (scope.get("raw_path") or quote(scope["path"]).encode()).decode()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    try:
        command = Command.read(KEYS, scope["method"], path, headers, body)
    except BadSignature as wrong:
        return 401, {"error": str(wrong)}
    if command.probes:
        return await asyncio.to_thread(_inbox().became_of, command)
    effect = EFFECTS.get(command.name)
    if effect is None:
        return 404, {"error": f"{command.name} is no command of the carrier's"}
    return await _in_mood(command, effect)


async def _in_mood(command: Command, effect: Callable[..., Any]) -> Reply:
    """Do what is asked, in the mood that the saga's data asks for."""
    mood = MOODS.get((command.input.get("demo") or {}).get("carrier"), Mood())
    first = command.attempt == 1 and command.undoes is None
    await asyncio.sleep(mood.delay)
    if first and mood.fails:
        return 503, {"error": "the carrier is closed for a moment"}
    status, document = await asyncio.to_thread(_inbox().once, command, effect)
    if first and mood.loses:
        return 500, {"error": "the carrier has lost its tongue"}
    if first and mood.calls_back and command.callback:
        call = asyncio.create_task(_call_back(command, status, document, mood))
        _calls.add(call)
        call.add_done_callback(_calls.discard)
        return 202, {"later": True}
    return status, document


_calls: set[asyncio.Task[None]] = set()


async def _call_back(command: Command, status: int, document: Any, mood: Mood) -> None:
    await asyncio.sleep(mood.later)
    key = "the key of somebody else" if mood.forges else KEYS[0]
    for _ in range(mood.calls_back):
        request = callback(command, status, document, key)
        try:
            await asyncio.to_thread(lambda request=request: urlopen(request, timeout=10).close())  # noqa: S310 - as told
        except OSError as refused:
            print(f"carrier: the callback for {command.key} was refused: {refused}", flush=True)


@lru_cache(maxsize=1)
def _inbox() -> Inbox:
    return Inbox(os.environ["CARRIER_DATABASE"], TABLES)


def _book(books: sqlite3.Connection, command: Command) -> dict[str, str]:
    address = command.input.get("shipping_address")
    if not address:
        raise Rejected("there is no address to carry it to")
    if "Atlantis" in str(address):
        raise Rejected("address not served: the express carrier does not dive")
    number = "EXP" + hashlib.sha256(command.key.encode()).hexdigest()[:12].upper()
    books.execute(
        "INSERT INTO pickup (key, saga, address, tracking_number) VALUES (?, ?, ?, ?)",
        [command.key, command.input["saga_id"], json.dumps(address), number],
    )
    return {"tracking_number": number, "carrier": "express"}


def _cancel(books: sqlite3.Connection, command: Command) -> dict[str, bool]:
    books.execute("UPDATE pickup SET cancelled = 1 WHERE key = ?", [command.undoes])
    return {"cancelled": True}


EFFECTS = {"CarrierService.BookPickup": _book, "CarrierService.CancelPickup": _cancel}
