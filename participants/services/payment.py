"""PaymentService: charges the customer's payment method once for what is reserved, and pays back."""

from typing import Any

from django.db.models import F
from django.utils import timezone
from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Account, Effect, LedgerEntry, PaymentInbox, Payout
from participants.services.inventory import Goods, total_price
from sagas import Rejected, command
from sagas.inbox import once


class Purchase(BaseModel):
    """What payment wants to know of an order."""

    payment_method: str = Field(min_length=1, max_length=100)


@command("PaymentService.ProcessPayment", model=Purchase)
@staged
@once(PaymentInbox)
def process_payment(order: Any) -> dict[str, Any]:
    """Charge what was reserved. Rejected if the bank declines, or the account does not cover it."""
    account = _account(order.input.payment_method)
    amount = _amount_due(order)
    charge = LedgerEntry.objects.create(
        **Effect.origin(order), kind=LedgerEntry.CHARGE, account=account, amount_cents=amount
    )
    _withdraw(account, amount)
    return {"payment_id": charge.number, "amount": amount}


@command("PaymentService.RefundPayment")
@staged
@once(PaymentInbox)
def refund_payment(undo: Any) -> dict[str, Any]:
    """Pay the charge back to the account that it came from."""
    charge = LedgerEntry.objects.get(key=undo.meta.undoes)
    refund = LedgerEntry.objects.filter(undoes=charge).first() or _pay_back(charge, undo)
    return {"payment_id": refund.number, "amount": refund.amount_cents}


class Payee(BaseModel):
    """What payment wants to know of a refund."""

    payment_method: str = Field(min_length=1, max_length=100)
    amount_cents: int = Field(gt=0)


@command("PaymentService.PayOut", model=Payee)
@staged
@once(PaymentInbox)
def pay_out(refund: Any) -> dict[str, Any]:
    """Pay a customer. Rejected if the bank does not take it for that account."""
    account, amount = _account(refund.input.payment_method), refund.input.amount_cents
    payout = Payout.objects.create(**Effect.origin(refund), account=account, amount_cents=amount)
    _deposit(account, amount)
    return {"payout_id": payout.number, "amount": amount}


@command("PaymentService.RecallPayout")
@staged
@once(PaymentInbox)
def recall_payout(undo: Any) -> dict[str, Any]:
    """Take a payout back."""
    payout = Payout.objects.select_related("account").get(key=undo.meta.undoes)
    if payout.recalled_at is None:
        payout.recalled_at = timezone.now()
        payout.save(update_fields=["recalled_at"])
        _withdraw(payout.account, payout.amount_cents)
    return {"payout_id": payout.number}


def _account(method: str) -> Account:
    account = Account.objects.filter(method=method).first()
    if account is None:
        raise Rejected(f"the bank does not know the payment method {method}")
    if account.declined:
        raise Rejected(f"card declined: {account.declined}")
    return account


def _amount_due(order: Any) -> int:
    """Return what the reservations said, together; where an operator went on without one, ask inventory for the price.

    Rejected if nothing is reserved and nothing ordered.
    """
    results = (result for result in order["results"].values() if isinstance(result, dict))
    totals = [result["total_amount"] for result in results if isinstance(result.get("total_amount"), int)]
    if totals:
        return sum(totals)
    if "items" not in order:
        raise Rejected("there is nothing to pay for: no reservation says what it costs")
    return total_price(Goods.model_validate(dict(order)).items)


def _withdraw(account: Account, amount: int) -> None:
    """Check and take in one statement, so that two orders cannot spend the same money."""
    enough = Account.objects.filter(method=account.method, balance_cents__gte=amount)
    if not enough.update(balance_cents=F("balance_cents") - amount):
        raise Rejected(
            f"insufficient funds: {amount / 100:.2f} wanted, {account.balance_cents / 100:.2f} there"
        )


def _deposit(account: Account, amount: int) -> None:
    Account.objects.filter(method=account.method).update(balance_cents=F("balance_cents") + amount)


def _pay_back(charge: LedgerEntry, undo: Any) -> LedgerEntry:
    refund = LedgerEntry.objects.create(
        **Effect.origin(undo),
        kind=LedgerEntry.REFUND,
        account_id=charge.account_id,
        amount_cents=charge.amount_cents,
        undoes=charge,
    )
    _deposit(charge.account, charge.amount_cents)
    return refund
