"""The doorbell: who makes work due wakes a worker that listens, or is told that a job has to."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from sagas import bell, jobs
from sagas.soon import Soon
from tests.waiting import until


@pytest.fixture(autouse=True)
def redis() -> Iterator[None]:
    bell.connection().flushall()
    yield
    bell.connection().flushall()


@pytest.fixture
def staying() -> threading.Event:
    return threading.Event()


@pytest.fixture
def heard(staying: threading.Event) -> Iterator[SimpleQueue[str]]:
    """What a worker for two queues hears while it stays."""
    rung: SimpleQueue[str] = SimpleQueue()
    listener = bell.Listener(["pay", "post"], staying, lambda: rung.put("rung"))
    yield rung
    listener.close()
    staying.clear()


def listens() -> bool:
    return bool(bell.connection().exists("sagadesk:listens:pay"))


def test_where_nobody_listens_a_job_is_asked_for_and_only_once() -> None:
    assert bell.ring(["pay", "post"]) == ["pay", "post"]
    assert bell.ring(["pay", "post"]) == []
    bell.answer("post")
    assert bell.ring(["pay", "post"]) == ["post"]
    assert bell.ring([]) == []


def test_who_listens_hears_and_may_be_rung_for_again(
    heard: SimpleQueue[str], staying: threading.Event
) -> None:
    staying.set()
    until(listens)
    for _ in range(3):
        assert bell.ring(["pay"]) == []
        assert heard.get(timeout=20) == "rung"
        until(lambda: not bell.connection().exists("sagadesk:bell:pay"))
    assert bell.ring(["nobody"]) == ["nobody"], "it does not listen for others"


def test_who_does_not_stay_does_not_listen(heard: SimpleQueue[str]) -> None:
    assert not listens()
    assert bell.ring(["pay"]) == ["pay"]


def test_a_burst_goes_out_as_one_and_nothing_of_it_is_lost() -> None:
    gate, told = threading.Event(), SimpleQueue[dict[str, int]]()

    def act(values: dict[str, int]) -> None:
        told.put(values)
        gate.wait(20)

    soon: Soon[str] = Soon(0.05, act)
    threading.Thread(target=soon.add, args=({"a": 1},)).start()
    assert told.get(timeout=20) == {"a": 1}, "the first at once"
    for version in (2, 4, 3):
        soon.add({"a": version, f"b{version}": 1})
    gate.set()
    assert told.get(timeout=20) == {"a": 4, "b2": 1, "b4": 1, "b3": 1}
    assert told.empty()


@pytest.mark.django_db(transaction=True)
def test_what_nobody_was_told_of_is_rung_for_when_the_clock_looks(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: Soon[Any] = Soon(0, lambda _: None)
    monkeypatch.setattr(jobs, "_soon", lost)
    errand()
    nudges = jobs.queue("fetch", bell.connection())
    assert nudges.count == 0
    assert jobs.ring_for_due() == 1
    assert nudges.count == 1
