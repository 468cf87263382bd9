"""The demo that everybody starts with: an order."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from participants.demos.customers import customer
from participants.demos.demo import Demo
from participants.opening.books import PRODUCTS
from participants.sagas import OrderFulfillment
from participants.scenarios import Scenario
from participants.scenarios.order import SCENARIOS


def _order(
    played: Scenario,
    *,
    items: Sequence[Mapping[str, Any]] | None = None,
    customer_id: str | None = None,
    payment_method: str | None = None,
    shipping_address: str | None = None,
    hold_on_failure: bool = False,
    carrier: str | None = None,
) -> dict[str, Any]:
    who, card, home = customer(customer_id)
    chosen = {
        "customer_id": who,
        "payment_method": payment_method or card,
        "shipping_address": shipping_address or home,
        **({"hold_on_failure": True} if hold_on_failure else {}),
        **({"carrier": carrier} if carrier else {}),
    }
    goods = [*(items or _some_items()), *played.brings.get("items", ())]
    return {**chosen, **played.brings, "items": goods}


def _some_items() -> list[dict[str, Any]]:
    stocked = [sku for sku, (_, _, pieces) in PRODUCTS.items() if pieces]
    return [
        {"sku": sku, "quantity": random.randint(1, 3)} for sku in random.sample(stocked, random.randint(1, 3))
    ]


ORDER = Demo(
    name="order",
    pitch="An order reserves stock, charges a card, books a carrier and tells the customer.",
    saga=OrderFulfillment,
    prefix="ORD",
    scenarios=SCENARIOS,
    choose=_order,
)
