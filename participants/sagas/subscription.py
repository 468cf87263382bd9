"""A subscription is renewed month by month, until it has run its time, its customer leaves, or nobody pays."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from participants.sagas.drillable import DRILLED
from participants.scenarios import Played
from participants.scenarios.subscription import SCENARIOS

# The handlers are registered by being imported.
from participants.services import billing, notification, subscription  # noqa: F401
from sagas import Rejected, Retry, durable_saga

Text = Annotated[str, Field(min_length=1, max_length=100)]
SOON = Retry(max_attempts=5, first=0.5, cap=5)

#: Seconds.
A_DAY = 86400.0
#: Days: between two charges, and after which a declined one is tried once more.
A_MONTH, GRACE = 30, (3, 4)


class Demo(Played):
    """What a subscription asks of the demo."""

    scenarios = SCENARIOS
    day: float = Field(default=A_DAY, gt=0, le=A_DAY, allow_inf_nan=False)
    """Seconds that a day lasts, so that there is something to watch."""


class SubscriptionData(BaseModel, extra="forbid"):
    """A subscription, as it must be for its saga to start."""

    subscription_id: Text
    customer_id: Text
    plan: Annotated[str, Field(min_length=1, max_length=40)]
    months: int = Field(default=12, ge=1, le=60, strict=True)
    """How many it runs."""
    cancel_after: int | None = Field(default=None, ge=1, le=60, strict=True)
    """The month after which it ends all the same. An edit may say so while it runs, of a month to come."""
    payment_method: Text
    hold_on_failure: bool = Field(default=False, strict=True)
    """When a charge is declined, wait for an operator instead of reminding the customer."""
    demo: Demo | None = None


@durable_saga(
    "SubscriptionRenewal",
    data_model=SubscriptionData,
    sample_data={
        "subscription_id": "SUB-SAMPLE",
        "customer_id": "ada",
        "plan": "PLUS",
        "months": 2,
        "payment_method": "card-ada",
    },
    **DRILLED,
)
def subscription_renewal(saga: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Charge each month and let it run; what nobody pays is free, and smaller, from then on. Tell the customer."""
    price = saga.step("quote", "SubscriptionService.Quote")["amount_cents"]
    began, wanted = saga.now, data.get("months", 12)
    last = min(wanted, data.get("cancel_after") or wanted)
    ended = "renewed" if last == wanted else "cancelled"
    for month in range(1, last + 1):
        bill = {"month": month, "amount_cents": price}
        if not _paid(saga, data, bill):
            ended = "downgraded"
            _downgrade(saga, month)
            break
        saga.step("extend", "SubscriptionService.Extend", undo="SubscriptionService.TakeBack", input=bill)
        if month < last:
            # From the beginning, so that a charge that came late does not put off all that follow.
            saga.wait("next_month", until=began + month * A_MONTH * _day(data))
    _tell(saga, "tell_customer", "NotificationService.SendSubscriptionNotice", {"ended": ended})
    return {"ended": ended}


def _paid(saga: Any, data: Mapping[str, Any], bill: Mapping[str, Any]) -> bool:
    """Charge a month; if the card is declined remind the customer, and try again days later. Say whether it worked."""
    for reminders, days in enumerate(GRACE):
        if _charged(saga, data, {**bill, "reminders": reminders}):
            return True
        _tell(saga, "remind", "NotificationService.SendPaymentReminder", {"month": bill["month"]})
        saga.wait("grace", days * _day(data))
    return _charged(saga, data, {**bill, "reminders": len(GRACE)})


def _charged(saga: Any, data: Mapping[str, Any], bill: Mapping[str, Any]) -> bool:
    try:
        saga.step(
            "charge",
            "BillingService.Charge",
            undo="BillingService.Refund",
            input=bill,
            retry=SOON,
            undo_retry=SOON,
            hold=data.get("hold_on_failure", False),
        )
    except Rejected:
        return False
    return True


def _downgrade(saga: Any, month: int) -> None:
    undo = "SubscriptionService.Restore"
    saga.step("downgrade", "SubscriptionService.Downgrade", undo=undo, input={"month": month})


def _tell(saga: Any, name: str, notice: str, about: Mapping[str, Any]) -> None:
    saga.step(name, notice, undo="NotificationService.SendCancellationNotice", input=about)


def _day(data: Mapping[str, Any]) -> timedelta:
    return timedelta(seconds=(data.get("demo") or {}).get("day", A_DAY))
