"""What a plan of PostgreSQL has read, as EXPLAIN (ANALYZE, FORMAT JSON) tells."""

from typing import Any

from sagas.models import Due


def due_rows_read(plan: dict[str, Any]) -> int:
    """Count the rows of due work that a plan has read."""
    inner = sum(due_rows_read(each) for each in plan.get("Plans", []))
    if plan.get("Relation Name") != Due._meta.db_table or plan["Node Type"] in {"ModifyTable", "LockRows"}:
        return inner
    read = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    return int(inner + read * plan.get("Actual Loops", 1))
