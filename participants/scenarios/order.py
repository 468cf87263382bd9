"""What can happen to an order."""

from participants.scenarios import Scenario, by_name

#: What the shop's opening books hold for these scenarios; see :mod:`participants.opening`.
SOLD_OUT, DECLINED_CARD, LOW_CARD = "GLOBE-30", "card-declined", "card-low"
CLOSED_REGION = "Atlantis"
UNSERVED_ADDRESS = f"1 Trident Way, Poseidonis, {CLOSED_REGION}"

SCENARIOS = by_name(
    Scenario("happy", "All goes well", "Every service does its part.", "completed"),
    Scenario(
        "out_of_stock",
        "Out of stock",
        "One product is sold out, so inventory says no at the first step and there is nothing to undo.",
        "failed",
        brings={"items": [{"sku": SOLD_OUT, "quantity": 1}]},
    ),
    Scenario(
        "card_declined",
        "Card declined",
        "The bank declines the card; the reservation is released.",
        "failed",
        brings={"payment_method": DECLINED_CARD},
    ),
    Scenario(
        "insufficient_funds",
        "Insufficient funds",
        "The account does not cover the order; the reservation is released.",
        "failed",
        brings={"payment_method": LOW_CARD},
    ),
    Scenario(
        "address_not_served",
        "Address not served",
        "The carrier does not go there; the payment is refunded and the reservation released.",
        "failed",
        brings={"shipping_address": UNSERVED_ADDRESS},
    ),
    Scenario(
        "carrier_down_twice",
        "Carrier down, back at the third try",
        "The carrier does not answer twice; shipping is tried again until he does.",
        "completed",
    ),
    Scenario(
        "slow_payment_late_success",
        "Payment slow: timed out, yet charged once",
        "The charge is made, but its answer comes too late; the retry gets the remembered answer.",
        "completed",
    ),
    Scenario(
        "refund_fails_twice",
        "Refund fails twice, then works",
        "The carrier does not serve the address, and the bank fails twice before it takes the refund.",
        "failed",
        brings={"shipping_address": UNSERVED_ADDRESS},
    ),
    Scenario(
        "refund_fails_forever",
        "Refund fails for ever: needs you",
        "The carrier does not serve the address, and the bank never takes the refund: the rollback is stuck.",
        "compensating",
        "compensation_failed",
        brings={"shipping_address": UNSERVED_ADDRESS},
    ),
    Scenario(
        "hold_for_operator",
        "Card declined, held for your decision",
        "The order says hold on failure: instead of rolling back, it waits for an operator.",
        "pending",
        "held",
        brings={"payment_method": DECLINED_CARD, "hold_on_failure": True},
    ),
)
