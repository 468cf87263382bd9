"""What is watched: a web process as it is deployed, and sagas that are started at a steady rate."""

import itertools
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.engines import driver
from sagaproject.processes import DAPHNE_OPTIONS, free_port

#: Orders come in groups, each durable before the next; one by one, starting would cost more than running does.
GROUP, THREADS = 10, 2


@contextmanager
def web() -> Iterator[tuple[int, int]]:
    """Run the web process; yield its port and its id."""
    port = free_port()
    daphne = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), *DAPHNE_OPTIONS.split()]
    with driver.running([*daphne, "sagaproject.asgi:application"]) as (process,):
        driver.until(lambda: _answers(port), 2)
        yield port, process.pid


def _answers(port: int) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def log_in() -> str:
    """Make an operator with a session; return its cookie."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore

    user = get_user_model().objects.create_superuser("operator", password=None)
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


@contextmanager
def started(rate: float, followed: float) -> Iterator[None]:
    """Start so many order sagas a second, and so many of those that pages follow, until the block ends."""
    from sagas.orchestrator import start_many

    over, ticket = threading.Event(), driver.Ticket()

    def start_group() -> None:
        start_many("BenchOrder", [{"order": ticket(), "variant": "happy"} for _ in range(GROUP)])

    threads = [
        *_steadily(start_group, rate / GROUP, THREADS, over),
        *_steadily(lambda: start_many("Followed", [{}]), followed, 1, over),
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _steadily(call: Any, rate: float, threads: int, over: threading.Event) -> list[threading.Thread]:
    """Return threads that call it at a rate, each call at its time; one that is late does not shift the next."""
    numbers, began = itertools.count(), time.monotonic()

    def serve() -> None:
        while rate and not over.is_set():
            if over.wait(max(0.0, began + next(numbers) / rate - time.monotonic())):
                return
            call()

    return [threading.Thread(target=serve, daemon=True) for _ in range(threads)]


class Spent:
    """Processor time of processes, and of the machine, in seconds."""

    def __init__(self, **pids: int) -> None:
        self.pids = pids
        self.before = self.now()

    def now(self) -> dict[str, float]:
        spent = {name: _seconds(Path(f"/proc/{pid}/stat")) for name, pid in self.pids.items()}
        return spent | {"machine": _busy_seconds()}

    def since(self) -> dict[str, float]:
        """Return what was spent since this was made."""
        return {name: spent - self.before[name] for name, spent in self.now().items()}


def _seconds(stat: Path) -> float:
    words = stat.read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _busy_seconds() -> float:
    """Return the seconds that all processors together were not idle, since the machine started."""
    user, nice, system, _, _, *rest = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return a process's resident memory, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) / 1000
