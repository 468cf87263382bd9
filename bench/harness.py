"""Runs an engine's script once, and keeps what it measured."""

import json
import os
import statistics
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.peers import ROOT, Unavailable, python_for
from bench.servers import Servers

#: Seconds after which an engine's script counts as hung.
PATIENCE = 300


@dataclass(frozen=True)
class Entrant:
    """An engine, on a database, with what is measured of it."""

    name: str
    engine: str
    measures: tuple[str, ...]
    database: str = "postgres"
    migrated: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    rounds: int
    seconds: float
    idle: int


class Figures:
    """What was measured, by entrant and figure, a document per round; and who was skipped, and why."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        self.skipped: dict[str, str] = {}

    def skip(self, entrants: Iterable[Entrant], why: str) -> None:
        """Leave entrants out from now on, and say so."""
        for entrant in entrants:
            self.skipped[entrant.name] = why
            print(f"  {entrant.name}: skipped: {why}", flush=True)

    def keep(self, entrant: str, figure: dict[str, Any]) -> None:
        """Keep one measurement."""
        self.taken[entrant][figure.pop("figure")].append(figure)

    def values(self, entrant: str, figure: str, name: str = "rate") -> list[float]:
        """Return what was measured, a value per round, sorted."""
        return sorted(each[name] for each in self.taken.get(entrant, {}).get(figure, ()) if name in each)

    def last(self, entrant: str, figure: str, name: str) -> str:
        """Return what an entrant said of itself in the last round."""
        return str(self.taken[entrant][figure][-1][name])

    def median(self, entrant: str, figure: str, name: str = "rate") -> float | None:
        """Return the median of the rounds, if there is any."""
        values = self.values(entrant, figure, name)
        return statistics.median(values) if values else None


def measure(entrant: Entrant, servers: Servers, effort: Effort, figures: Figures) -> None:
    """Run an entrant's script on a fresh database; keep what it tells. Raises Unavailable."""
    python = python_for(entrant.engine)
    with servers.fresh(entrant.name, kind=entrant.database, migrated=entrant.migrated) as (url, folder):
        task = {
            "database": url,
            "redis": servers.redis,
            "folder": str(folder),
            "measures": entrant.measures,
            "seconds": effort.seconds,
            "idle": effort.idle,
            "options": entrant.options,
        }
        for figure in _told(entrant.engine, python, task, folder):
            figures.keep(entrant.name, figure)


def _told(engine: str, python: Path, task: dict[str, Any], folder: Path) -> list[dict[str, Any]]:
    """Run an engine's script in its environment, and return its figures."""
    env = {**os.environ, "BENCH_TASK": json.dumps(task), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [python, "-m", f"bench.engines.{engine}"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            said, complaint = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Unavailable(f"it did not end within {PATIENCE} s") from None
    if process.returncode:
        raise Unavailable(_reason(complaint, folder / "log"))
    return [json.loads(line) for line in said.splitlines() if line.startswith('{"figure"')]


def _reason(complaint: str, log: Path) -> str:
    """Return the last line that says something: the script's own, and its servers'."""
    texts = (complaint, log.read_text(errors="replace") if log.exists() else "")
    lasts = [text.strip().splitlines()[-1] for text in texts if text.strip()]
    return "; its log: ".join(lasts)[:500] or "it ended without a word"
