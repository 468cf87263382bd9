"""The order page: who may open it, and what it starts."""

from typing import Any

import pytest
from django.urls import reverse

from participants.models import Product
from sagas.models import Saga

pytestmark = pytest.mark.django_db

PAGE = "demo-order"


def test_only_those_who_may_start_sagas_see_it(client: Any, django_user_model: Any) -> None:
    assert client.get(reverse(PAGE)).status_code == 302
    client.force_login(django_user_model.objects.create_user("visitor"))
    assert client.get(reverse(PAGE)).status_code == 403
    assert client.post(reverse(PAGE), {"scenario": "happy"}).status_code == 403
    assert not Saga.objects.exists()


def test_opening_it_changes_nothing(admin_client: Any) -> None:
    assert admin_client.get(reverse(PAGE)).status_code == 200
    assert not Product.objects.exists()


def test_one_order_leads_to_its_saga(shop: None, admin_client: Any) -> None:
    chosen = {"scenario": "card_declined", "pace": "0", "count": "1", "quantity_MUG-RED": "1"}
    answer = admin_client.post(reverse(PAGE), chosen)
    saga = Saga.objects.get()
    assert answer.status_code == 302
    assert str(saga.pk) in answer["Location"]
    assert saga.data["items"] == [{"sku": "MUG-RED", "quantity": 1}]


def test_many_orders_lead_to_the_list_of_them(shop: None, admin_client: Any) -> None:
    answer = admin_client.post(reverse(PAGE), {"scenario": "happy", "pace": "0", "count": "3"})
    assert Saga.objects.count() == 3
    batch = Saga.objects.first().correlation_id.rpartition("-")[0]
    assert f"correlation={batch}-" in answer["Location"]


def test_a_wrong_order_is_told_and_starts_nothing(shop: None, admin_client: Any) -> None:
    answer = admin_client.post(reverse(PAGE), {"scenario": "nope", "pace": "-1", "count": "0"})
    assert answer.status_code == 422
    assert not Saga.objects.exists()
