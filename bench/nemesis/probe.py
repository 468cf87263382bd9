"""The probe: once a second, what is done, and what it takes. It looks from outside, and past all links."""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.nemesis.journal import Journal
from bench.nemesis.world import World

COUNT = "SELECT state, attention IS NOT NULL, paused, count(*) FROM sagas_saga GROUP BY 1, 2, 3"
SESSIONS = "SELECT application_name, count(*) FROM pg_stat_activity WHERE usename = 'desk' GROUP BY 1"
PAGE = 4096


class Probe:
    """A thread that writes a journal, and tells starters how much is under way."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.journal = Journal(world.folder / "probe.jsonl")
        self.over = threading.Event()
        threading.Thread(target=self._run, name="probe", daemon=True).start()

    def unfinished(self) -> int | None:
        """Count the sagas that have not ended, or wait for a person; None if the database does not say."""
        counted = self._count()
        return None if counted is None else counted["running"] + counted["asking"]

    def _run(self) -> None:
        while not self.over.wait(1):
            counted = self._count()
            if counted is not None:
                draft = self.world.folder / "unfinished.new"
                draft.write_text(str(counted["running"]))
                draft.rename(self.world.folder / "unfinished")
            self.journal.write(
                "looked", sagas=counted, redis=self._redis(), memory=self._memory(), **self._sessions()
            )

    def _count(self) -> dict[str, int] | None:
        try:
            found = self.world.store.rows(COUNT)
        except Exception:  # the database is away
            return None
        counted = {"finished": 0, "running": 0, "asking": 0}
        for state, attention, paused, count in found:
            over = state in ("completed", "failed")
            counted["finished"] += count if over else 0
            counted["asking"] += count if attention or (paused and not over) else 0
            counted["running"] += 0 if over or attention or paused else count
        return counted

    def _sessions(self) -> dict[str, dict[str, int]]:
        """Return how many connections each of the desk's processes has to the database."""
        with suppress(Exception):
            if self.world.store.kind == "postgres":
                return {"sessions": {who: int(count) for who, count in self.world.store.rows(SESSIONS)}}
        return {}

    def _redis(self) -> int | None:
        with suppress(Exception):
            return int(self.world.redis().dbsize())
        return None

    def _memory(self) -> dict[str, Any]:
        """Return what the desk's processes take, in MB."""
        taken = {}
        for name, child in self.world.children.items():
            if name.startswith(("web", "worker", "clock")):
                with suppress(OSError, IndexError, ValueError):
                    pages = int(Path(f"/proc/{child.pid}/statm").read_text().split()[1])
                    taken[name] = round(pages * PAGE / 1024**2)
        return taken
