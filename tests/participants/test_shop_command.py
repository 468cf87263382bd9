"""``manage.py demo``, and the form that does the same in a browser."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from participants import opening
from participants.audit import audit
from participants.forms import OrderForm
from participants.forms.order import ChoreographyForm
from participants.management.commands.demo import Command
from participants.models import InventoryInbox, Product
from participants.opening import books
from participants.scenarios.order import SCENARIOS
from sagas.engine import claims
from sagas.models import Saga

pytestmark = pytest.mark.django_db


def test_orders_are_printed_an_id_a_line(capsys: Any) -> None:
    call_command("demo", "order", "--scenario", "card_declined", "-n", "30", "--pace", "0.5")
    printed = capsys.readouterr().out.split()
    assert sorted(printed) == sorted(str(pk) for pk in Saga.objects.values_list("pk", flat=True))
    assert len(printed) == 30
    assert Saga.objects.first().data["demo"] == {"scenario": "card_declined", "pace": 0.5}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scenario", "nope"], "there is no scenario 'nope'; there are happy, out_of_stock"),
        (["-n", "0"], "must be a whole number above 0"),
        (["-n", "-3"], "must be a whole number above 0"),
        (["-n", "many"], "must be a whole number above 0"),
        (["--pace", "-1"], "must be seconds from 0 to 60"),
        (["--pace", "nan"], "must be seconds from 0 to 60"),
        (["--pace", "slow"], "must be seconds from 0 to 60"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_is_good(words: list[str], told: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        Command().run_from_argv(["manage.py", "demo", "order", *words])
    assert end.value.code == 2
    assert told in capsys.readouterr().err
    assert not Saga.objects.exists()


def test_scenarios_are_listed_for_programs(capsys: Any) -> None:
    call_command("demo", "scenarios", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert {
        "name": "hold_for_operator",
        "expects": {"state": "pending", "attention": "held"},
    }.items() <= listed[-1].items()
    assert [s["name"] for s in listed] == list(SCENARIOS)
    assert all(set(s) == {"name", "title", "expects"} for s in listed)


def test_scenarios_are_listed_for_people(capsys: Any) -> None:
    call_command("demo", "scenarios")
    printed = capsys.readouterr().out
    assert all(s.name in printed and s.title in printed for s in SCENARIOS.values())


def test_seeding_twice_is_seeding_once() -> None:
    assert not opening.seeded()
    assert opening.seed() > 0
    assert opening.seeded()
    assert opening.seed() == 0
    assert audit().offences == []


def test_reset_is_refused_while_orders_are_in_flight() -> None:
    call_command("demo", "order")
    with pytest.raises(CommandError, match="1 of the demos' sagas are under way"):
        call_command("demo", "reset")
    assert Saga.objects.count() == 1


def test_reset_is_refused_while_a_service_is_called_for_a_saga_that_asks_besides() -> None:
    call_command("demo", "order")
    Saga.objects.update(attention="held")
    with pytest.raises(CommandError, match="--force"):
        call_command("demo", "reset")
    assert claims.claim(["inventory"], 1, "a worker")
    with pytest.raises(CommandError, match="--force"):
        call_command("demo", "reset")
    call_command("demo", "reset", "--force")
    assert not Saga.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_reset_makes_the_shop_as_new(shop: None, rest: Any) -> None:
    for scenario in ("happy", "address_not_served", "refund_fails_forever", "hold_for_operator"):
        call_command("demo", "order", "--scenario", scenario)
    call_command("demo", "subscription", "--scenario", "downgraded")
    rest()
    call_command("demo", "reset")
    assert not Saga.objects.exists()
    assert not InventoryInbox.objects.exists()
    assert Product.objects.get(sku="TEA-100").on_hand == books.PLENTY
    assert audit().offences == []


# The form


def form(**values: Any) -> OrderForm:
    return OrderForm({"scenario": "happy", "pace": "0", "count": "1", **values})


def test_the_form_starts_what_was_chosen(shop: None) -> None:
    filled = form(**{"quantity_TEA-100": "2", "payment_method": "card-hedy", "count": "2"})
    assert filled.is_valid(), filled.errors
    sagas = filled.start("ORD-X")
    assert [s.correlation_id for s in sagas] == ["ORD-X-1", "ORD-X-2"]
    assert sagas[0].data == {
        "order_id": "ORD-X-1",
        "customer_id": "hedy",
        "items": [{"sku": "TEA-100", "quantity": 2}],
        "payment_method": "card-hedy",
        "shipping_address": books.CUSTOMERS["hedy"][1],
    }


def test_a_form_with_nothing_chosen_leaves_it_to_chance(shop: None) -> None:
    filled = form()
    assert filled.is_valid(), filled.errors
    (saga,) = filled.start("ORD-X")
    assert saga.data["items"]


def test_an_order_can_be_carried_by_the_service_elsewhere(shop: None) -> None:
    filled = form(carrier="express")
    assert filled.is_valid(), filled.errors
    (saga,) = filled.start("ORD-X")
    assert saga.data["carrier"] == "express"
    assert saga.steps.get(name="create_shipment").action == "CarrierService.BookPickup"


def test_a_choreographed_order_has_no_carrier_to_choose(shop: None) -> None:
    assert "carrier" not in ChoreographyForm().fields
    filled = ChoreographyForm({"scenario": "happy", "pace": "0", "count": "1", "carrier": "express"})
    (saga,) = filled.start("CHO-X") if filled.is_valid() else ()
    assert "carrier" not in saga.data


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity_TEA-100", "-1"),
        ("quantity_TEA-100", "a lot"),
        ("count", "0"),
        ("count", "501"),
        ("pace", "-1"),
        ("pace", "61"),
        ("scenario", "nope"),
        ("payment_method", "shells"),
        ("shipping_address", "12 Mill Lane,"),
        ("carrier", "pigeon"),
    ],
)
def test_the_form_says_which_field_is_wrong(field: str, value: str, shop: None) -> None:
    filled = form(**{field: value})
    assert not filled.is_valid()
    assert set(filled.errors) == {field}


def test_the_form_offers_every_product_card_and_scenario(shop: None) -> None:
    offered = OrderForm()
    assert [p.sku for p, _ in offered.product_fields()] == [p.sku for p in Product.objects.all()]
    assert {name for name, _ in offered.fields["scenario"].choices} == set(SCENARIOS)
    assert {method for method, _ in offered.fields["payment_method"].choices} == {"", *books.ACCOUNTS}
