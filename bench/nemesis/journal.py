"""Journals: what each process of a run did, a JSON object a line, so that the checker and people can read it."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Journal:
    """A file to which one process appends. Every entry says when, on this machine's own clock."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)
        self._lock = threading.Lock()

    def write(self, what: str, **values: Any) -> None:
        """Append an entry."""
        line = json.dumps(
            {"t": round(time.time(), 4), "what": what, **values}, separators=(",", ":"), default=str
        )
        with self._lock:
            self._file.write(line + "\n")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the entries of a journal; the last line of a process that was killed may be half a line."""
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            if line.endswith("\n"):
                yield json.loads(line)
