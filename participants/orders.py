"""Makes orders for the demo, and starts their sagas."""

import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction

from participants.opening import CUSTOMERS, PRODUCTS, seed, seeded
from participants.sagas import OrderFulfillment
from participants.scenarios import DEFAULT, SCENARIOS, Scenario
from sagas.models import Saga

#: Orders that are recorded in one transaction: a big batch neither holds up the workers nor waits long itself.
GROUP = 25
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"  # none that is read for another


def new_batch() -> str:
    """Return what the ids of orders that are started together begin with."""
    return "ORD-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


def make_order(
    scenario: str = DEFAULT,
    *,
    pace: float = 0,
    order_id: str | None = None,
    items: Sequence[Mapping[str, Any]] | None = None,
    **choices: Any,
) -> dict[str, Any]:
    """Return an order's data; what is not chosen, chance chooses.

    Choices are ``customer_id``, ``payment_method``, ``shipping_address`` and ``hold_on_failure``.
    A scenario brings what it needs, whatever was chosen. Raises KeyError for an unknown scenario.
    """
    played = SCENARIOS[scenario]
    customer = choices.get("customer_id") or random.choice(list(CUSTOMERS))
    card, home = _card_and_home(customer)
    order: dict[str, Any] = {
        "order_id": order_id or new_batch(),
        "customer_id": customer,
        "items": [*(items or _some_items()), *_on_top(played)],
        "payment_method": played.payment_method or choices.get("payment_method") or card,
        "shipping_address": played.shipping_address or choices.get("shipping_address") or home,
    }
    if played.hold_on_failure or choices.get("hold_on_failure"):
        order["hold_on_failure"] = True
    demo = {k: v for k, v in {"scenario": scenario, "pace": pace}.items() if v not in (DEFAULT, 0)}
    return {**order, "demo": demo} if demo else order


def start_orders(
    scenario: str = DEFAULT, n: int = 1, *, pace: float = 0, batch: str | None = None, **choices: Any
) -> Iterator[Saga]:
    """Start so many orders and yield their sagas, each group once it is durable.

    An order's id is its saga's correlation id; the ids of a batch begin alike.
    Raises KeyError for an unknown scenario, sagas.orchestrator.Invalid for impossible choices.
    """
    if not seeded():
        seed()
    batch = batch or new_batch()
    names = [batch] if n == 1 else [f"{batch}-{i:0{len(str(n))}}" for i in range(1, n + 1)]
    for at in range(0, n, GROUP):
        orders = [make_order(scenario, pace=pace, order_id=o, **choices) for o in names[at : at + GROUP]]
        yield from _start(orders)


def _start(orders: Sequence[Mapping[str, Any]]) -> list[Saga]:
    with transaction.atomic():
        return [OrderFulfillment().start(o, correlation_id=o["order_id"]) for o in orders]


def _card_and_home(customer: str) -> tuple[str, str]:
    known = customer if customer in CUSTOMERS else random.choice(list(CUSTOMERS))
    return f"card-{known}", CUSTOMERS[known][1]


def _some_items() -> list[dict[str, Any]]:
    stocked = [sku for sku, (_, _, pieces) in PRODUCTS.items() if pieces]
    return [
        {"sku": sku, "quantity": random.randint(1, 3)} for sku in random.sample(stocked, random.randint(1, 3))
    ]


def _on_top(scenario: Scenario) -> list[dict[str, Any]]:
    return [{"sku": scenario.item, "quantity": 1}] if scenario.item else []
