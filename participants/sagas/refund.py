"""A refund: small ones go through, large ones wait for a manager, very large ones for two."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field

from participants.faults import demo_of
from participants.sagas.drillable import Drillable
from participants.scenarios import Played
from participants.scenarios.refund import LARGE, SCENARIOS, VERY_LARGE

# The handlers are registered by being imported.
from participants.services import claims, notification, payment  # noqa: F401
from sagas import Retry, SagaStep, approval

Text = Annotated[str, Field(min_length=1, max_length=100)]

MANAGERS = "managers"
SOON = Retry(max_attempts=5, first=0.5, cap=5)

#: How long an approval waits, and what the answer is then.
PATIENCE, SILENCE = timedelta(days=7), "reject"
#: In the scenarios that are about it: what the answer is, after two seconds.
SILENCES = {"nobody_answers": "reject", "silence_is_consent": "approve", "nobody_answers_held": None}


class Demo(Played):
    """What a refund asks of the demo."""

    scenarios = SCENARIOS


class RefundData(BaseModel, extra="forbid"):
    """A refund, as it must be for its saga to start."""

    refund_id: Text
    customer_id: Text
    payment_method: Text
    amount_cents: int = Field(gt=0, le=10**15, strict=True)
    reason: str = Field(min_length=1, max_length=500)
    demo: Demo | None = None


class RefundApproval(Drillable):
    """Set the money aside, ask whom the amount calls for, pay it out, tell the customer."""

    saga_type = "RefundApproval"
    data_model = RefundData
    sample_data: ClassVar[Mapping[str, Any]] = {
        "refund_id": "RFD-SAMPLE",
        "customer_id": "ada",
        "payment_method": "card-ada",
        "amount_cents": 240_00,
        "reason": "The kettle leaks.",
    }

    def define_steps(self, data: Mapping[str, Any]) -> list[SagaStep]:
        """Return the steps; whether somebody is asked, and how many, depends on the amount."""
        return [
            SagaStep(
                name="open_claim",
                action="ClaimsService.OpenClaim",
                compensation="ClaimsService.WithdrawClaim",
                retry=SOON,
                undo_retry=SOON,
            ),
            *_approvals(data),
            SagaStep(
                name="pay_out",
                action="PaymentService.PayOut",
                compensation="PaymentService.RecallPayout",
                pivot=True,
                retry=SOON,
                undo_retry=SOON,
            ),
            SagaStep(
                name="tell_customer",
                action="NotificationService.SendRefundNotice",
                retriable=True,
                retry=SOON,
            ),
        ]


def _approvals(data: Mapping[str, Any]) -> list[SagaStep]:
    amount = data["amount_cents"]
    if amount < LARGE:
        return []
    scenario, _ = demo_of(data)
    played = scenario in SILENCES
    return [
        approval(
            "large_refund",
            by=f"group:{MANAGERS}",
            people=2 if amount >= VERY_LARGE else 1,
            show="Refund {results.open_claim.amount} to {customer_id}, {payment_method}: {reason}",
            deadline=timedelta(seconds=2) if played else PATIENCE,
            otherwise=SILENCES[scenario] if played else SILENCE,
        )
    ]
