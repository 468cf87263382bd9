"""The world of a run: database, Redis, ledger, web, workers, clocks, and the links between them, all supervised."""

import ctypes
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from redis import Redis

from bench.nemesis import outpost, stores
from bench.nemesis.children import Child
from bench.nemesis.journal import Journal
from bench.nemesis.plan import Plan
from bench.nemesis.proxy import Link, Network
from bench.servers import ROOT
from sagaproject.processes import DAPHNE_OPTIONS, free_port, redis_command
from tests.waiting import until

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 0x4000, 0x40000
CLOCKS = 2
CARRIER_SECRET = "the carrier's own key and nobody else's"  # noqa: S105 - of a run on this machine


class World:
    """Everything that runs, by name, and what the nemesis has done to it."""

    def __init__(self, plan: Plan) -> None:
        self.folder = plan.path
        ports = {name: free_port() for name in ("web", "ledger", "outpost", "carrier")}
        self.plan = replace(plan, **ports)
        for name in ("logs", "data", "disk", "redis"):
            (self.folder / name).mkdir()
        self.journal = Journal(self.folder / "nemesis.jsonl")
        self.no_disk = _mount(self.folder / "disk", stores.DISK)
        """Why the database's disk has no size of its own, if it has none."""
        self.network = Network()
        made = stores.Postgres if plan.database == "postgres" else stores.Sqlite
        self.store: Any = made(self.folder, self.journal)
        self.children: dict[str, Child] = {}
        self.doses: Counter[str] = Counter()

    @property
    def workers(self) -> list[Child]:
        """Those who execute what is due."""
        return [child for name, child in self.children.items() if name.startswith("worker")]

    @property
    def clocks(self) -> list[Child]:
        """Those who tick."""
        return [child for name, child in self.children.items() if name.startswith("clock")]

    def start(self) -> None:
        """Run everything, and wait until it is ready."""
        self.store.start()
        if self.store.server:
            self.children["postgres"] = self.store.server
        env = self._env(self.store.url(), "redis://127.0.0.1:1") | {"SAGADESK_LOG_LEVEL": "WARNING"}
        self._python(env, ROOT / "manage.py", "migrate", "-v0")
        self.store.prepare()
        opened = json.loads(self._python(env, "-m", "bench.nemesis.opening"))
        self.plan = replace(self.plan, back_door=self.store.back_door(), **opened)
        self.plan.save()
        command = redis_command(Path(sys.prefix), self._redis_socket)
        self._add("redis", command, dict(os.environ))
        ledger = [sys.executable, "-m", "bench.nemesis.ledger", self.folder / "ledger.sqlite3"]
        self._add("ledger", [*ledger, self.plan.ledger, self.plan.seed], dict(os.environ))
        self._add("outpost", [sys.executable, "-m", "bench.nemesis.outpost", self.folder], dict(os.environ))
        secrets = json.dumps([CARRIER_SECRET])
        books = {"CARRIER_SECRETS": secrets, "CARRIER_DATABASE": str(self.folder / "carrier.sqlite3")}
        carrier = _daphne(self.plan.carrier, "participants.carrier.app:application")
        self._add("carrier", carrier, {**os.environ, **books})
        saga = [sys.executable, ROOT / "manage.py", "saga"]
        self._serve("web", _daphne(self.plan.web, "sagaproject.asgi:application", DAPHNE_OPTIONS))
        for n in range(self.plan.workers):
            self._serve(f"worker-{n}", [*saga, "worker"])
        for n in range(CLOCKS):
            self._serve(f"clock-{n}", [*saga, "clock"])
        until(self.ready, 120)

    def client(self, name: str) -> None:
        """Run one of those who use the desk."""
        self._add(name, [sys.executable, "-m", f"bench.nemesis.{name}", self.folder], dict(os.environ))

    def ready(self) -> bool:
        """Whether the desk says that it is ready."""
        url = f"http://127.0.0.1:{self.plan.web}/readyz"
        with suppress(OSError), urllib.request.urlopen(url, timeout=3) as answer:
            return bool(answer.status == 200)
        return False

    def redis(self) -> Any:
        """Return a client of Redis, past all links."""
        return Redis(unix_socket_path=str(self._redis_socket), socket_timeout=2)

    def link(self, who: str, what: str) -> Link:
        """Return the link of a process to ``db`` or ``redis``."""
        return self.network.links[f"{who}-{what}"]

    def in_mid_step(self) -> set[int]:
        """Return the processes that wait for the ledger at this moment."""
        with closing(sqlite3.connect(f"file:{self.folder / 'ledger.sqlite3'}?mode=ro", uri=True)) as books:
            found = books.execute(
                "SELECT pid FROM calls WHERE ended IS NULL AND began > ?", [time.time() - 1]
            )
            return {pid for (pid,) in found}

    def dose(self, kind: str, **values: Any) -> None:
        """Count a fault, and note what it was."""
        self.doses[kind] += 1
        self.journal.write("fault", kind=kind, **values)

    def mend(self) -> None:
        """See to it that nothing is left of any fault."""
        for link in self.network.links.values():
            self.network.do(link.heal, reset=False)
        for child in self.children.values():
            child.start()
            child.send(signal.SIGCONT)
        self.store.skew(0)
        self.journal.write("mended")

    def stop(self) -> None:
        """End everything; the journals stay."""
        for name, child in reversed(self.children.items()):
            child.end(signal.SIGINT if name == "postgres" else signal.SIGKILL)

    def _add(self, name: str, command: list[Any], env: dict[str, str]) -> None:
        log = self.folder / "logs" / f"{name}.log"
        words = [str(word) for word in command]
        self.children[name] = Child(name, words, log, self.journal, env=env, cwd=ROOT)
        self.children[name].start()

    def _serve(self, name: str, command: list[Any]) -> None:
        """Run one of the desk's processes, with links of its own."""
        port = self.network.link(f"{name}-db", self.store.socket).port if self.store.socket else None
        redis = self.network.link(f"{name}-redis", self._redis_socket).port
        env = self._env(self.store.url(port, name), f"redis://127.0.0.1:{redis}")
        self._add(name, command, env)

    def _env(self, database: str, redis: str) -> dict[str, str]:
        apps = ["bench.nemesis.shop"]
        apps += ["bench.nemesis.skew"] if self.store.kind == "sqlite" else []
        apps += ["tests.bugs"] if self.plan.bug else []
        env = {name: value for name, value in os.environ.items() if not name.startswith("SAGADESK_")}
        return env | {
            "DJANGO_SETTINGS_MODULE": "sagaproject.settings",
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "SAGADESK_DATA": str(self.folder / "data"),
            "SAGADESK_APPS": ",".join(apps),
            "SAGADESK_LEASE": str(self.plan.lease),
            "SAGADESK_BUG": self.plan.bug or "",
            "SAGADESK_HTTP": json.dumps(self._elsewhere),
            "SAGADESK_CALLBACK_URL": f"http://127.0.0.1:{self.plan.web}",
            "SAGADESK_ALERTS": json.dumps({"pager": {"call": "bench.nemesis.pager.page"}}),
            "SAGADESK_ALERT_AFTER": "1",
            "SAGADESK_ALERT_AGAIN": "20",
            "SAGADESK_DESK_URL": f"http://127.0.0.1:{self.plan.web}",
            "CHAOS_PAGER": str(self.folder / "pager.jsonl"),
            "CHAOS_LEDGER": str(self.plan.ledger),
            "CHAOS_SKEW": str(self.folder / "skew"),
        }

    @property
    def _elsewhere(self) -> dict[str, Any]:
        """What the desk has to know of the participants elsewhere."""
        usual = {"private": True, "reply_within": outpost.TIMEOUT}
        url = "http://127.0.0.1:{}/".format
        return {
            "OutpostService": {"url": url(self.plan.outpost), "secrets": [outpost.SECRET], **usual},
            "CarrierService": {"url": url(self.plan.carrier), "secrets": [CARRIER_SECRET], **usual},
        }

    @property
    def _redis_socket(self) -> Path:
        return self.folder / "redis" / "redis.sock"

    @staticmethod
    def _python(env: dict[str, str], *words: Any) -> str:
        done = subprocess.run(
            [sys.executable, *words], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout


def _daphne(port: int, application: str, options: str = "") -> list[str]:
    words = f"-m daphne --bind 127.0.0.1 --port {port} --verbosity 0 {options}"
    return [sys.executable, *words.split(), application]


def _mount(folder: Path, size: int) -> str | None:
    """Give a folder a small disk of its own, which goes with this process; return why not, if it cannot be."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    options = f"size={size},mode=755".encode()
    if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, options):
        return f"no small disk: {os.strerror(ctypes.get_errno())}"
    return None
