"""The live sockets: who may listen, and what they show. Nothing said over a socket changes anything."""

import asyncio
import contextlib
import json
import logging
import time
from importlib import import_module
from typing import Any
from uuid import UUID

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings

from sagas.live import Feed, Viewer
from sagas.orchestrator import SEE, permitted

log = logging.getLogger(__name__)

SIGNED_OUT, NOT_ALLOWED, TOO_LARGE, TOO_MUCH = 4401, 4403, 4413, 4429
#: Bytes in a frame that we send; the web server's own limit lies above (``sagaproject.processes``).
LARGEST = 6_000_000
#: Seconds between two looks whether the operator still may.
RECHECK = 60.0
#: Seconds after which who has not said what it shows is told what its address is about.
SILENT = 1.0
#: What a page may say: bytes in a frame, frames in ten seconds, sagas shown at once.
LONGEST, OFTEN, MOST_SHOWN = 16_384, 100, 200


class Nowhere(AsyncWebsocketConsumer):
    """An address at which there is no socket of ours."""

    async def connect(self) -> None:
        """Turn it away, as a page that is not there."""
        await self.close()


class ListConsumer(AsyncWebsocketConsumer):
    """Pages that show many sagas: the list and the overview."""

    feed: Feed
    kind = "row"

    def __init__(self, feed: Feed) -> None:
        super().__init__()
        self.feed = feed
        self.viewer = Viewer(self._send, self._give_up)
        self._watch: asyncio.Task[None] | None = None
        self._unasked: asyncio.TimerHandle | None = None
        self._frames: list[float] = []

    async def connect(self) -> None:
        """Accept first: only then can the browser read why it is turned away."""
        await self.accept()
        code, allowed = await self._may(self.scope["user"])
        if code:
            await self.close(code)
            return
        self.viewer.variant = self._variant(allowed)
        self.viewer.person = self.scope["user"].pk
        self._watch = asyncio.create_task(self._recheck())
        self._unasked = asyncio.get_running_loop().call_later(SILENT, self._tell_unasked)

    async def disconnect(self, code: int) -> None:
        """Forget the page."""
        self.feed.leave(self.viewer)
        if self._watch:
            self._watch.cancel()
        if self._unasked:
            self._unasked.cancel()

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Hear what the page shows, or that it has applied a frame; nonsense ends the connection."""
        if self._watch is None:
            return
        frame = self._read(text_data)
        match frame:
            case {"type": "got", "n": int(number)}:
                if self.viewer.confirm(number):
                    self.feed.wake()
            case {"type": "show", "sagas": dict(sagas)} if (shown := _shown(sagas)) is not None:
                if self._unasked:
                    self._unasked.cancel()
                listing = frame.get("list")
                self.viewer.show(
                    shown,
                    overview=frame.get("overview") is True,
                    listing=listing[:2000] if isinstance(listing, str) else None,
                    inbox=frame.get("approvals") is True,
                )
                self.feed.join(self.viewer)
            case _:
                await self.close(TOO_MUCH)

    def _tell_unasked(self) -> None:
        """Tell a program that says nothing, as pages do, what pages at its address show."""
        self.viewer.show({}, overview=True, listing="")
        self.feed.join(self.viewer)

    def _read(self, text: str | None) -> Any:
        now = time.monotonic()
        self._frames = [at for at in self._frames if now - at < 10] + [now]
        if text is None or len(text) > LONGEST or len(self._frames) > OFTEN:
            return None
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
        return None

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK)
            try:
                code, allowed = await self._may(await self._user_now())
            except Exception as fault:  # the database is away, say: the next look tells
                log.warning("who still may see this page could not be looked up: %s", fault)
                continue
            if code:
                await self.close(code)
            elif self._variant(allowed) != self.viewer.variant:  # what is offered is another
                self.viewer.variant = self._variant(allowed)
                self.viewer.changed.update(self.viewer.shows)
                self.feed.wake()

    def _variant(self, allowed: frozenset[str]) -> tuple[str, frozenset[str]]:
        return self.kind, allowed if self.kind == "page" else frozenset()

    async def _user_now(self) -> Any:
        """Read session and user anew: a log-out elsewhere counts here too."""
        session = self.scope.get("session")
        if session is None:
            return self.scope["user"]
        store = import_module(settings.SESSION_ENGINE).SessionStore
        return await get_user({"session": store(session.session_key)})

    async def _may(self, user: Any) -> tuple[int, frozenset[str]]:
        if not user.is_authenticated:
            return SIGNED_OUT, frozenset()
        allowed: tuple[int, frozenset[str]] = await database_sync_to_async(_allowed)(user)
        return allowed

    async def _send(self, text: str) -> None:
        if len(text) > LARGEST:  # the server would drop it, and the page would believe itself up to date
            await self.close(TOO_LARGE)
            return
        await self.send(text)

    async def _give_up(self) -> None:
        self.feed.leave(self.viewer)
        await self.close(TOO_MUCH)


class SagaConsumer(ListConsumer):
    """A page that shows one saga whole."""

    kind = "page"

    def _tell_unasked(self) -> None:
        shown = _shown({self.scope["path"].rstrip("/").rpartition("/")[2]: -1})
        if shown is not None:
            self.viewer.show(shown, overview=False, listing=None)
            self.feed.join(self.viewer)


def _allowed(user: Any) -> tuple[int, frozenset[str]]:
    if not user.has_perm(SEE):
        return NOT_ALLOWED, frozenset()
    return 0, permitted(user)


def _shown(sagas: dict[Any, Any]) -> dict[UUID, int] | None:
    """Read saga ids and versions; None if they are not that, or too many."""
    if len(sagas) > MOST_SHOWN:
        return None
    try:
        return {UUID(saga_id): int(version) for saga_id, version in sagas.items()}
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None
