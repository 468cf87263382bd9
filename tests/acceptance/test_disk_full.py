"""A disk that fills up under real workers: what they did is kept, and all goes on when there is room."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection

from sagas.engine import is_full
from sagas.health import health
from sagas.models import Saga
from tests import servers
from tests.acceptance.conftest import Processes
from tests.acceptance.test_processes import begun, effects, ended, open_gate, start
from tests.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]

SIZE = "24m"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of a few megabytes."""
    folder = servers.short_folder("sagadesk-disk-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)
    folder.rmdir()


@pytest.fixture
def cramped(transactional_db: None, small_disk: Path, processes: Processes) -> Iterator[Path]:
    """The test's database on that disk, for the test and its processes alike."""
    usual = connection.settings_dict["NAME"]
    if settings.ON_POSTGRES:
        # Or what earlier tests deleted leaves room in the tables themselves.
        with connection.cursor() as cursor:
            cursor.execute("VACUUM FULL")
    connection.close()
    if settings.ON_POSTGRES:
        _on_postgres(f"CREATE TABLESPACE small LOCATION '{_owned(small_disk)}'")
        _on_postgres(f"CREATE DATABASE cramped TEMPLATE {usual} TABLESPACE small")
        connection.settings_dict["NAME"] = "cramped"
    else:
        connection.settings_dict["NAME"] = shutil.copy(usual, small_disk)
    yield small_disk
    processes.end()
    connection.close()
    connection.settings_dict["NAME"] = usual
    if settings.ON_POSTGRES:
        _on_postgres("DROP DATABASE cramped WITH (FORCE)")
        _on_postgres("DROP TABLESPACE small")


def _on_postgres(statement: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(statement)


def _owned(folder: Path) -> Path:
    inside = folder / "tables"
    inside.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o755)
        shutil.chown(inside, servers.POSTGRES_USER)
    return inside


def fill(disk: Path) -> Path:
    """Fill the disk to the last byte, and the database's own pages too."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(OperationalError) as refused:
        start_many(5000)
    assert is_full(refused.value)
    connection.close()
    return ballast


def start_many(count: int) -> None:
    for _ in range(count):
        start()


def test_a_full_disk_is_survived(cramped: Path, processes: Processes) -> None:
    worker, clock = processes.start("worker"), processes.start("clock")
    assert ended(start()) == "completed"
    running = [start(gate="gate") for _ in range(30)]  # what they will say does not fit into a page or two
    until(lambda: begun() >= 30, 60)
    ballast = fill(cramped)
    open_gate(processes)
    until(lambda: health()["full"], 60)
    until(lambda: "no room left" in processes.logs())
    ballast.unlink()
    assert {ended(saga, 60) for saga in running} == {"completed"}
    until(lambda: not Saga.objects.active().exists(), 120)
    until(lambda: not health()["full"])
    assert set(effects().values()) == {1}
    assert (worker.poll(), clock.poll()) == (None, None)
