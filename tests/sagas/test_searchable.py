"""Sagas are found by their data, where the setting names the path; the database's index answers."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import reverse

from sagas import conf, searchable
from sagas.models import Saga, Token

pytestmark = pytest.mark.django_db(transaction=True)

#: More than PostgreSQL takes into an index, and it cannot be pressed into less.
LONG = "".join(sha256(bytes([place])).hexdigest() for place in range(100))

NAMED = ("order_id", "customer.id", "lines")


@pytest.fixture
def named(settings: Any) -> Iterator[None]:
    """Make these paths searchable, and have the indexes follow."""
    before = settings.SAGAS
    _name(settings, before | {"SEARCHABLE": NAMED})
    yield
    _name(settings, before)


def _name(settings: Any, sagas: dict[str, Any]) -> None:
    settings.SAGAS = sagas
    conf.settings.cache_clear()
    searchable.make_indexes("default")


def _found(path: str, value: str) -> list[str]:
    return [saga.correlation_id for saga in searchable.with_value(Saga.objects.all(), path, value)]


@pytest.mark.parametrize(
    ("data", "path", "value"),
    [
        ({"order_id": "A-1"}, "order_id", "A-1"),
        ({"order_id": 17}, "order_id", "17"),
        ({"customer": {"id": 3}}, "customer.id", "3"),
        ({"order_id": "O'Neill %"}, "order_id", "O'Neill %"),
        ({"order_id": LONG}, "order_id", LONG),
    ],
)
def test_a_saga_is_found_by_a_value_in_its_data(
    named: None, errand: Callable[..., Saga], data: dict[str, Any], path: str, value: str
) -> None:
    wanted = errand(**data)
    errand(order_id="another", customer={"id": 99})
    errand(order_id=LONG + "!")
    errand()
    assert _found(path, value) == [wanted.correlation_id]


def test_a_path_that_nobody_named_is_refused_with_those_that_are(named: None) -> None:
    with pytest.raises(searchable.NotSearchable, match=r"order_id, customer\.id"):
        searchable.with_value(Saga.objects.all(), "secret", "x")


def test_the_index_answers(named: None, errand: Callable[..., Saga]) -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # or the planner knows how small it is, and takes any index
            cursor.execute(f"TRUNCATE {Saga._meta.db_table} CASCADE")
    errand(order_id="A-1")
    sought = searchable.with_value(Saga.objects.order_by("-id"), "order_id", "A-1")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
    try:
        plan = sought.explain()
    finally:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("RESET enable_seqscan; RESET enable_sort")
    assert "saga_data_" in plan


def _indexes() -> set[str]:
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, Saga._meta.db_table)
    return {name for name in constraints if name.startswith("saga_data_")}


def test_migrate_makes_the_indexes_and_drops_those_no_longer_named(settings: Any, named: None) -> None:
    assert len(_indexes()) == len(NAMED)
    settings.SAGAS = settings.SAGAS | {"SEARCHABLE": ["order_id"]}
    conf.settings.cache_clear()
    call_command("migrate", verbosity=0)
    assert len(_indexes()) == 1


def test_the_list_of_the_desk_and_of_the_api_take_the_same_filter(
    client: Client, operator: Any, errand: Callable[..., Saga]
) -> None:
    wanted, other = errand(order_id="A-1"), errand(order_id="A-2")
    client.force_login(operator)
    page = client.get(reverse("saga-list") + "?data.order_id=A-1").content.decode()
    assert str(wanted.pk) in page
    assert str(other.pk) not in page
    bearer = {"Authorization": f"Bearer {Token.issue(operator)}"}
    found = Client().get("/api/v1/sagas?data.order_id=A-1", headers=bearer).json()
    assert [item["id"] for item in found["items"]] == [str(wanted.pk)]


def test_both_say_which_paths_there_are(client: Client, operator: Any) -> None:
    client.force_login(operator)
    page = client.get(reverse("saga-list") + "?data.colour=red").content.decode()
    assert "data.colour is not searchable; there are order_id, customer_id." in page
    bearer = {"Authorization": f"Bearer {Token.issue(operator)}"}
    refused = Client().get("/api/v1/sagas?data.colour=red", headers=bearer)
    assert refused.status_code == 422
    assert refused.json()["field"] == "data.colour"
