"""The database of a run, and what can be done to it from outside."""

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import psycopg

from bench.nemesis.children import Child
from bench.nemesis.journal import Journal
from tests import servers
from tests.waiting import until

#: Where the database lies, on a disk of its own if there can be one.
STORE = Path("disk", "store")
#: Of PostgreSQL: what docs/deploying.md asks for, and few enough to use up.
CONNECTIONS = 200
#: Bytes that the database's disk holds, where it may be filled.
DISK = 3 * 1024**3
#: The functions by which SQL asks for the time, moved by what a table says.
SKEW = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.skew (seconds double precision NOT NULL);
INSERT INTO chaos.skew VALUES (0);
"""
CLOCKS = {
    "now": "STABLE",
    "transaction_timestamp": "STABLE",
    "statement_timestamp": "STABLE",
    "clock_timestamp": "VOLATILE",
}
CLOCK = """
CREATE FUNCTION chaos.{name}() RETURNS timestamptz LANGUAGE sql {kind} AS
$$ SELECT pg_catalog.{name}() + (SELECT seconds FROM chaos.skew) * interval '1 second' $$;
"""
OPEN = """
GRANT USAGE ON SCHEMA chaos TO desk; GRANT SELECT ON chaos.skew TO desk;
ALTER ROLE desk SET search_path = chaos, pg_catalog, public;
"""


class Store(Protocol):
    """What PostgreSQL and SQLite have in common."""

    kind: str
    server: Child | None
    socket: Path | None
    """Where a server listens, for links to lead to."""

    def start(self) -> None:
        """Make it, and run its server if it has one."""

    def url(self, port: int | None = None, who: str = "") -> str:
        """Return the URL by which the desk's processes reach it, over a link's port if there is one."""

    def back_door(self) -> str:
        """Return where those read it who are no part of the system: a connection string, or a path."""

    def prepare(self) -> None:
        """Once the tables are there: make the clock movable."""

    def skew(self, seconds: float) -> None:
        """Move the clock that its users see."""

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read, past all links and faults."""


class Postgres:
    """A cluster of its own, whose users come by links, and whose nemesis by the back door."""

    kind = "postgres"

    def __init__(self, home: Path, journal: Journal) -> None:
        self.folder, self._home, self._journal = home / STORE, home, journal
        self.server: Child | None = None
        self.socket: Path | None = self.folder / ".s.PGSQL.5432"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        user = servers.POSTGRES_USER if os.geteuid() == 0 else None
        if user:
            shutil.chown(self.folder, user)
        words = [
            "--username",
            "sagadesk",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--no-sync",
            "--locale",
            "C.UTF-8",
        ]
        initdb = [servers.binary("initdb"), "--pgdata", self.folder / "data", *words]
        subprocess.run(initdb, user=user, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        settings = {
            "listen_addresses": "",
            "max_connections": CONNECTIONS,
            "max_wal_size": "256MB",
            "checkpoint_timeout": "60s",
            "log_min_messages": "warning",
            "log_min_error_statement": "panic",  # or what a saga carries is in the log whenever the disk is full
        }
        command = [servers.binary("postgres"), "-D", self.folder / "data", "-k", self.folder]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        log = self._home / "logs" / "postgres.log"
        self.server = Child(
            "postgres", command, log, self._journal, env=dict(os.environ), user=user, cwd=self.folder
        )
        self.server.start()
        until(self.answers, 60)
        self._do("CREATE ROLE desk LOGIN", "CREATE DATABASE desk OWNER desk")

    def url(self, port: int | None = None, who: str = "") -> str:
        if port is None:
            return f"postgresql:///desk?host={self.folder}&user=desk"
        return f"postgresql://desk@127.0.0.1:{port}/desk?application_name={who}"

    def back_door(self) -> str:
        return self._super("desk")

    def prepare(self) -> None:
        functions = "".join(CLOCK.format(name=name, kind=kind) for name, kind in CLOCKS.items())
        self._do(SKEW + functions + OPEN, database="desk")

    def skew(self, seconds: float) -> None:
        self._do(f"UPDATE chaos.skew SET seconds = {float(seconds)}", database="desk")  # noqa: S608 - a number

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.back_door(), autocommit=True, connect_timeout=3) as connection:
            return connection.execute(statement).fetchall()

    def answers(self) -> bool:
        with suppress(psycopg.Error), psycopg.connect(self._super("postgres"), connect_timeout=3):
            return True
        return False

    def stop_at_once(self) -> int:
        """Stop without a checkpoint, as a crash would; return the pid that was."""
        assert self.server is not None
        return self.server.send(signal.SIGQUIT)

    def terminate(self, share: float) -> int:
        """End a share of its users' sessions; return how many."""
        with psycopg.connect(self._super("desk"), autocommit=True) as connection:
            return len(
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE usename = 'desk' AND random() < %s",
                    [share],
                ).fetchall()
            )

    @contextmanager
    def exhausted(self) -> Iterator[int]:
        """Hold every connection that users could have; yield how many that took."""
        held: list[Any] = []
        try:
            with suppress(psycopg.OperationalError):
                while len(held) < CONNECTIONS:
                    held.append(psycopg.connect(f"postgresql:///desk?host={self.folder}&user=desk"))
            yield len(held)
        finally:
            for connection in held:
                connection.close()

    @contextmanager
    def locked(self, share: float) -> Iterator[list[str]]:
        """Keep a share of the sagas under way locked, as a long transaction would; yield which."""
        # Those that somebody has just locked are left out: two who wait for each other are another fault.
        some = (
            "SELECT id FROM sagas_saga WHERE state IN ('started', 'pending', 'compensating') AND random() < %s"
            " ORDER BY id LIMIT 50 FOR NO KEY UPDATE SKIP LOCKED"
        )
        connection, sagas = None, list[str]()
        with suppress(psycopg.OperationalError):  # it is away just now
            connection = psycopg.connect(self._super("desk"))
            sagas = [str(pk) for (pk,) in connection.execute(some, [share]).fetchall()]
        try:
            yield sagas
        finally:
            if connection is not None:
                connection.close()

    def idle_in_transaction(self, who: str) -> int:
        """Count the sessions of one process that have begun a transaction and say nothing."""
        sessions = "SELECT application_name FROM pg_stat_activity WHERE state = 'idle in transaction'"
        return self.rows(sessions).count((who,))

    def _super(self, database: str) -> str:
        return f"postgresql:///{database}?host={self.folder}&user=sagadesk"

    def _do(self, *statements: str, database: str = "postgres") -> None:
        with psycopg.connect(self._super(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]


class Sqlite:
    """A file."""

    kind = "sqlite"
    server: Child | None = None
    socket: Path | None = None

    def __init__(self, home: Path, journal: Journal) -> None:
        self.folder, self._home = home / STORE, home
        self.file = self.folder / "db.sqlite3"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)

    def url(self, port: int | None = None, who: str = "") -> str:
        return "sqlite:///" + quote(str(self.file))

    def back_door(self) -> str:
        return str(self.file)

    def prepare(self) -> None:
        self.skew(0)

    def skew(self, seconds: float) -> None:
        draft = self._home / "skew.new"
        draft.write_text(str(seconds))
        draft.rename(self._home / "skew")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True, timeout=10)
        try:
            return connection.execute(statement).fetchall()
        finally:
            connection.close()


def fill(ballast: Path) -> None:
    """Fill the disk that a file is on to its last byte, with that file."""
    with ballast.open("wb") as file, suppress(OSError):
        while True:
            disk = os.fstatvfs(file.fileno())
            if not disk.f_bavail:
                return
            os.posix_fallocate(file.fileno(), file.tell(), disk.f_bavail * disk.f_frsize)
            file.seek(0, os.SEEK_END)
