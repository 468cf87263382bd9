"""A disk that fills up under real workers: what they did is kept, and all goes on when there is room."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from sagas.engine import is_full
from sagas.health import health
from sagas.models import Saga
from tests.acceptance.conftest import Processes
from tests.acceptance.rooms import Room, can_mount, in_a_small_file, on_a_small_disk
from tests.acceptance.test_processes import begun, effects, ended, open_gate, start
from tests.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.django_db(transaction=True)]

#: A real disk where one may be mounted; and everywhere, what the database says when there is no room.
WAYS = ("in a small file", *(["on a small disk"] if can_mount() else []))


@pytest.fixture(params=WAYS)
def cramped(
    request: pytest.FixtureRequest,
    transactional_db: None,
    processes: Processes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Room]:
    """The test's database where there is little room, for the test and its processes alike."""
    small = request.param == "on a small disk"
    with on_a_small_disk() if small else in_a_small_file(tmp_path, monkeypatch) as room:
        yield room
        processes.end()


def fill(room: Room) -> None:
    """Fill it up to the last byte, and the database's own pages too."""
    room.fill()
    with pytest.raises(OperationalError) as refused:
        start_many(5000)
    assert is_full(refused.value)
    connection.close()


def refill() -> bool:
    """Take what room the database has made since by tidying up, or they may find enough for what they have to say."""
    with suppress(OperationalError):
        start_many(200)
    connection.close()
    return health()["full"]


def start_many(count: int) -> None:
    for _ in range(count):
        start()


def test_a_full_disk_is_survived(cramped: Room, processes: Processes) -> None:
    worker, clock = processes.start("worker", SAGADESK_CONCURRENCY="32"), processes.start("clock")
    assert ended(start()) == "completed"
    running = [start(gate="gate") for _ in range(30)]  # what they will say does not fit into a page or two
    until(lambda: begun() >= 30, 60)
    fill(cramped)
    open_gate(processes)
    until(refill, 60)
    until(lambda: "no room left" in processes.logs())
    cramped.free()
    assert {ended(saga, 60) for saga in running} == {"completed"}
    until(lambda: not Saga.objects.active().exists(), 120)
    until(lambda: not health()["full"])
    assert set(effects().values()) == {1}
    assert (worker.poll(), clock.poll()) == (None, None)
