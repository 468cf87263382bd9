"""Who looks, and when: one of all processes, and a look that fails is not the last."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from sagas.alerts import Watching, watching
from sagas.clock import database_now
from sagas.models import Watch
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_they_take_turns() -> None:
    assert watching.our_turn()
    assert not watching.our_turn()
    Watch.objects.update(looked_at=database_now() - timedelta(seconds=watching.EVERY))
    assert watching.our_turn()
    assert not watching.our_turn()


def test_the_first_look_of_all_is_one_processes() -> None:
    now = database_now()
    assert watching._begin(now)
    assert not watching._begin(now)


def test_a_clock_that_was_set_back_stops_nobody() -> None:
    Watch.objects.create(pk=1, looked_at=database_now() + timedelta(hours=1))
    assert watching.our_turn()


def test_of_many_that_look_at_once_one_does() -> None:
    Watch.objects.create(pk=1, looked_at=database_now() - timedelta(minutes=1))
    ready = threading.Barrier(6)

    def turn(_: int) -> bool:
        try:
            ready.wait(10)
            return watching.our_turn()
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(turn, range(6))) == 1


def test_what_is_due_is_told_though_looking_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr(watching, "EVERY", 0.01)
    monkeypatch.setattr(watching, "our_turn", lambda: True)
    monkeypatch.setattr(watching, "look", lambda: 1 / 0)
    monkeypatch.setattr(watching, "tell", told.set)
    with Watching():
        until(told.is_set)


def test_a_database_that_is_away_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns = []

    def away() -> bool:
        turns.append(1)
        raise OperationalError("gone")

    monkeypatch.setattr(watching, "EVERY", 0.01)
    monkeypatch.setattr(watching, "our_turn", away)
    with Watching():
        until(lambda: len(turns) > 5)
    assert len([r for r in caplog.records if "looking for alerts failed: gone" in r.getMessage()]) == 1


@pytest.mark.parametrize("fault", [OperationalError("gone"), RuntimeError("a mistake")])
def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
    looks = []
    second = threading.Event()

    def look() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise fault
        second.set()

    monkeypatch.setattr(watching, "EVERY", 0.01)
    monkeypatch.setattr(watching, "our_turn", lambda: True)
    monkeypatch.setattr(watching, "look", look)
    with Watching():
        until(second.is_set)
