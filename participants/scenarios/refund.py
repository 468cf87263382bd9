"""What can happen to a refund."""

from participants.scenarios import Scenario, by_name
from participants.scenarios.order import DECLINED_CARD

#: Cents from which one manager is asked, and from which two are.
LARGE, VERY_LARGE = 100_00, 1_000_00
#: Cents that no budget holds.
TOO_MUCH = 10**15

_small, _large, _very_large = ({"amount_cents": cents} for cents in (24_90, 240_00, 2_400_00))

SCENARIOS = by_name(
    Scenario(
        "happy",
        "A small refund goes through",
        "Nobody is asked: the claim is opened, the money paid out, the customer told.",
        "completed",
        brings=_small,
    ),
    Scenario(
        "needs_a_manager",
        "A large one needs a manager",
        "It waits in the inbox of the managers; whoever started it may not approve it.",
        "pending",
        waiting="approval",
        brings=_large,
    ),
    Scenario(
        "needs_two_managers",
        "A very large one needs two managers",
        "Two different people have to approve it; one no is enough to call it off.",
        "pending",
        waiting="approval",
        brings=_very_large,
    ),
    Scenario(
        "nobody_answers",
        "Nobody answers: called off",
        "The approval has two seconds instead of a week; at its end the answer is no, and the claim is withdrawn.",
        "failed",
        brings=_large,
    ),
    Scenario(
        "silence_is_consent",
        "Nobody answers: approved",
        "The same, but here silence is consent.",
        "completed",
        brings=_large,
    ),
    Scenario(
        "nobody_answers_held",
        "Nobody answers: needs you",
        "The same, but nothing is decided by itself: an operator is asked.",
        "pending",
        "expectation_missed",
        brings=_large,
    ),
    Scenario(
        "budget_spent",
        "The budget is spent",
        "The claims desk says no before anybody is asked.",
        "failed",
        brings={"amount_cents": TOO_MUCH},
    ),
    Scenario(
        "account_blocked",
        "The account is blocked",
        "The bank does not pay to a stolen card; the claim is withdrawn.",
        "failed",
        brings={**_small, "payment_method": DECLINED_CARD},
    ),
    Scenario(
        "payout_unknown",
        "Payout's outcome unknown, then found out",
        "The line breaks twice after the payment; asked again under the same key, the bank remembers it.",
        "completed",
        brings=_small,
    ),
)
