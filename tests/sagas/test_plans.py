"""Plans are kept: one that was made while next to nothing was due must do when a hundred thousand rows wait."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from sagas import rows, worker
from sagas.models import Due, Saga
from sagas.orchestrator import loading
from tests.sagas.plans import due_rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.only_on("postgresql")]

#: How much comes to wait, once the statement is planned.
CROWD = 2_000


def _written(change: Callable[[rows.Batch, int], None]) -> Callable[[Due], tuple[str, list[Any]]]:
    """Return what makes the statement, and its parameters, that changes a row."""

    def statement(due: Due) -> tuple[str, list[Any]]:
        batch = rows.Batch(Due)
        change(batch, due.pk)
        (part,) = batch._parts
        expected = [1] if part.exact else []
        return rows._together((part.kind,), connection.alias), [*part.documents, *expected]

    return statement


def _locked(due: Due) -> tuple[str, list[Any]]:
    return loading._LOCK, [rows.array([due.saga_id])] * 2


STATEMENTS = {
    "updated": _written(lambda batch, pk: batch.update(Due, ("id",), ("error",), [(pk, "none")])),
    "deleted": _written(lambda batch, pk: batch.delete(Due, "id", [pk])),
    "locked": _locked,
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_statement_that_was_planned_for_a_few_rows_reads_no_others(statement: Any, errand: Any) -> None:
    due = Due.objects.get(saga=errand())
    sql, parameters = statement(due)
    numbers = iter(range(1, 10))
    with connection.cursor() as cursor:
        cursor.execute(worker._PLANNER)
        cursor.execute(f"ANALYZE {Due._meta.db_table}")
        cursor.execute(f"PREPARE kept AS {re.sub('%s', lambda _: f'${next(numbers)}', sql)}")
        execution = f"EXECUTE kept ({', '.join(['%s'] * len(parameters))})"
        cursor.execute(f"EXPLAIN {execution}", parameters)
        _come_to_wait(errand(), due)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {execution}", parameters)
        (found,) = cursor.fetchone()
        cursor.execute("DEALLOCATE kept")
    assert 1 <= due_rows_read(found[0]["Plan"]) < 10


def _come_to_wait(other: Saga, due: Due) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    Due.objects.bulk_create(
        Due(kind=Due.COMMAND, saga=other, queue=due.queue, due_at=later, name=due.name, step="s", number=n)
        for n in range(100, 100 + CROWD)
    )
