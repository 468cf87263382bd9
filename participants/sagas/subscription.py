"""A subscription is renewed month by month, until it has run its time, its customer leaves, or nobody pays."""

from typing import Annotated

from pydantic import BaseModel, Field

from participants.scenarios import Played
from participants.scenarios.subscription import SCENARIOS

# The handlers are registered by being imported.
from participants.services import billing, notification, subscription  # noqa: F401

Text = Annotated[str, Field(min_length=1, max_length=100)]
#: Seconds.
A_DAY = 86400.0


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
