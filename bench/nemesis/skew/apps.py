"""A strftime of our own, put before SQLite's on every connection: the database's clock is what a file says it is."""

import os
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

#: A file that holds the seconds by which the database's clock is wrong.
FILE = Path(os.environ.get("CHAOS_SKEW", "/nonexistent"))


def seconds() -> float:
    """Read by how much the clock is wrong now."""
    try:
        return float(FILE.read_text() or 0)
    except (OSError, ValueError):
        return 0.0


class SkewConfig(AppConfig):
    """Nothing but a listener."""

    name = "bench.nemesis.skew"
    label = "chaos_skew"

    def ready(self) -> None:
        """Move the clock of every connection that is made from now on."""
        connection_created.connect(_skew, dispatch_uid="bench.nemesis.skew")


def _skew(connection: Any, **_: Any) -> None:
    if connection.vendor != "sqlite":
        return
    real = sqlite3.connect(":memory:", check_same_thread=False)

    def strftime(form: str, *words: str) -> Any:
        moved = [_now() if str(word).lower() == "now" else word for word in words or ("now",)]
        marks = ", ".join("?" * (len(moved) + 1))
        return real.execute(f"SELECT strftime({marks})", [form, *moved]).fetchone()[0]

    connection.connection.create_function("strftime", -1, strftime)


def _now() -> str:
    return f"{datetime.fromtimestamp(time.time() + seconds(), UTC):%Y-%m-%d %H:%M:%S.%f}"
