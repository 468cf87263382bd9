"""Real workers and clocks, on the test's database and on a Redis that may be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from tests.acceptance import errands


def until(condition: Callable[[], Any], within: float = 30.0) -> Any:
    """Wait for a condition, and return what made it true."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


class Processes:
    """The processes that one test has started; all are gone when it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[subprocess.Popen[bytes]] = []
        self.redis_url = settings.REDIS_URL

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        """Start ``manage.py saga …``."""
        with (self.folder / f"{len(self.all)}-{words[0]}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "saga", *words],
                cwd=settings.BASE_DIR,
                env=os.environ | self._env() | env,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.all.append(process)
        return process

    def _env(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
            "DATABASE_URL": database_url(),
            "REDIS_URL": self.redis_url,
            "SAGADESK_APPS": "tests.acceptance.errands",
            "SAGADESK_DATA": str(self.folder),
            "SAGADESK_LEASE": "2",
            "SAGADESK_CLOCK": "0.2",
            "ERRANDS": str(self.folder),
        }

    def logs(self) -> str:
        """Return what all of them said."""
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def end(self) -> None:
        """Kill whatever is left."""
        for process in self.all:
            process.kill()
            process.wait()


def database_url() -> str:
    """Return the URL of the database that the test itself uses."""
    name = connection.settings_dict["NAME"]
    if not settings.ON_POSTGRES:
        return "sqlite:///" + quote(str(name))
    before, _, options = os.environ["DATABASE_URL"].partition("?")
    return f"{before.rpartition('/')[0]}/{name}?{options}"


@pytest.fixture
def processes(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Start processes; what they said is shown if the test fails."""
    monkeypatch.setattr(errands, "FOLDER", tmp_path)
    made = Processes(tmp_path)
    yield made
    made.end()
    print(made.logs())
