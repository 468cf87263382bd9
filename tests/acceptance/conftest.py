"""Real workers and clocks, on the test's database and on a Redis that may be killed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from sagaproject.processes import DAPHNE_OPTIONS
from tests import servers
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
        return self._run(words[0], ["manage.py", "saga", *words], env)

    def serve(self, port: int, **env: str) -> subprocess.Popen[bytes]:
        """Start a web process; return it when it answers."""
        server = f"-m daphne -b 127.0.0.1 -p {port} {DAPHNE_OPTIONS} sagaproject.asgi:application"
        process = self._run("web", server.split(), env)
        until(lambda: answers(port), 60)
        return process

    def call(self, data: dict[str, Any], **env: str) -> subprocess.Popen[bytes]:
        """Start a process that calls a saga, and prints the state that it ends in."""
        call = f"django.setup(); from {errands.__name__} import Errands; print(Errands().run({data!r}).state)"
        return self._run("call", ["-c", f"import django; {call}"], env)

    def _run(self, name: str, command: list[str], env: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{len(self.all)}-{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
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
            "SAGADESK_APPS": ",".join(
                ["tests.acceptance.errands", *os.environ.get("SAGADESK_APPS", "").split()]
            ),
            "SAGADESK_DATA": str(self.folder),
            "SAGADESK_LEASE": "2",
            "SAGADESK_CLOCK": "0.2",
            "ERRANDS": str(self.folder),
        }

    @contextmanager
    def on_another_server(self, folder: Path) -> Iterator[None]:
        """Use a PostgreSQL of the test's own, with this test's processes, which end with it."""
        usual = dict(connection.settings_dict)
        connection.close()
        connection.settings_dict.update(NAME="postgres", HOST=str(folder))
        call_command("migrate", verbosity=0)
        try:
            yield
        finally:
            self.kill()
            connection.close()
            connection.settings_dict.update(usual)

    def logs(self) -> str:
        """Return what all of them said."""
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def kill(self) -> None:
        """Kill whatever is left."""
        for process in self.all:
            process.kill()
            process.wait()

    def end(self) -> None:
        """Kill whatever is left, and leave nothing of it in the database's server."""
        self.kill()
        if settings.ON_POSTGRES:  # their server sides may not have noticed yet, and would be in the way
            until(lambda: not _backends())


def answers(port: int) -> bool:
    """Whether a web process serves this port."""
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return answer.status == 200
    return False


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
    return servers.postgres_url(Path(connection.settings_dict["HOST"]), name)


@pytest.fixture
def processes(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Processes]:
    """Start processes; what they said is shown if the test fails."""
    monkeypatch.setattr(errands, "FOLDER", tmp_path)
    made = Processes(tmp_path)
    yield made
    made.end()
    print(made.logs())
