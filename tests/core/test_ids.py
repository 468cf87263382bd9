"""Ids: they rise, and tell when they were made."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from sagas.core import ids


def test_ids_of_one_process_rise_within_a_millisecond_too() -> None:
    made = [ids.uuid7() for _ in range(5_000)]
    assert made == sorted(set(made))


def test_ids_of_many_threads_are_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: ids.uuid7(), range(5_000)))
    assert len(set(made)) == len(made)


def test_ids_rise_though_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ids.uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert ids.uuid7() > before


def test_an_id_tells_version_variant_and_time() -> None:
    before = datetime.now(UTC).timestamp()
    made = ids.uuid7()
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert abs((made.int >> 80) / 1000 - before) < 60
