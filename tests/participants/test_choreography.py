"""The order as a choreography: the same scenarios, the same ends, the same audit."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db.models.functions import Now

from participants.audit import audit
from participants.demos import CHOREOGRAPHY
from participants.models import LedgerEntry, Notice, Reservation, Shipment
from participants.sagas.choreography import OrderChoreography
from participants.scenarios.order import SCENARIOS
from sagas import orchestrator, publish
from sagas.engine import Pump
from sagas.models import Due, Event, Saga
from sagas.orchestrator import Invalid

pytestmark = pytest.mark.django_db(transaction=True)

HAPPY = [
    "OrderCreated",
    "ReserveInventory",
    "InventoryReserved",
    "ProcessPayment",
    "PaymentProcessed",
    "CreateShipment",
    "ShipmentCreated",
    "OrderFulfilled",
]


def told(saga: Saga) -> dict[str, Any]:
    """Return the events of a saga in their order, with their data."""
    events = Event.objects.filter(saga=saga, type="EventPublished").order_by("sequence")
    return {event.data["event"]: event.data["data"] for event in events}


def in_force() -> tuple[int, ...]:
    """Count the reservations, charges, shipments and confirmations that stand."""
    return tuple(b.objects.in_force().count() for b in (Reservation, LedgerEntry, Shipment, Notice))


@pytest.fixture
def order(shop: None, rest: Callable[[], None]) -> Callable[..., Saga]:
    """Start an order and let it come to rest."""

    def start(scenario: str = "happy", **choices: Any) -> Saga:
        (saga,) = CHOREOGRAPHY.start(scenario, **choices)
        rest()
        saga.refresh_from_db()
        return saga

    return start


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if "late_success" not in s])
def test_every_scenario_ends_as_the_orchestrated_order_does(
    scenario: str, order: Callable[..., Saga]
) -> None:
    saga = order(scenario)
    assert {"state": saga.state, "attention": saga.attention} == SCENARIOS[scenario].expects
    kept = {
        "completed": (1, 1, 1, 1),
        "failed": (0, 0, 0, 0),
        "compensating": (0, 1, 0, 0),
        "pending": (1, 0, 0, 0),
    }
    assert in_force() == kept[saga.state]
    assert audit().offences == []


def test_a_payment_that_answers_too_late_is_charged_once(shop: None, pump: Pump, late_answers: None) -> None:
    (saga,) = CHOREOGRAPHY.start("slow_payment_late_success")
    pump.run(20)
    Due.objects.filter(saga=saga, step="process_payment").update(due_at=Now())
    pump.run(20)
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert in_force() == (1, 1, 1, 1)
    assert audit().offences == []


def test_the_events_and_what_they_tell_are_those_that_were_agreed(order: Callable[..., Saga]) -> None:
    events = told(order())
    assert list(events) == HAPPY
    assert {"total_amount", "reservation_id"} <= events["InventoryReserved"].keys()
    assert "payment_id" in events["PaymentProcessed"]
    assert "tracking_number" in events["ShipmentCreated"]
    assert {"order_id", "tracking_number", "payment_id"} <= events["OrderFulfilled"].keys()


def test_a_refused_payment_releases_the_inventory(order: Callable[..., Saga]) -> None:
    saga = order("card_declined")
    events = [*HAPPY[:4], "PaymentFailed", "ReleaseInventory", "InventoryReleased", "OrderFailed"]
    assert list(told(saga)) == events
    assert saga.error == "PaymentFailed: card declined: reported as stolen"


def test_a_refused_shipment_fails_the_order_only_when_both_are_undone(
    order: Callable[..., Saga], rest: Callable[[], None], admin_user: Any
) -> None:
    saga = order("refund_fails_forever")
    assert "InventoryReleased" in told(saga)
    assert "OrderFailed" not in told(saga)
    asked = orchestrator.Asked(
        operator=admin_user, via="desk", reason="the bank is back", step="refund_payment"
    )
    Saga.objects.filter(pk=saga.pk).update(data={k: v for k, v in saga.data.items() if k != "demo"})
    orchestrator.act(saga.pk, "retry", asked)
    rest()
    saga.refresh_from_db()
    assert list(told(saga))[-2:] == ["PaymentRefunded", "OrderFailed"]
    assert (saga.state, in_force()) == ("failed", (0, 0, 0, 0))
    assert audit().offences == []


def test_an_order_that_is_called_off_at_any_moment_takes_everything_back(
    shop: None, pump: Pump, admin_user: Any
) -> None:
    asked = orchestrator.Asked(operator=admin_user, via="desk", reason="changed my mind")
    ends = []
    for reached in range(1, len(HAPPY)):
        (saga,) = CHOREOGRAPHY.start()
        while len(told(saga)) < reached:  # one delivery at a time
            pump._more = True
            pump._fill()
            pump._harvest(claiming=False, end=0)
        with suppress(orchestrator.Conflict):  # its end is being published right now
            orchestrator.act(saga.pk, "compensate", asked)
        pump.run(20)
        saga.refresh_from_db()
        assert saga.attention is None
        ends.append(saga.state)
    assert ends == ["failed"] * 6 + ["completed"]
    assert in_force() == (1, 1, 1, 1)
    assert audit().offences == []


@pytest.mark.parametrize(
    ("outcome", "result"), [("done", {"event": "PaymentRefunded", "data": {}}), ("none", None)]
)
def test_what_an_operator_says_of_an_undo_or_of_the_end_is_no_offence(
    order: Callable[..., Saga], rest: Callable[[], None], admin_user: Any, outcome: str, result: Any
) -> None:
    saga = order("refund_fails_forever")
    word = {"operator": admin_user, "via": "desk", "reason": "paid in cash"}
    orchestrator.act(
        saga.pk, "resolve", orchestrator.Asked(**word, step="refund_payment", outcome=outcome, result=result)
    )
    rest()
    saga.refresh_from_db()
    if saga.state == "compensating":
        orchestrator.act(saga.pk, "skip", orchestrator.Asked(**word, step="refund_payment"))
        end = orchestrator.Asked(**word, step="end", outcome="done", result={"event": "OrderFailed"})
        orchestrator.act(saga.pk, "resolve", end)
        saga.refresh_from_db()
    assert saga.state == "failed"
    assert LedgerEntry.objects.in_force().exists()
    assert audit().offences == []
    assert {finding.check for finding in audit().settled} == {"settled_by_hand"}


def test_a_held_order_goes_on_when_the_operator_mends_its_card(
    order: Callable[..., Saga], rest: Callable[[], None], admin_user: Any
) -> None:
    saga = order("hold_for_operator")
    asked = {"operator": admin_user, "via": "desk", "reason": "another card"}
    data = {**saga.data, "payment_method": "card-grace"}
    orchestrator.act(saga.pk, "edit", orchestrator.Asked(**asked, data=data))
    orchestrator.act(saga.pk, "retry", orchestrator.Asked(**asked, step="process_payment"))
    rest()
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert LedgerEntry.objects.get().account_id == "card-grace"
    assert audit().offences == []


def test_a_held_order_that_is_rolled_back_releases_its_goods(
    order: Callable[..., Saga], rest: Callable[[], None], admin_user: Any
) -> None:
    saga = order("hold_for_operator")
    orchestrator.act(
        saga.pk, "compensate", orchestrator.Asked(operator=admin_user, via="desk", reason="no card")
    )
    rest()
    saga.refresh_from_db()
    assert (saga.state, in_force()) == ("failed", (0, 0, 0, 0))
    assert audit().offences == []


def test_publishing_that_an_order_was_created_starts_its_choreography(
    shop: None, rest: Callable[[], None]
) -> None:
    (saga_id,) = publish("OrderCreated", CHOREOGRAPHY.make(customer_id="ada"))
    rest()
    assert Saga.objects.get(pk=saga_id).state == "completed"


def test_the_auditor_finds_a_choreographed_order_whose_charge_is_gone(order: Callable[..., Saga]) -> None:
    order()
    LedgerEntry.objects.all().delete()
    assert {"completed_has_its_effects", "money_conserved"} <= {f.check for f in audit().offences}


def test_the_express_carrier_is_refused_before_an_order_starts() -> None:
    data = {**OrderChoreography.sample_data, "carrier": "express"}
    with pytest.raises(
        Invalid, match=r"data\.carrier: the express carrier reacts to no events, so it carries no"
    ):
        OrderChoreography().start(data)
    with pytest.raises(Invalid, match="leave it out for the shop's own vans"):
        publish("OrderCreated", data)
    assert not Saga.objects.exists()
    assert OrderChoreography().start({**data, "carrier": None}).state == "pending"
