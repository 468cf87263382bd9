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
from ipaddress import ip_network
from pathlib import Path

import psycopg

from sagaproject.processes import die_with, redis_command

#: PostgreSQL refuses to run as root; Debian's package brings this user.
POSTGRES_USER = "postgres"
#: Where they listen if they are given an address: their usual ports.
POSTGRES_PORT, REDIS_PORT = 5432, 6379

#: A server that need not survive a power cut waits for no disk, and writes no more than it must.
CARELESS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
)


@contextlib.contextmanager
def redis(folder: Path, *, address: str | None = None) -> Iterator[str]:
    """Run Redis on a unix socket in this folder, and at an address where others reach it; yield the socket's URL."""
    path = folder / "redis.sock"
    reached = ["--bind", address, "--port", str(REDIS_PORT), "--protected-mode", "no"] if address else []
    with _running([*redis_command(Path(sys.prefix), path), *reached], log=folder / "redis.log"):
        _wait(lambda: _listens(path), folder / "redis.log")
        yield redis_url(folder)


def redis_url(folder: Path) -> str:
    return f"unix://{folder / 'redis.sock'}"


@contextlib.contextmanager
def postgres(folder: Path, *, durable: bool = False, address: str | None = None) -> Iterator[str]:
    """Make a cluster in this folder and run it on a unix socket; yield the URL of its database.

    With an address it serves that too, and whoever comes from the same subnet of 256.
    """
    make_cluster(folder)
    if address:
        with open(folder / "data" / "pg_hba.conf", "a") as allowed:
            allowed.write(f"host all all {ip_network(f'{address}/24', strict=False)} trust\n")
    with running_cluster(folder, durable=durable, address=address) as url:
        yield url


def make_cluster(folder: Path) -> None:
    """Make a PostgreSQL cluster in this folder."""
    user = _postgres_user()
    if user:
        shutil.chown(folder, user)
    initdb = [
        binary("initdb"),
        "--pgdata",
        folder / "data",
        "--username",
        "sagadesk",
        "--auth",
        "trust",
        "--encoding",
        "UTF8",
    ]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*initdb, "--no-sync", "--locale", "C.UTF-8"], user=user, **quiet)


@contextlib.contextmanager
def running_cluster(folder: Path, *, durable: bool = False, address: str | None = None) -> Iterator[str]:
    """Run the cluster in this folder; yield the URL of its database.

    Tests need not survive a power cut, so it does not wait for the disk, unless it is to be durable.
    """
    log = folder / "postgres.log"
    server = [binary("postgres"), "-D", folder / "data", "-k", folder]
    durability = [] if durable else [word for setting in CARELESS for word in ("-c", setting)]
    options = ["-c", "max_connections=200", "-c", f"listen_addresses={address or ''}"]
    command = [*server, *durability, *options]
    # SIGTERM would wait for each client to leave.
    with _running(command, log=log, stop=signal.SIGINT, user=_postgres_user(), cwd=folder):
        _wait(lambda: _serves(postgres_url(folder)), log)
        yield postgres_url(folder)


def _postgres_user() -> str | None:
    return POSTGRES_USER if os.geteuid() == 0 else None


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


def binary(name: str) -> str:
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


def _wait(condition: Callable[[], bool], log: Path, within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"the server did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)
