"""What can happen to a subscription."""

from participants.scenarios import Scenario, by_name
from participants.scenarios.order import DECLINED_CARD

#: What the opening books hold for these scenarios: nobody has it for a third month.
WITHDRAWN_PLAN = "SUMMER"

_withdrawn = {"plan": WITHDRAWN_PLAN, "months": 3}

SCENARIOS = by_name(
    Scenario(
        "happy",
        "Renewed, month by month",
        "Each month is charged, then runs; between two the saga waits. At the end the customer is told.",
        "completed",
    ),
    Scenario(
        "declined_then_paid",
        "Declined twice, paid days later",
        "In the second month the card is declined. The customer is reminded, and days later it works.",
        "completed",
        brings={"months": 3},
    ),
    Scenario(
        "downgraded",
        "Declined for good: downgraded",
        "From the second month on the card is declined. After two reminders the subscription is free, and smaller.",
        "completed",
        brings={"months": 3},
    ),
    Scenario(
        "cancelled",
        "Cancelled by the customer",
        "The data says after which month it ends; while it waits, an edit of the data can say so, too.",
        "completed",
        brings={"months": 6, "cancel_after": 2},
    ),
    Scenario(
        "charge_unknown_then_remembered",
        "Charge's outcome unknown, then found out",
        "The line breaks twice after each charge; asked again under the same key, billing remembers it.",
        "completed",
        brings={"months": 2},
    ),
    Scenario(
        "plan_withdrawn",
        "Plan withdrawn: every month is paid back",
        "The third month is charged, and then the plan is no longer to be had: the loop is undone, the latest first.",
        "failed",
        brings=_withdrawn,
    ),
    Scenario(
        "refund_fails_forever",
        "The same, but no refund works: needs you",
        "The bank never takes the refund of the latest month, and what came before stands until it does.",
        "compensating",
        "compensation_failed",
        brings=_withdrawn,
    ),
    Scenario(
        "hold_for_operator",
        "Card declined, held for your decision",
        "The subscription says hold on failure: nobody is reminded or downgraded before an operator has looked.",
        "pending",
        "held",
        brings={"payment_method": DECLINED_CARD, "hold_on_failure": True},
    ),
)
