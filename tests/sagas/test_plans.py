"""Plans are kept: one that was made while next to nothing was due must do when a hundred thousand rows wait."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection

from sagas import rows
from sagas.engine import claims
from sagas.engine.planner import PLANNER
from sagas.models import Due, Saga
from sagas.orchestrator import loading
from tests.sagas.plans import due_rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]

#: How much comes to wait, once the statement is planned.
CROWD = 2_000


def _update(dues: Sequence[Due]) -> None:
    batch = rows.Batch(Due)
    batch.update(Due, ("id",), ("error", "attempt"), [(due.pk, "none", n) for n, due in enumerate(dues)])
    batch.write()


def _delete(dues: Sequence[Due]) -> None:
    batch = rows.Batch(Due)
    batch.delete(Due, "id", [due.pk for due in dues])
    batch.write()


#: What a worker does with the rows of a few sagas.
DONE: dict[str, Callable[[Sequence[Due]], Any]] = {
    "one updated": lambda dues: _update(dues[:1]),
    "many updated": _update,
    "deleted": _delete,
    "locked": lambda dues: loading.lock([due.saga_id for due in dues]),
    "looked at": lambda dues: loading.due_of([due.saga_id for due in dues]),
    "claimed": lambda dues: claims.claim([dues[0].queue], len(dues), "me"),
}


@pytest.mark.parametrize("do", DONE.values(), ids=DONE)
def test_what_was_planned_for_a_few_rows_reads_no_others(
    do: Callable[[Sequence[Due]], Any], errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (alone,) = _dues(errand, 1)
    sql, parameters = _sent(lambda: do([alone] * rows.MANY), monkeypatch)
    numbers = iter(range(1, 10))
    with connection.cursor() as cursor:
        cursor.execute(PLANNER)
        cursor.execute(f"ANALYZE {Due._meta.db_table}")
        cursor.execute(f"PREPARE kept AS {re.sub('%s', lambda _: f'${next(numbers)}', sql)}")
        execution = f"EXECUTE kept ({', '.join(['%s'] * len(parameters))})"
        cursor.execute(f"EXPLAIN {execution}", parameters)
        _come_to_wait(errand(), alone.queue)
        latest = _dues(errand, rows.MANY)  # in the order of keys they stand behind all that waits
        _, parameters = _sent(lambda: do(latest), monkeypatch)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {execution}", parameters)
        (found,) = cursor.fetchone()
        cursor.execute("DEALLOCATE kept")
    assert 1 <= due_rows_read(found[0]["Plan"]) <= 5 * rows.MANY


def _dues(errand: Any, count: int) -> list[Due]:
    """Begin some sagas; return what is due of them."""
    return list(Due.objects.filter(saga__in=[errand().pk for _ in range(count)]).order_by("pk"))


class _Told(Exception):
    """Instead of being executed, a statement is told, with its parameters."""


def _sent(do: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> tuple[str, list[Any]]:
    """Return the statement that a function would send, and its parameters."""

    def tell(sql: str, parameters: Any = ()) -> None:
        raise _Told(sql, list(parameters))

    @contextmanager
    def telling(connection: Any) -> Iterator[Any]:
        yield SimpleNamespace(execute=tell)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(rows, "prepared", telling)
        with pytest.raises(_Told) as told:
            do()
    sql, parameters = told.value.args
    return sql, parameters


def _come_to_wait(saga: Saga, queue: str) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    Due.objects.bulk_create(
        Due(kind=Due.COMMAND, saga=saga, queue=queue, due_at=later, name="Wait", step="s", number=n)
        for n in range(100, 100 + CROWD)
    )
