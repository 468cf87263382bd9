"""The servers that tests run on: a private Redis, a private PostgreSQL. Both die with the tests, however those end."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from sagaproject.processes import die_with, redis_command

#: PostgreSQL refuses to run as root; Debian's package brings this user.
POSTGRES_USER = "postgres"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run Redis on a unix socket in this folder; yield its URL."""
    path = folder / "redis.sock"
    with _running(redis_command(Path(sys.prefix), path), log=folder / "redis.log"):
        _wait(lambda: _listens(path), folder / "redis.log")
        yield redis_url(folder)


def redis_url(folder: Path) -> str:
    return f"unix://{folder / 'redis.sock'}"


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Make a cluster in this folder and run it on a unix socket; yield the URL of its database."""
    user = POSTGRES_USER if os.geteuid() == 0 else None
    data, log = folder / "data", folder / "postgres.log"
    if user:
        shutil.chown(folder, user)
    initdb = [
        _binary("initdb"),
        "--pgdata",
        data,
        "--username",
        "sagadesk",
        "--auth",
        "trust",
        "--encoding",
        "UTF8",
    ]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*initdb, "--no-sync", "--locale", "C.UTF-8"], user=user, **quiet)
    server = [_binary("postgres"), "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    command = [*server, "-c", "max_connections=200"]
    # SIGTERM would wait for each client to leave.
    with _running(command, log=log, stop=signal.SIGINT, user=user, cwd=folder):
        _wait(lambda: _serves(postgres_url(folder)), log)
        yield postgres_url(folder)


def postgres_url(folder: Path, name: str = "postgres") -> str:
    return f"postgresql:///{name}?host={folder}&user=sagadesk"


def short_folder(prefix: str) -> Path:
    """Make a folder whose path leaves room for a socket's name, and which the user postgres may reach."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    return folder


@contextlib.contextmanager
def _running(command: list, log: Path, stop: int = signal.SIGTERM, **options: object) -> Iterator[None]:
    me = os.getpid()
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for pytest, which needs them for its last words
            preexec_fn=lambda: die_with(me),
            **options,
        )
    try:
        yield
    finally:
        process.send_signal(stop)
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _binary(name: str) -> str:
    """Find it on the path, or where Debian keeps the servers' programs; the newest."""
    found = shutil.which(name) or max(
        map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default=None
    )
    if found is None:
        raise FileNotFoundError(f"{name} is missing: install PostgreSQL (bin/test does)")
    return found


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def _serves(url: str) -> bool:
    """Log in: it listens some time before it serves."""
    with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url):
        return True
    return False


def _answers(url: str) -> bool:
    """Whether PostgreSQL takes queries; it opens its socket before it does."""
    try:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def _wait(condition: Callable[[], bool], log: Path, within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)
