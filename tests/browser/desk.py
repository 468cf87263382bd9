"""A whole desk for the browser: Redis, web, worker and clock as processes of their own, on a folder of their own."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from sagaproject.processes import DAPHNE_OPTIONS, die_with, free_port, redis_command
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery"
OPERATORS = ("operator", "second")

PREPARE = """
from django.contrib.auth import get_user_model
for name in {names!r}:
    get_user_model().objects.create_superuser(name, password={password!r})
"""


class Desk:
    """The processes, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.sessions: dict[str, Any] = {}
        """Operator -> the cookies of whom is logged in, so that not every test has to."""

    def up(self) -> None:
        """Prepare the database, start everything, and wait until sagas can move."""
        self.manage("migrate", "--verbosity", "0")
        self.manage("shell", "--verbosity", "0", "-c", PREPARE.format(names=OPERATORS, password=PASSWORD))
        for name in ("redis", "web", "worker", "clock"):
            self.start(name)
        until(self.ready)

    def down(self) -> None:
        """End everything."""
        for name in list(self.running):
            self.kill(name)

    def start(self, name: str) -> None:
        """Start a process, on the same port and folder as ever."""
        me = os.getpid()
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                self._command(name),
                cwd=ROOT,
                env=self._env(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: die_with(me),
            )

    def kill(self, name: str) -> None:
        """End a process with -9, as a power cut would."""
        process = self.running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let no saga move meanwhile: what begins is watched from its beginning, however long a page takes to open.

        A worker that stopped while it writes would keep the lock of SQLite, and whoever begins something would
        wait for it. So it is stopped while the lock is ours.
        """
        worker = self.running["worker"]
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=60, isolation_level=None)) as ours:
            ours.execute("BEGIN IMMEDIATE")
            worker.send_signal(signal.SIGSTOP)
            os.waitpid(worker.pid, os.WUNTRACED)
        try:
            yield
        finally:
            worker.send_signal(signal.SIGCONT)

    def manage(self, *words: str) -> str:
        """Run ``manage.py``, and return what it prints."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(command, cwd=ROOT, env=self._env(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def order(self, scenario: str = "happy", n: int = 1, pace: float = 0) -> list[str]:
        """Start demo orders; return the sagas' ids."""
        words = ("--scenario", scenario, "-n", str(n), "--pace", str(pace))
        return self.manage("demo", "order", *words).split()

    def demo(self, name: str, scenario: str) -> str:
        """Start one saga of a demo; return its id."""
        return self.manage("demo", name, "--scenario", scenario)

    def shown(self, saga_id: str) -> dict[str, Any]:
        """Return a saga as the API shows it."""
        return self._api(saga_id)

    def act(self, saga_id: str, verb: str, reason: str) -> None:
        """Use a verb, somewhere else than in the browser under test."""
        self._api(f"{saga_id}/{verb}", {"reason": reason})

    def _api(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        asked = urllib.request.Request(f"{self.url}/api/v1/sagas/{path}", data, headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310
            return dict(json.load(answer))

    @cached_property
    def _token(self) -> str:
        return self.manage("saga", "token", OPERATORS[0])

    def ready(self) -> bool:
        """Whether ``/readyz`` says so."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 - our own server
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _command(self, name: str) -> list[str]:
        match name:
            case "redis":
                return redis_command(Path(sys.prefix), self.folder / "redis.sock")
            case "web":
                daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port)]
                return [*daphne, *DAPHNE_OPTIONS.split(), "sagaproject.asgi:application"]
            case _:
                return [sys.executable, "manage.py", "saga", name]

    def _env(self) -> dict[str, str]:
        kept = {
            k: v for k, v in os.environ.items() if not k.startswith(("SAGADESK_", "DJANGO_", "DATABASE_"))
        }
        return kept | {
            "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
            "REDIS_URL": f"unix://{self.folder}/redis.sock",
            "SAGADESK_DATA": str(self.folder),
        }
