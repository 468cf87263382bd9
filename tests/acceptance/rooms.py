"""Ways to leave a test's database no room: on a disk of its own, or without one, where nobody may mount it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
from django.conf import settings
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from sagas.engine import is_full
from tests import servers
from tests.acceptance.cramped.apps import PAGES, limit

SIZE = "24m"
#: So many pages more than it has may a file of SQLite have.
GROWS = 2_000


class Room(Protocol):
    """A database that can be filled up."""

    def fill(self) -> None:
        """Leave no room."""

    def free(self) -> None:
        """Give room again."""


class Disk:
    """A small disk of its own, filled by a file."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Write until nothing more fits."""
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(b"x" * 4096):
                pass

    def free(self) -> None:
        """Remove what filled it."""
        self._ballast.unlink()


class Limited:
    """A file of SQLite that may not grow, filled by a table."""

    def fill(self) -> None:
        """Write until SQLite itself says that it is full."""
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE ballast (x)")
            try:
                while True:
                    cursor.execute("INSERT INTO ballast VALUES (zeroblob(4000))")
            except OperationalError as fault:
                if not is_full(fault):
                    raise

    def free(self) -> None:
        """Give the pages back to the file."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM ballast")


class Refusing:
    """A database of PostgreSQL that says what it says when its disk is full, to whatever needs room."""

    def fill(self) -> None:
        """Refuse from now on."""
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO ballast VALUES (1)")

    def free(self) -> None:
        """Take what comes."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM ballast")


@contextmanager
def on_a_small_disk() -> Iterator[Room]:
    """Move the test's database to a disk of a few megabytes."""
    folder = servers.short_folder("sagadesk-disk-")
    assert mounted(folder)
    usual = connection.settings_dict["NAME"]
    try:
        if settings.ON_POSTGRES:
            # Or what earlier tests deleted leaves room in the tables themselves.
            with connection.cursor() as cursor:
                cursor.execute("VACUUM FULL")
            with _copied(tablespace=f"'{_owned(folder)}'"):
                yield Disk(folder)
        else:
            connection.close()
            with _at(shutil.copy(usual, folder)):
                yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        folder.rmdir()


@contextmanager
def in_a_small_file(folder: Path, monkeypatch: Any) -> Iterator[Room]:
    """Let the test's database, and its processes', not grow: nothing has to be mounted for that."""
    if settings.ON_POSTGRES:
        with _copied():
            with connection.cursor() as cursor:
                cursor.execute(_REFUSING)
            yield Refusing()
        return
    with connection.cursor() as cursor:
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
    monkeypatch.setenv(PAGES, str(pages + GROWS))
    monkeypatch.setenv(
        "SAGADESK_APPS", f"{os.environ.get('SAGADESK_APPS', '')} tests.acceptance.cramped".strip()
    )
    usual = connection.settings_dict["NAME"]
    connection.close()
    connection_created.connect(limit, dispatch_uid=PAGES)
    try:
        with _at(shutil.copy(usual, folder / "small.sqlite3")):
            yield Limited()
    finally:
        connection_created.disconnect(dispatch_uid=PAGES)


def mounted(folder: Path) -> bool:
    """Mount a small disk there; False where nobody may."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def can_mount() -> bool:
    """Whether a disk can be mounted here."""
    folder = servers.short_folder("sagadesk-disk-")
    found = mounted(folder)
    if found:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    return found


@contextmanager
def _at(name: Any) -> Iterator[None]:
    usual = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = usual


@contextmanager
def _copied(tablespace: str | None = None) -> Iterator[None]:
    """Have the test use a copy of its database, in a place of its own if one is given."""
    usual = connection.settings_dict["NAME"]
    connection.close()
    if tablespace:
        _on_postgres(f"CREATE TABLESPACE small LOCATION {tablespace}")
    _on_postgres(f"CREATE DATABASE cramped TEMPLATE {usual}{' TABLESPACE small' if tablespace else ''}")
    try:
        with _at("cramped"):
            yield
    finally:
        _on_postgres("DROP DATABASE cramped WITH (FORCE)")
        if tablespace:
            _on_postgres("DROP TABLESPACE small")


def _on_postgres(statement: str) -> None:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        server.execute(statement)  # type: ignore[call-overload]


def _owned(folder: Path) -> Path:
    inside = folder / "tables"
    inside.mkdir()
    if os.geteuid() == 0:
        folder.chmod(0o755)
        shutil.chown(inside, servers.POSTGRES_USER)
    return inside


#: Whatever would write a row, or make a table to see whether there is room, is told what a full disk tells.
_REFUSING = """
CREATE TABLE ballast (x int);
CREATE FUNCTION no_room() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM public.ballast) THEN
        RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
    END IF;
END $$;
CREATE FUNCTION refuse_rows() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.no_room(); RETURN NULL;
END $$;
CREATE FUNCTION refuse_tables() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM public.no_room();
END $$;
CREATE EVENT TRIGGER refuse_tables ON ddl_command_start EXECUTE FUNCTION refuse_tables();
DO $$ DECLARE named text; BEGIN
    FOR named IN SELECT format('%I', tablename) FROM pg_tables
            WHERE schemaname = 'public' AND tablename <> 'ballast' LOOP
        EXECUTE 'CREATE TRIGGER refuse_rows BEFORE INSERT OR UPDATE ON public.' || named
            || ' FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_rows()';
    END LOOP;
END $$;
"""
