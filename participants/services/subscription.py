"""SubscriptionService: says what a plan costs, lets a subscription run for a month more, puts it onto the free plan."""

from typing import Any

from django.utils import timezone
from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Downgrade, Effect, Plan, SubscriptionInbox, Term
from sagas import Rejected, command
from sagas.inbox import once


class Wanted(BaseModel):
    """What a price depends on."""

    plan: str = Field(min_length=1, max_length=40)


class Month(Wanted):
    """What subscriptions want to know of a month."""

    month: int = Field(ge=1)
    amount_cents: int = Field(gt=0)


class Unpaid(Wanted):
    """What subscriptions want to know of one that is not paid."""

    month: int = Field(ge=1)


@command("SubscriptionService.Quote", model=Wanted, inbox=True)
@staged
def quote(renewal: Any) -> dict[str, Any]:
    """Say what a month costs. Rejected if there is no such plan. It has no effect."""
    plan = _plan(renewal.input.plan)
    return {"plan": plan.name, "amount_cents": plan.price_cents}


@command("SubscriptionService.Extend", model=Month)
@staged
@once(SubscriptionInbox)
def extend(renewal: Any) -> dict[str, Any]:
    """Let a subscription run for a month. Rejected if its plan is no longer to be had."""
    plan, month = _plan(renewal.input.plan), renewal.input.month
    if plan.longest is not None and month > plan.longest:
        raise Rejected(f"plan withdrawn: nobody has {plan.name} after month {plan.longest}")
    term = Term.objects.create(
        **Effect.origin(renewal), plan=plan, month=month, price_cents=renewal.input.amount_cents
    )
    return {"term": term.number, "month": month}


@command("SubscriptionService.TakeBack")
@staged
@once(SubscriptionInbox)
def take_back(undo: Any) -> dict[str, Any]:
    """Take a month back."""
    term = Term.objects.get(key=undo.meta.undoes)
    if term.ended_at is None:
        term.ended_at = timezone.now()
        term.save(update_fields=["ended_at"])
    return {"term": term.number}


@command("SubscriptionService.Downgrade", model=Unpaid)
@staged
@once(SubscriptionInbox)
def downgrade(renewal: Any) -> dict[str, Any]:
    """Put a subscription onto the free plan."""
    made = Downgrade.objects.create(
        **Effect.origin(renewal), plan=_plan(renewal.input.plan), month=renewal.input.month
    )
    return {"downgrade": made.number, "from_month": made.month}


@command("SubscriptionService.Restore")
@staged
@once(SubscriptionInbox)
def restore(undo: Any) -> dict[str, Any]:
    """Give a subscription its plan back."""
    made = Downgrade.objects.get(key=undo.meta.undoes)
    if made.restored_at is None:
        made.restored_at = timezone.now()
        made.save(update_fields=["restored_at"])
    return {"downgrade": made.number}


def _plan(code: str) -> Plan:
    plan = Plan.objects.filter(code=code).first()
    if plan is None:
        raise Rejected(f"there is no plan {code}")
    return plan
