"""Counts up to a bound, and parts of a page that are rendered once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext

from sagas.core.words import SagaState
from sagas.counted import Counts
from sagas.dashboard import overview
from sagas.models import Saga

pytestmark = pytest.mark.django_db


def test_several_are_counted_by_one_statement_that_is_made_once(errand: Callable[..., Saga]) -> None:
    made: list[int] = []

    def querysets() -> list[Any]:
        made.append(1)
        sagas = Saga.objects.order_by("created_at")
        return [
            sagas,
            sagas.filter(pk__in=[]),
            sagas.exclude(state=SagaState.FAILED),
            sagas.filter(paused=True),
        ]

    counts = Counts(3, querysets)
    assert counts() == (0, 0, 0, 0)
    for _ in range(2):
        errand()
    with CaptureQueriesContext(connection) as queries:
        assert counts() == (2, 0, 2, 0)
    assert len(queries) == len(made) == 1
    Saga.objects.update(paused=True)
    for _ in range(2):
        errand()
    assert counts() == (3, 0, 3, 2)


def test_the_overview_counts_by_indexes_however_many_sagas_there_are() -> None:
    on_postgres = connection.vendor == "postgresql"
    with CaptureQueriesContext(connection) as queries:
        overview.counts()
    (counted,) = queries
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off" if on_postgres else "SELECT 1")
        cursor.execute(f"EXPLAIN {'' if on_postgres else 'QUERY PLAN'} {counted['sql']}")
        lines = [str(row[-1]) for row in cursor.fetchall()]
    assert [line for line in lines if "Seq Scan on sagas_saga" in line or line == "SCAN sagas_saga"] == []
    assert any("saga_paused" in line for line in lines)


def test_what_is_the_same_on_every_page_is_rendered_once(settings: Any) -> None:
    page = Template("{% load static desk %}{% kept %}{{ word }} {% static 'a.css' %}{% endkept %} {{ word }}")
    assert page.render(Context({"word": "one"})) == "one /static/a.css one"
    assert page.render(Context({"word": "two"})) == "one /static/a.css two"
    settings.STATIC_URL = "/elsewhere/"
    assert page.render(Context({"word": "three"})) == "three /elsewhere/a.css three"
