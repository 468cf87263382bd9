"""Threads of handlers: as many as are wanted, and none that only keeps a connection from others."""

import threading
from threading import Lock
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection

from sagas.engine import slots
from sagas.engine.slots import Slots
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 6


def at_once(pool: Slots) -> list[Any]:
    """Run so many functions at the same time; return the connections that they used."""
    together, used = threading.Barrier(MANY, timeout=30), []

    def work() -> None:
        together.wait()
        connection.ensure_connection()
        used.append(connection._connections[connection._alias])

    ended: list[BaseException | None] = []
    for _ in range(MANY):
        pool.run(work, lambda _, fault: ended.append(fault))
    until(lambda: len(ended) == MANY)
    assert ended == [None] * MANY
    return used


def test_a_thread_without_work_ends_and_lets_its_connection_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SPARE", 0.05)
    pool = Slots(lambda: 64)
    used = at_once(pool)
    until(lambda: pool._threads == 0)
    until(lambda: all(each.connection is None for each in used))
    again = at_once(pool)
    assert pool.busy == 0
    assert not {*map(id, used)} & {*map(id, again)}


def test_a_thread_stays_for_work_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SPARE", 0.0)  # it looks whether it is spare all the time
    pool, ended = Slots(lambda: 64), []
    for _ in range(500):
        pool.run(lambda: None, lambda result, fault: ended.append(fault))
    until(lambda: len(ended) == 500)
    until(lambda: pool._threads == 0)
    assert (pool._resting, pool.busy) == ([], 0)


class Slow:
    """A lock whose waiting is over just as it is released."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.release = self._lock.release

    def acquire(self, timeout: float = -1) -> bool:
        got = self._lock.acquire(timeout=timeout)
        if got and timeout > 0:
            self._lock.release()
        return got and timeout <= 0


def test_a_call_that_comes_just_as_a_thread_gives_up_waiting_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slots, "SPARE", 600.0)
    pool, ended = Slots(lambda: 64), []
    monkeypatch.setattr(slots, "threading", SimpleNamespace(Lock=Slow, Thread=threading.Thread))
    for count in range(1, 4):
        pool.run(lambda: None, lambda result, fault: ended.append(fault))
        until(lambda: len(ended) == count)  # noqa: B023 - it is called before the next round
        until(lambda: len(pool._resting) == pool._threads)


def test_what_waits_is_run_by_the_threads_that_are_there_if_no_more_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, ended, started = Slots(lambda: 64), [], []

    class OneOnly(threading.Thread):
        def start(self) -> None:
            if started:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

    monkeypatch.setattr(slots, "threading", SimpleNamespace(Lock=Lock, Thread=OneOnly))
    for number in range(20):
        pool.run(lambda: None, lambda result, fault, number=number: ended.append(number))
    until(lambda: ended == [*range(20)])
    assert pool.busy == 0


def test_what_no_thread_can_be_had_for_is_refused_and_not_run_later(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, ended = Slots(lambda: 64), []

    class None_(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(slots, "threading", SimpleNamespace(Lock=Lock, Thread=None_))
        with pytest.raises(RuntimeError, match="can't start new thread"):
            pool.run(lambda: None, lambda *_: ended.append("refused"))
    pool.run(lambda: None, lambda *_: ended.append("run"))
    until(lambda: ended)
    until(lambda: not pool.busy)
    assert ended == ["run"]


def test_a_connection_that_a_server_has_ended_is_noticed_without_a_question() -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has no server
    connection.ensure_connection()
    assert not slots._has_news(connection)
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    until(lambda: slots._has_news(connection))
    connection.close()


@pytest.mark.parametrize("change", [{"errors_occurred": True}, {"autocommit": False}, {"close_at": 0.0}])
def test_a_connection_is_not_left_to_the_next_handler_as_it_must_not_find_it(change: dict[str, Any]) -> None:
    left = SimpleNamespace(
        connection=object(),
        errors_occurred=False,
        autocommit=True,
        close_at=None,
        settings_dict={"AUTOCOMMIT": True},
    )
    assert not slots._is_out_of_order(left)
    assert slots._is_out_of_order(SimpleNamespace(**{**vars(left), **change}))
