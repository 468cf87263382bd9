"""The demo of people in a saga: a refund."""

import random
from typing import Any

from participants.demos.customers import customer
from participants.demos.demo import Demo
from participants.sagas import RefundApproval
from participants.scenarios import Scenario
from participants.scenarios.refund import SCENARIOS

_REASONS = (
    "The kettle leaks.",
    "It came a week too late.",
    "The lamp flickers.",
    "Two of six mugs were broken.",
    "It was charged twice by the shop on the corner.",
)


def _refund(
    played: Scenario,
    *,
    customer_id: str | None = None,
    payment_method: str | None = None,
    amount_cents: int | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    who, card, _ = customer(customer_id)
    chosen = {"amount_cents": amount_cents} if amount_cents else {}
    return {
        "customer_id": who,
        "payment_method": payment_method or card,
        "reason": reason or random.choice(_REASONS),
        **played.brings,
        **chosen,
    }


REFUND = Demo(
    name="refund",
    pitch="A refund sets money aside, asks one manager or two if it is large, pays out, and tells the customer.",
    saga=RefundApproval,
    prefix="RFD",
    scenarios=SCENARIOS,
    choose=_refund,
)
