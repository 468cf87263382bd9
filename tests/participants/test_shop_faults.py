"""What the demo plays: faults that are outside the effect, counted where every worker sees it."""

from typing import Any

import pytest

from participants import faults
from participants.models import CallCount, LedgerEntry, Shipment
from sagas import Rejected

SHIP, PAY, REFUND = (
    "ShippingService.CreateShipment",
    "PaymentService.ProcessPayment",
    "PaymentService.RefundPayment",
)


def test_the_carrier_is_down_twice_and_then_fetches_one_parcel(send: Any) -> None:
    for call in (1, 2):
        with pytest.raises(ConnectionError, match=rf"the carrier does not answer \(call {call}\)"):
            send(SHIP, demo={"scenario": "carrier_down_twice"})
        assert not Shipment.objects.exists()
    assert send(SHIP, demo={"scenario": "carrier_down_twice"}) == send(
        SHIP, demo={"scenario": "carrier_down_twice"}
    )
    assert Shipment.objects.count() == 1


def test_each_command_is_counted_by_itself(send: Any) -> None:
    for key in ("one", "other"):
        with pytest.raises(ConnectionError, match="call 1"):
            send(SHIP, key, demo={"scenario": "carrier_down_twice"})


def test_a_refund_that_fails_for_ever_fails_for_ever(send: Any) -> None:
    demo = {"scenario": "refund_fails_forever"}
    send(PAY, demo=demo)
    for _ in range(12):
        with pytest.raises(ConnectionError):
            send(REFUND, "undo", undoes="key", demo=demo)
    assert LedgerEntry.objects.in_force().count() == 1


def test_a_slow_payment_is_charged_before_it_answers_late_and_only_once(
    send: Any, slept: list[float]
) -> None:
    demo = {"scenario": "slow_payment_late_success"}
    first = send(PAY, demo=demo)
    assert slept == [faults.PATIENCE + 2]
    assert send(PAY, demo=demo) == first
    assert len(slept) == 1
    assert LedgerEntry.objects.count() == 1


def test_each_call_takes_its_pace(send: Any, slept: list[float]) -> None:
    send(SHIP, demo={"pace": 1.5})
    send("ShippingService.CancelShipment", "undo", undoes="key", demo={"pace": 1.5})
    assert slept == [1.5, 1.5]


def test_nobody_sleeps_longer_than_may_be_asked(send: Any, slept: list[float]) -> None:
    send(SHIP, demo={"pace": 1e9})
    assert slept == [faults.MAX_PACE]


@pytest.mark.parametrize(
    "demo", [None, {}, "happy", {"scenario": "nope"}, {"scenario": ["happy"], "pace": "1"}, {"pace": -1}]
)
def test_an_order_that_asks_for_nothing_known_is_served_as_usual(
    demo: Any, send: Any, slept: list[float]
) -> None:
    assert send(SHIP, demo=demo)["tracking_number"]
    assert slept == []
    assert not CallCount.objects.exists()


def test_a_card_is_declined_until_its_customer_was_reminded(send: Any) -> None:
    def charge(key: str, **data: Any) -> Any:
        return send("BillingService.Charge", key, demo={"scenario": "declined_then_paid"}, **data)

    assert charge("first", month=1, reminders=0)["month"] == 1
    for key, reminders in (("second", 0), ("second", 0), ("third", 1)):
        with pytest.raises(Rejected, match="card declined"):
            charge(key, month=2, reminders=reminders)
    assert charge("fourth", month=2, reminders=2)["month"] == 2
