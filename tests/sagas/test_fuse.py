"""The fuse: a Redis that does not answer is waited for once, and not by everybody."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from redis import Redis
from redis.exceptions import ConnectionError, RedisError

from sagas import fuse, jobs
from sagas.fuse import Fuse
from sagas.live.publish import Publisher

QUIET = 0.02


class Silent:
    """A Redis that takes connections and says nothing, as one behind a broken network does."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=200)
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = 0

    def connect(self) -> Any:
        """Return a client, as a Fuse wants one."""
        redis = Redis.from_url(self.url)
        execute = redis.execute_command

        def counted(*words: Any, **options: Any) -> Any:
            self.asked += 1
            return execute(*words, **options)

        redis.execute_command = counted  # type: ignore[method-assign]
        return redis

    def close(self) -> None:
        """Be gone."""
        self._socket.close()


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    yield made
    made.close()


def ping(redis: Any) -> Any:
    return redis.ping()


def crowd_asks(brief: Fuse, size: int) -> int:
    """Have so many threads ask at once; return how many were refused."""
    refused = []

    def ask() -> None:
        try:
            brief(ping)
        except RedisError as no:
            refused.append(no)

    crowd = [threading.Thread(target=ask) for _ in range(size)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(20)
    return len(refused)


def test_a_redis_that_is_silent_is_asked_once_and_not_by_all(silent: Silent) -> None:
    brief = Fuse(silent.connect, QUIET)
    assert crowd_asks(brief, 1) == 1
    assert crowd_asks(brief, 50) == 50
    assert silent.asked < 5


def test_after_the_rest_one_finds_out_for_all(silent: Silent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "REST", 0.0)
    brief = Fuse(silent.connect, 0.5)
    assert crowd_asks(brief, 1) == 1
    assert crowd_asks(brief, 20) == 20
    assert silent.asked < 10


def test_after_a_rest_it_is_asked_again_and_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "REST", 0.0)
    brief = Fuse(lambda: Redis.from_url(settings.REDIS_URL), 20)

    def broken(_: Any) -> None:
        raise ConnectionError("the line is dead")

    with pytest.raises(ConnectionError):
        brief(broken)
    assert brief(ping)
    assert brief(ping), "and nobody is turned away"


def test_whoever_commits_hardly_waits_for_a_redis_that_is_silent(
    silent: Silent, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = Publisher()
    publisher._brief = Fuse(silent.connect, QUIET)
    monkeypatch.setattr(jobs.bell, "brief", Fuse(silent.connect, QUIET))
    for _ in range(1000):
        jobs._wake(["pay"])
        assert not publisher.publish("x")
    assert silent.asked < 100


def test_a_silence_is_told_once_when_it_lasts_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fuse, "REST", 0.0)
    monkeypatch.setattr(fuse, "LONGEST_REST", 0.0)
    brief = Fuse(lambda: Redis.from_url(settings.REDIS_URL), 20)

    def broken(_: Any) -> None:
        raise ConnectionError("the line is dead")

    def told(ask: Any) -> list[str]:
        caplog.clear()
        with contextlib.suppress(ConnectionError):
            brief(ask)
        return [record.getMessage() for record in caplog.records]

    with caplog.at_level("INFO", "sagas.fuse"):
        assert told(broken) == told(broken) == [], "whoever ends now has lost nothing"
        brief._failing_since -= fuse.WORTH_TELLING
        assert told(broken) == ["Redis has not answered for 5 s: the line is dead"]
        assert told(broken) == []
        assert told(ping) == ["Redis answers again"]
        assert told(broken) == told(ping) == []
