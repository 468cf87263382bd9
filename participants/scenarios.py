"""The demo's scenarios: what an order is made of so that something happens to it, and the end that it promises.

Most come about by themselves: a sold-out product, a card that the bank declines. What cannot, such as
a carrier that is down twice, :mod:`participants.faults` plays at the service.
"""

from dataclasses import dataclass
from typing import Any

#: What the shop's opening books hold for these scenarios; see :mod:`participants.opening`.
SOLD_OUT, DECLINED_CARD, LOW_CARD = "GLOBE-30", "card-declined", "card-low"
CLOSED_REGION = "Atlantis"
UNSERVED_ADDRESS = f"1 Trident Way, Poseidonis, {CLOSED_REGION}"

DEFAULT = "happy"


@dataclass(frozen=True)
class Scenario:
    """Something that can happen to an order, named for what the operator will see."""

    name: str
    title: str
    description: str
    state: str
    """The state in which the saga comes to rest."""
    attention: str | None = None
    item: str | None = None
    """A product that is ordered on top."""
    payment_method: str | None = None
    shipping_address: str | None = None
    hold_on_failure: bool = False

    @property
    def expects(self) -> dict[str, str | None]:
        """The end that it promises, unless an operator steps in."""
        return {"state": self.state, "attention": self.attention}

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        return {"name": self.name, "title": self.title, "expects": self.expects}


_ALL = (
    Scenario("happy", "All goes well", "Every service does its part.", "completed"),
    Scenario(
        "out_of_stock",
        "Out of stock",
        "One product is sold out, so inventory says no at the first step and there is nothing to undo.",
        "failed",
        item=SOLD_OUT,
    ),
    Scenario(
        "card_declined",
        "Card declined",
        "The bank declines the card; the reservation is released.",
        "failed",
        payment_method=DECLINED_CARD,
    ),
    Scenario(
        "insufficient_funds",
        "Insufficient funds",
        "The account does not cover the order; the reservation is released.",
        "failed",
        payment_method=LOW_CARD,
    ),
    Scenario(
        "address_not_served",
        "Address not served",
        "The carrier does not go there; the payment is refunded and the reservation released.",
        "failed",
        shipping_address=UNSERVED_ADDRESS,
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
        shipping_address=UNSERVED_ADDRESS,
    ),
    Scenario(
        "refund_fails_forever",
        "Refund fails for ever: needs you",
        "The carrier does not serve the address, and the bank never takes the refund: the rollback is stuck.",
        "compensating",
        "compensation_failed",
        shipping_address=UNSERVED_ADDRESS,
    ),
    Scenario(
        "hold_for_operator",
        "Card declined, held for your decision",
        "The order says hold on failure: instead of rolling back, it waits for an operator.",
        "pending",
        "held",
        payment_method=DECLINED_CARD,
        hold_on_failure=True,
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}
