"""What every engine of a run shares: one PostgreSQL with its default durability, one Redis, one folder."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from redis import Redis

from tests import servers

ROOT = Path(__file__).resolve().parent.parent
#: A migrated database, of which Sagadesk gets a copy in each round.
TEMPLATE = "sagadesk_template"


@dataclass(frozen=True)
class Servers:
    """The servers that run, and the folder that they and the engines write to."""

    folder: Path
    redis: str

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return servers.postgres_url(self.folder / "postgres", database)

    @contextmanager
    def fresh(self, name: str, *, kind: str, migrated: bool) -> Iterator[tuple[str, Path]]:
        """Yield a new database's URL and a new folder; Redis is empty. Both are gone afterwards."""
        Redis.from_url(self.redis).flushall()
        folder = self.folder / name
        folder.mkdir()
        try:
            if kind == "postgres":
                template = TEMPLATE if migrated else "template0"
                self._sql(f"CREATE DATABASE {name} TEMPLATE {template}", "CHECKPOINT")
                yield self.url(name), folder
                self._sql(f"DROP DATABASE {name} WITH (FORCE)")
                return
            if kind == "sqlite" and migrated:
                shutil.copy(self.folder / "template.sqlite3", folder / "db.sqlite3")
            yield f"sqlite:///{folder}/db.sqlite3" if kind == "sqlite" else "", folder
        finally:
            shutil.rmtree(folder)

    def migrate(self) -> None:
        """Make the databases that copies are taken of."""
        self._sql(f"CREATE DATABASE {TEMPLATE}")
        for url in (self.url(TEMPLATE), f"sqlite:///{self.folder}/template.sqlite3"):
            env = os.environ | {
                "DATABASE_URL": url,
                "SAGADESK_DATA": str(self.folder),
                "REDIS_URL": self.redis,
            }
            subprocess.run([sys.executable, ROOT / "manage.py", "migrate", "-v0"], env=env, check=True)

    def _sql(self, *statements: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def server_version(self) -> str:
        """Tell which PostgreSQL this is, and how durable."""
        with psycopg.connect(self.url("postgres")) as connection:
            version, *durable = (
                connection.execute(f"SHOW {name}").fetchone()[0]
                for name in ("server_version", "fsync", "synchronous_commit")
            )
        return f"PostgreSQL {version.split()[0]}, fsync {durable[0]}, synchronous_commit {durable[1]}"


@contextmanager
def running(address: str | None = None) -> Iterator[Servers]:
    """Run the servers until the block ends; then nothing is left of them. They serve an address if it is given."""
    folder = servers.short_folder("sagadesk-bench-")
    try:
        with ExitStack() as stack:
            for name in ("redis", "postgres"):
                (folder / name).mkdir()
            redis = stack.enter_context(servers.redis(folder / "redis", address=address))
            stack.enter_context(servers.postgres(folder / "postgres", durable=True, address=address))
            yield Servers(folder, redis)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def syncs_per_second(folder: Path, seconds: float = 1.0) -> float:
    """Measure how often the disk takes 8 KiB for good: nothing durable is faster without sharing a write."""
    file = os.open(folder / "sync", os.O_CREAT | os.O_WRONLY)
    count, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        os.pwrite(file, bytes(8192), 0)
        os.fdatasync(file)
        count += 1
    os.close(file)
    return count / seconds
