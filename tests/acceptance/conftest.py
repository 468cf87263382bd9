"""Real workers and clocks, on the test's database and on a Redis that may be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from tests.acceptance import errands
from tests.waiting import until


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
        if settings.ON_POSTGRES:  # their server sides may not have noticed yet, and would be in the way
            until(lambda: not _backends())


def _backends() -> int:
    """End the other sessions on this database; return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return len(cursor.fetchall())


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
