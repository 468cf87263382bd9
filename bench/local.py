"""Sagadesk alone, on servers of its own: what the commands that compare it with nothing else share."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import servers
from bench.machine import machine, warn_if_busy
from bench.report import Report


@contextmanager
def sagadesk(
    command: str,
    title: str,
    *,
    workers: int = 2,
    starters: int = 128,
    address: str | None = None,
    **settings: Any,
) -> Iterator[tuple[Any, Report]]:
    """Yield the engine's script, set up on a fresh PostgreSQL, and a report to fill; no worker runs yet.

    The servers serve an address if it is given. ``settings`` are Sagadesk's own, such as ``CONCURRENCY=64``.
    """
    warn_if_busy()
    with servers.running(address) as started:
        folder = started.folder / "sagadesk"
        folder.mkdir()
        task = {
            "database": started.url("postgres"),
            "redis": started.redis,
            "folder": str(folder),
            "measures": [],
            "seconds": 0,
            "idle": 0,
            "options": {"workers": workers, "starters": starters, "settings": settings},
        }
        os.environ["BENCH_TASK"] = json.dumps(task)
        from django.core.management import call_command

        from bench.engines import sagadesk as engine

        engine.set_up()
        call_command("migrate", verbosity=0)
        about = {**machine(started.folder), "server": started.server_version()}
        yield engine, Report(command, title, about)
