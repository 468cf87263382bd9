"""Every scenario ends as it promises, by way of the real orchestrator, engine and services."""

from typing import Any

import pytest

from participants import faults
from participants.audit import audit
from participants.demos import ORDER
from participants.models import LedgerEntry, Notice, Reservation, Shipment
from participants.sagas import OrderFulfillment
from participants.scenarios.order import SCENARIOS
from sagas import orchestrator, registry
from sagas.models import Saga

#: How each scenario ends, whatever becomes of the code: others rely on it.
PROMISED = {
    "happy": ("completed", None),
    "carrier_down_twice": ("completed", None),
    "slow_payment_late_success": ("completed", None),
    "out_of_stock": ("failed", None),
    "card_declined": ("failed", None),
    "address_not_served": ("failed", None),
    "refund_fails_twice": ("failed", None),
    "refund_fails_forever": ("compensating", "compensation_failed"),
    "hold_for_operator": ("pending", "held"),
    "insufficient_funds": ("failed", None),
}
#: scenario -> step -> attempts at its last command.
ATTEMPTS = {
    "carrier_down_twice": {"create_shipment": 3},
    "slow_payment_late_success": {"process_payment": 2},
    "refund_fails_twice": {"process_payment": 3},
    "refund_fails_forever": {"process_payment": 5},
}
KEPT = {  # in force at rest: reservations, charges, shipments, confirmations
    "completed": (1, 1, 1, 1),
    "failed": (0, 0, 0, 0),
    "compensating": (1, 1, 0, 0),
    "pending": (1, 0, 0, 0),
}


def test_the_scenarios_promise_what_the_design_says() -> None:
    assert {s.name: (s.state, s.attention) for s in SCENARIOS.values()} == PROMISED
    assert all(s.title and s.description for s in SCENARIOS.values())


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shop", "late_answers")
@pytest.mark.parametrize("scenario", PROMISED)
def test_a_scenario_ends_as_it_promises(scenario: str, rest: Any) -> None:
    (saga,) = ORDER.start(scenario)
    rest()
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == PROMISED[scenario]
    attempts = {step.name: step.attempt for step in saga.steps.all()}
    assert ATTEMPTS.get(scenario, {}).items() <= attempts.items()
    books = (Reservation, LedgerEntry, Shipment, Notice)
    assert tuple(b.objects.in_force().count() for b in books) == KEPT[saga.state]
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_held_order_goes_on_when_the_operator_mends_its_card(
    shop: None, rest: Any, admin_user: Any
) -> None:
    (saga,) = ORDER.start("hold_for_operator")
    rest()

    def ask(verb: str, **more: Any) -> None:
        asked = orchestrator.Asked(operator=admin_user, via="desk", reason="another card", **more)
        orchestrator.act(saga.pk, verb, asked)

    saga.refresh_from_db()
    ask("edit", data={**saga.data, "payment_method": "card-grace"})
    ask("retry", step="process_payment")
    rest()
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert LedgerEntry.objects.get().account_id == "card-grace"
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_an_order_without_a_reservation_is_charged_when_the_operator_says_so(
    shop: None, rest: Any, admin_user: Any
) -> None:
    (saga,) = ORDER.start("out_of_stock", hold_on_failure=True)
    rest()
    asked = orchestrator.Asked(operator=admin_user, via="desk", reason="by hand", step="reserve_inventory")
    orchestrator.act(saga.pk, "skip", asked)
    rest()
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert audit().offences == []


def test_each_order_of_a_batch_is_found_by_its_correlation_id(shop: None) -> None:
    sagas = list(ORDER.start(n=12, batch="ORD-BATCH"))
    assert [s.correlation_id for s in sagas] == [f"ORD-BATCH-{i:02}" for i in range(1, 13)]
    assert all(s.data["order_id"] == s.correlation_id for s in sagas)


@pytest.mark.django_db
def test_an_order_stocks_an_empty_shop() -> None:
    (saga,) = ORDER.start()
    assert "demo" not in saga.data
    assert saga.correlation_id == saga.data["order_id"]


def test_scenario_and_pace_travel_in_the_data(shop: None) -> None:
    assert ORDER.make("card_declined", pace=1.5)["demo"] == {"scenario": "card_declined", "pace": 1.5}
    assert ORDER.make(pace=2)["demo"] == {"pace": 2}


def test_a_scenario_brings_what_it_needs_whatever_was_chosen(shop: None) -> None:
    order = ORDER.make(
        "refund_fails_forever", customer_id="ada", payment_method="card-alan", shipping_address="Here, There"
    )
    assert order["payment_method"] == "card-alan"
    assert "Atlantis" in order["shipping_address"]


# What an order must be


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"order_id": ""}, "data.order_id"),
        ({"order_id": None}, "data.order_id"),
        ({"items": []}, "data.items"),
        ({"items": [{"sku": "TEA-100", "quantity": -1}]}, "data.items.0.quantity"),
        ({"items": [{"sku": "TEA-100", "quantity": "1"}]}, "data.items.0.quantity"),
        ({"items": [{"sku": "TEA-100", "quantity": True}]}, "data.items.0.quantity"),
        ({"items": [{"sku": "TEA-100", "quantity": 1, "price": 1}]}, "data.items.0.price"),
        ({"payment_method": 7}, "data.payment_method"),
        ({"shipping_address": ""}, "data.shipping_address"),
        ({"shipping_address": {"city": "Leeds"}}, "data.shipping_address"),
        ({"hold_on_failure": "yes"}, "data.hold_on_failure"),
        ({"demo": {"scenario": "nope"}}, "data.demo.scenario"),
        ({"demo": {"pace": -1}}, "data.demo.pace"),
        ({"demo": {"pace": float("nan")}}, "data.demo.pace"),
        ({"colour": "red"}, "data.colour"),
    ],
)
def test_an_impossible_order_is_refused_with_the_field(
    change: dict[str, Any], field: str, shop: None
) -> None:
    with pytest.raises(orchestrator.Invalid) as no:
        orchestrator.start("OrderFulfillment", {**OrderFulfillment.sample_data, **change})
    assert no.value.field == field
    assert not Saga.objects.exists()


@pytest.mark.parametrize("field", ["order_id", "customer_id", "items", "payment_method", "shipping_address"])
def test_every_part_of_an_order_is_needed(field: str, shop: None) -> None:
    data = {k: v for k, v in OrderFulfillment.sample_data.items() if k != field}
    with pytest.raises(orchestrator.Invalid) as no:
        orchestrator.start("OrderFulfillment", data)
    assert no.value.field == f"data.{field}"


def test_an_order_that_holds_on_failure_holds_at_every_step() -> None:
    data = {**OrderFulfillment.sample_data, "hold_on_failure": True}
    assert all(step.hold for step in OrderFulfillment().define_steps(data))


def test_the_pace_never_trips_a_time_out() -> None:
    for scenario in SCENARIOS:
        data = {**OrderFulfillment.sample_data, "demo": {"scenario": scenario, "pace": faults.MAX_PACE}}
        for step in OrderFulfillment().define_steps(data):
            assert step.timeout >= faults.MAX_PACE + faults.PATIENCE


def test_all_commands_of_the_saga_have_handlers() -> None:
    for step in OrderFulfillment().define_steps(OrderFulfillment.sample_data):
        assert registry.handler(step.action)
        assert registry.handler(step.compensation or "")
