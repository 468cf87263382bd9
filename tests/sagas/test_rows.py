"""Rows by the hundred: what is written together is what was told, whatever the rows share."""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from sagas.models import Event
from sagas.rows import MANY, Batch, Stale, select

pytestmark = pytest.mark.django_db

COLUMNS = ("saga_id", "sequence", "version", "type", "step", "data", "at")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
#: What is told of each of these rows; what all share, what none does, and what is nothing in some or in all.
ROWS = [(number, 7, "Told", step, data, NOON) for number, (step, data) in enumerate(
    [("a", {"n": 1}), (None, {"n": True}), ("a", {"n": 1.0}), ("b", {"n": None}), ("a", {}), (None, {"n": 1})] * 2, 100
)]  # fmt: skip
#: Equal to Python, and not the same.
ALIKE = [(100 + n, 7, "Told", None, {"n": one}, NOON) for n, one in enumerate([1, True, 1.0] * MANY)]


def write(saga_id: Any, told: list[tuple[Any, ...]]) -> None:
    batch = Batch(Event)
    batch.insert(Event, COLUMNS, [(saga_id, *row) for row in told])
    batch.write()


def read(saga_id: Any) -> list[tuple[Any, ...]]:
    found = Event.objects.filter(saga_id=saga_id, sequence__gte=100).order_by("sequence")
    return list(found.values_list(*COLUMNS[1:]))


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS[: MANY - 1], ROWS[:MANY], ROWS, ALIKE], ids=len)
def test_rows_are_inserted_as_they_were_told(rows: list[Any], errand: Any) -> None:
    saga = errand()
    write(saga.pk, rows)
    assert repr(read(saga.pk)) == repr(rows), "true is not 1"


@pytest.mark.parametrize("rows", [ROWS[:1], ROWS], ids=len)
def test_what_is_asked_of_new_rows_is_told(rows: list[Any], errand: Any) -> None:
    saga, batch = errand(), Batch(Event)
    told = ("id", "saga_id", "sequence", "step", "data", "at")
    found = batch.insert(Event, COLUMNS, [(saga.pk, *row) for row in rows], told)
    nothing = batch.insert(Event, COLUMNS, [], told)
    batch.insert(Event, COLUMNS, [(saga.pk, 99, *rows[0][1:])])
    batch.write()
    there = Event.objects.filter(saga_id=saga.pk, sequence__gte=100).values_list(*told)
    assert sorted(map(repr, found)) == sorted(map(repr, there))
    assert not nothing


@pytest.mark.parametrize("step", [None, "z"])
def test_rows_are_updated_as_they_were_told(step: str | None, errand: Any) -> None:
    saga = errand()
    write(saga.pk, ROWS)
    ids = dict(Event.objects.filter(saga_id=saga.pk).values_list("sequence", "id"))
    later, batch = NOON + timedelta(seconds=1), Batch(Event)
    told = [(ids[number], version, step, {"was": version}, later) for number, version, *_ in ROWS]
    batch.update(Event, ("id", "version"), ("step", "data", "at"), told)
    batch.write()
    assert read(saga.pk) == [(n, v, kind, step, {"was": v}, later) for n, v, kind, *_ in ROWS]


def test_of_many_rows_none_is_updated_if_one_was_moved(errand: Any) -> None:
    saga = errand()
    write(saga.pk, ROWS)
    ids = dict(Event.objects.filter(saga_id=saga.pk).values_list("sequence", "id"))
    batch = Batch(Event)
    told = [(ids[number], version + (number == 105), "z") for number, version, *_ in ROWS]
    batch.update(Event, ("id", "version"), ("step",), told)
    with pytest.raises(Stale), transaction.atomic():
        batch.write()
    assert read(saga.pk) == ROWS


def test_what_is_read_after_a_connection_was_closed_comes_over_another() -> None:
    found: list[Any] = []

    def look() -> None:
        for _ in range(2):
            found.append(select(Event, ("id",), "id", [1], "id"))
            connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [[], []]
