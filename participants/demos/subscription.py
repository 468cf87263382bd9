"""The demo of a durable function that loops and waits: a subscription."""

import random
from typing import Any

from participants.demos.customers import customer
from participants.demos.demo import Demo
from participants.opening.books import PLANS
from participants.sagas import subscription_renewal
from participants.scenarios import Scenario
from participants.scenarios.subscription import SCENARIOS

#: Months, and seconds that a day of them lasts, where nothing else is chosen: there is something to watch, and an end.
MONTHS, DAY = 6, 0.05


def _subscription(
    played: Scenario,
    *,
    customer_id: str | None = None,
    plan: str | None = None,
    months: int | None = None,
    cancel_after: int | None = None,
    payment_method: str | None = None,
    day: float | None = None,
    hold_on_failure: bool = False,
) -> dict[str, Any]:
    who, card, _ = customer(customer_id)
    return {
        "customer_id": who,
        "plan": plan or random.choice([code for code, (_, _, longest) in PLANS.items() if longest is None]),
        "months": months or MONTHS,
        **({"cancel_after": cancel_after} if cancel_after else {}),
        "payment_method": payment_method or card,
        **({"hold_on_failure": True} if hold_on_failure else {}),
        "demo": {"day": day or DAY},
        **played.brings,
    }


SUBSCRIPTION = Demo(
    name="subscription",
    pitch="A subscription charges a card month by month, tries for days when it is declined, then downgrades.",
    saga=subscription_renewal,
    prefix="SUB",
    scenarios=SCENARIOS,
    choose=_subscription,
)
