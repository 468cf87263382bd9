"""The demo shop's order form, as a browser sends it."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from participants.opening import seed
from sagas.models import Saga

pytestmark = pytest.mark.django_db(transaction=True)

FORM = {"scenario": "happy", "pace": "0", "count": "1"}


@pytest.fixture
def desk(client: Client, operator: Any) -> Client:
    seed()
    client.force_login(operator)
    return client


def test_one_order_leads_to_its_saga(desk: Client) -> None:
    response = desk.post(reverse("demo-order"), {**FORM, "quantity_TEA-100": "2"})
    saga = Saga.objects.get()
    assert response.headers["Location"] == reverse("saga-detail", args=[saga.pk])
    assert saga.data["items"] == [{"sku": "TEA-100", "quantity": 2}]


def test_many_orders_lead_to_the_list_of_just_these(desk: Client) -> None:
    desk.post(reverse("demo-order"), FORM)
    response = desk.post(reverse("demo-order"), {**FORM, "count": "5"}, follow=True)
    assert len(response.context["rows"]) == 5
    assert "5 orders started" in response.content.decode()


@pytest.mark.parametrize(
    "wrong",
    [
        {"scenario": "nope"},
        {"quantity_TEA-100": "-1"},
        {"quantity_TEA-100": "many"},
        {"count": "0"},
        {"count": "100000"},
        {"pace": "-1"},
        {"pace": "nan"},
        {"shipping_address": "nowhere,"},
        {"payment_method": "card-of-somebody-else"},
    ],
)
def test_what_cannot_be_ordered_is_named_and_starts_nothing(desk: Client, wrong: dict[str, str]) -> None:
    response = desk.post(reverse("demo-order"), {**FORM, **wrong})
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()
    assert not Saga.objects.exists()


def test_every_scenario_is_offered_with_its_end(desk: Client) -> None:
    page = desk.get(reverse("demo-order")).content.decode()
    assert page.count('name="scenario"') >= 9
    assert "compensation failed" in page


def test_only_who_may_start_sagas_may_order(client: Client, db: None) -> None:
    assert client.get(reverse("demo-order")).status_code == 302
    reader = get_user_model().objects.create_user("reader")
    reader.user_permissions.add(Permission.objects.get(codename="view_saga"))
    client.force_login(reader)
    assert client.post(reverse("demo-order"), FORM).status_code == 403
    assert not Saga.objects.exists()
