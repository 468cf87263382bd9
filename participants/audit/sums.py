"""Counts and sums of the rows that belong to each outer row; nothing is zero."""

from typing import Any

from django.db.models import Count, IntegerField, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce


def count(rows: QuerySet[Any, Any], by: str) -> Coalesce:
    """Count the rows of each outer row."""
    return _aggregate(rows, by, Count("pk"))


def total(rows: QuerySet[Any, Any], by: str, column: str) -> Coalesce:
    """Add up a column over the rows of each outer row."""
    return _aggregate(rows, by, Sum(column))


def _aggregate(rows: QuerySet[Any, Any], by: str, function: Any) -> Coalesce:
    grouped = rows.order_by().values(by).annotate(aggregate=function).values("aggregate")
    return Coalesce(Subquery(grouped), 0, output_field=IntegerField())
