"""The carrier for real: its own process, on a port of its own, with books in a file."""

import json
import os
import secrets
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from sagaproject.processes import free_port
from tests.waiting import until

#: With a comma: keys are what they are.
SECRET = f"{secrets.token_urlsafe(24)},"


class Carrier:
    """A process that can be killed and started again, and whose books can be read."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.database = folder / "carrier.sqlite3"
        self.start()

    def start(self) -> None:
        """Start it; it need not be ready."""
        env = {**os.environ, "CARRIER_SECRETS": json.dumps([SECRET]), "CARRIER_DATABASE": str(self.database)}
        words = ["-m", "daphne", "--bind", "127.0.0.1", "--port", str(self.port), "--verbosity", "0"]
        words.append("participants.carrier.app:application")
        self.process = subprocess.Popen([sys.executable, *words], cwd=settings.BASE_DIR, env=env)

    def until_ready(self) -> None:
        """Wait until it listens."""
        until(self._listens, within=60)

    def _listens(self) -> bool:
        assert self.process.poll() is None, "the carrier has ended"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self.process.kill()
        self.process.wait()

    def service(self, **more: Any) -> dict[str, Any]:
        """Return the settings that make it a service of ours."""
        address = {"url": f"http://127.0.0.1:{self.port}", "private": True}
        return {**address, "secrets": [SECRET], "reply_within": 3, **more}

    def pickups(self, saga: Any) -> list[bool]:
        """Return a saga's pickups: whether each is still to be fetched."""
        with closing(sqlite3.connect(self.database, timeout=20)) as books:
            rows = books.execute("SELECT cancelled FROM pickup WHERE saga = ?", [str(saga.pk)]).fetchall()
        return [not cancelled for (cancelled,) in rows]


@contextmanager
def carrying(folder: Path) -> Iterator[Carrier]:
    """Have a carrier until the block ends."""
    carrier = Carrier(folder)
    try:
        carrier.until_ready()
        yield carrier
    finally:
        carrier.kill()
