"""Signs of life: who works is known by rows in the database, not by what Redis remembers."""

from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.template.loader import render_to_string

from sagas import bell
from sagas.clock import database_now
from sagas.engine import Life
from sagas.health import health
from sagas.models import Process
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_process_says_that_it_lives_what_it_does_and_that_it_leaves() -> None:
    with Life(Process.WORKER, ["pay", "fetch"]) as life:
        life.busy = lambda: 3
        until(lambda: Process.objects.filter(name=life.name, queues=["fetch", "pay"]).exists())
        bell.connection().flushall()
        assert health()["workers_alive"] == 1
    assert not Process.objects.exists()


def test_a_worker_that_ended_without_a_word_is_missed_until_its_work_is_given_to_another() -> None:
    now = database_now()
    for name, silent, kind in (
        ("busy", 9, Process.WORKER),
        ("killed", 12, Process.WORKER),
        ("long gone", 31, Process.WORKER),
        ("clock", 12, Process.CLOCK),
    ):
        seen = now - timedelta(seconds=silent)
        Process.objects.create(name=name, kind=kind, queues=[], pid=1, started_at=seen, seen_at=seen)
    with mock.patch("sagas.health.database_now", return_value=now):
        looked = health()
    assert [worker["name"] for worker in looked["workers_silent"]] == ["killed"]
    shown = render_to_string("sagas/_processes.html", {"health": looked})
    assert "1 worker</a>" in shown
    assert ">killed has been silent for 12 s: what it held waits</a>" in shown


def test_its_heart_beats_on_when_the_database_was_away(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SAGAS = {"ALIVE": 0.04}
    say, outages = Life._say, iter(range(3))

    def sometimes(life: Life) -> None:
        if next(outages, None) is not None:
            raise OperationalError("the server closed the connection unexpectedly")
        say(life)

    monkeypatch.setattr(Life, "_say", sometimes)
    with Life(Process.CLOCK):
        until(Process.objects.exists)
        first = Process.objects.get().seen_at
        until(lambda: Process.objects.get().seen_at > first)


def test_who_comes_clears_away_who_was_silent_for_an_hour() -> None:
    with Life(Process.CLOCK) as gone:
        until(Process.objects.exists)
        dead = Process.objects.get()
    dead.seen_at = dead.seen_at.replace(year=2000)
    dead.save(force_insert=True)
    with Life(Process.CLOCK) as here:
        until(lambda: Process.objects.filter(name=here.name).exists())
        assert not Process.objects.filter(name=gone.name).exists()
