"""bin/dev and bin/manage, as a person meets them: real processes, in a data folder of the test's own."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from sagaproject.processes import free_port

pytestmark = pytest.mark.acceptance

BIN = settings.BASE_DIR / "bin"
PING = "import django_rq; print(django_rq.get_connection().ping())"
KINDS = {
    "sagaproject.asgi": 1,
    "participants.carrier": 1,
    "saga worker": 2,
    "saga clock": 1,
    "valkey-server": 1,
    "_supervisor.py": 1,
}


class Dev:
    """One bin/dev: started, watched, stopped."""

    def __init__(self, data: Path, port: int, **env: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SAGADESK_")}
        for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            clean.pop(name, None)
        self.data, self.port, self.log = data, port, data.with_suffix(f".{port}.out")
        self.env = {**clean, "SAGADESK_DATA": str(data), "PORT": str(port), **env}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [BIN / "dev"], env=self.env, stdout=log, stderr=subprocess.STDOUT, cwd="/"
            )

    def said(self) -> str:
        return self.log.read_text()

    def until_ready(self) -> None:
        wait(lambda: re.search(r"^ready\b", self.said(), re.M) or self.process.poll() is not None, within=120)
        assert self.process.poll() is None, self.said()

    def ended(self) -> int:
        try:
            return self.process.wait(timeout=30)
        finally:
            self.process.kill()  # it did not end by itself, and must not outlive the test; else this does nothing

    def children(self) -> dict[int, str]:
        """Every process below bin/dev, by pid, with its command line."""
        return {pid: command(pid) for pid in below(self.process.pid)}

    def running(self, kind: str) -> set[int]:
        return {pid for pid, line in self.children().items() if kind in line}

    def manage(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [BIN / "manage", *words], env=self.env, capture_output=True, text=True, check=False
        )


def below(pid: int) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            yield from below(child)


def command(pid: int) -> str:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(condition: Callable[[], object], within: float) -> float:
    """Wait until it holds; return how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within, f"not within {within} s"
        time.sleep(0.05)
    return time.monotonic() - began


@contextlib.contextmanager
def ready(data: Path, **env: str) -> Iterator[Dev]:
    """Start bin/dev; yield it when it is ready; stop it if that is still to do."""
    dev = Dev(data, free_port(), **env)
    try:
        dev.until_ready()
        yield dev
    finally:
        dev.process.terminate()
        dev.ended()


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A bin/dev that the tests share; it must run on after each of them."""
    with ready(tmp_path_factory.mktemp("dev") / "data") as dev:
        yield dev


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dev]:
    """A bin/dev that a test may end."""
    with ready(tmp_path / "data") as dev:
        yield dev


def test_it_says_where_to_go_and_who_may_log_in(dev):
    assert f"http://127.0.0.1:{dev.port}/" in dev.said()
    assert "operator" in dev.said()


def test_whatever_is_killed_comes_back(dev):
    """Three times each: there is no last attempt."""
    for _ in range(3):
        for kind, count in KINDS.items():
            wait(lambda: len(dev.running(kind)) == count, within=5)  # noqa: B023 - called at once
            victims = dev.running(kind)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
            wait(lambda: len(dev.running(kind) - victims) == count, within=5)  # noqa: B023 - called at once


def test_ctrl_c_leaves_nothing_but_the_data(own):
    children = own.children()
    own.process.send_signal(signal.SIGINT)
    assert own.ended() == 0
    assert not [line for pid, line in children.items() if alive(pid)]
    assert not list(own.data.rglob("*.sock"))
    assert (own.data / "db.sqlite3").exists()


def test_nothing_outlives_it_when_it_is_killed(own):
    children = own.children()
    own.process.kill()
    wait(lambda: not any(map(alive, children)), within=5)


def test_a_taken_port_is_named(dev, tmp_path):
    wait(lambda: listens(dev.port), within=30)  # another test may have killed it just now
    other = Dev(tmp_path / "data", dev.port)
    assert other.ended() == 1
    assert re.search(rf"{dev.port}.*PORT=", other.said())


def test_two_never_share_a_data_folder(dev):
    other = Dev(dev.data, free_port())
    assert other.ended() == 1
    assert "SAGADESK_DATA" in other.said()
    wait(
        lambda: len(dev.running("sagaproject.asgi")) == 1, within=30
    )  # another test may have killed it just now


def test_it_runs_on_a_database_of_your_own(tmp_path, postgres_server):
    with ready(tmp_path / "data", DATABASE_URL=postgres_server) as dev:
        assert "postgresql" in dev.said()
        assert not (dev.data / "db.sqlite3").exists()


@pytest.mark.parametrize("folder", ["/".join(["deep" * 10] * 3), "with a = blank, 50%off"])
def test_a_data_folder_may_lie_where_a_socket_may_not(tmp_path, folder):
    """A unix socket's path is limited to about a hundred bytes, and RQ cannot read a blank in it."""
    with ready(tmp_path / folder / "data") as dev:
        assert dev.manage("shell", "-v0", "-c", PING).stdout == "True\n"
        order = dev.manage("demo", "order").stdout.strip()
        shown = ("saga", "show", order, "--json")
        wait(lambda: json.loads(dev.manage(*shown).stdout)["state"] == "completed", within=60)


def test_manage_meets_it_at_the_same_redis_and_database(dev):
    assert dev.manage("shell", "-v0", "-c", PING).stdout == "True\n"
    path = "from django.db import connection; print(connection.settings_dict['NAME'])"
    assert dev.manage("shell", "-v0", "-c", path).stdout.strip() == str(dev.data / "db.sqlite3")


def test_data_survives_and_a_given_password_is_set(own):
    own.manage(
        "shell", "-v0", "-c", "from django.contrib.auth.models import User as U; U(username='ann').save()"
    )
    own.process.terminate()
    own.ended()
    with ready(own.data, SAGADESK_OPERATOR_PASSWORD="as given here") as again:
        login = (
            "from django.contrib.auth import authenticate as a;"
            " print(a(username='operator', password='{0}'), a(username='manager1', password='{0}'))"
        )
        assert (
            again.manage("shell", "-v0", "-c", login.format("as given here")).stdout == "operator manager1\n"
        )
        names = "from django.contrib.auth.models import User as U; print(U.objects.filter(username='ann').exists())"
        assert again.manage("shell", "-v0", "-c", names).stdout == "True\n"


@pytest.mark.parametrize(("folder", "why"), [("file", "it is a file"), ("file/below", "Not a directory")])
def test_a_data_folder_that_is_none_is_told_in_a_sentence(tmp_path, folder, why):
    (tmp_path / "file").touch()
    dev = Dev(tmp_path / "log", free_port(), SAGADESK_DATA=str(tmp_path / folder))
    assert dev.ended() == 1
    managed = dev.manage("saga", "list")
    checked = dev.manage("check")
    for said in (dev.said(), managed.stderr, checked.stderr):
        assert "Traceback" not in said
        assert f"{tmp_path / folder} cannot be the data folder: " in said
        assert why in said


def test_an_app_that_is_not_there_is_named(tmp_path):
    dev = Dev(tmp_path / "data", free_port(), SAGADESK_APPS="nowhere_to_be_found")
    assert dev.ended() == 1
    assert "SAGADESK_APPS names nowhere_to_be_found" in dev.said()
    assert "Traceback" not in dev.said()


def test_a_saga_that_could_not_run_is_refused_before_anything_starts(tmp_path):
    (tmp_path / "badsaga").mkdir()
    (tmp_path / "badsaga" / "models.py").write_text(
        "from django.db import models\nclass Thing(models.Model):\n    name = models.TextField()\n"
    )
    (tmp_path / "badsaga" / "sagas.py").write_text(
        "from sagas import SagaOrchestrator, SagaStep\n"
        "class Bad(SagaOrchestrator):\n"
        "    saga_type = 'Bad'\n"
        "    def define_steps(self, data):\n"
        "        return [SagaStep(name='a', action='Nobody.Does', needs=('b',))]\n"
    )
    dev = Dev(tmp_path / "data", free_port(), SAGADESK_APPS="badsaga", PYTHONPATH=str(tmp_path))
    assert dev.ended() == 1
    assert "a needs b" in dev.said()
    assert "Traceback" not in dev.said()
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "db.sqlite3")) as database:
        assert database.execute("SELECT count(*) FROM badsaga_thing").fetchall() == [
            (0,)
        ]  # without migrations


def test_an_app_that_cannot_be_imported_is_told_by_its_own_lines_only(tmp_path):
    (tmp_path / "badimport").mkdir()
    (tmp_path / "badimport" / "sagas.py").write_text("import nowhere_to_be_found\n")
    dev = Dev(tmp_path / "data", free_port(), SAGADESK_APPS="badimport", PYTHONPATH=str(tmp_path))
    assert dev.ended() == 1
    assert "ModuleNotFoundError: No module named 'nowhere_to_be_found'" in dev.said()
    assert [line for line in dev.said().splitlines() if line.startswith("  File ")] == [
        f'  File "{tmp_path}/badimport/sagas.py", line 1, in <module>'
    ]
