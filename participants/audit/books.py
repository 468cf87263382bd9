"""The books by themselves: is nothing made of nothing, and does nothing get lost?"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from participants.audit.check import Asked, check
from participants.audit.finding import Finding
from participants.audit.sums import total
from participants.audit.trades import BOOKINGS, TRADES, Trade
from participants.models import (
    Account,
    Bill,
    Budget,
    Claim,
    LedgerEntry,
    Mandate,
    Payout,
    Product,
    Reservation,
    StockMovement,
)


def check_books(trades: Collection[Trade] = TRADES) -> Iterator[Finding]:
    """Yield what is wrong with the books, whatever the sagas say; with those of all trades, or of these."""
    for each in CHECKS:
        yield from each()
    for trade in trades:
        if trade in BOOKINGS:
            yield from _offers_off(trade)
    for trade in trades:
        yield from _effects_without_a_command(trade)
        yield from _commands_without_an_effect(trade)


@check
def _stock_off() -> Asked:
    def told(product: Any) -> Finding:
        text = f"{product.on_hand} are on hand, but its movements add up to {product.journal}"
        return Finding("stock_conserved", f"product {product.sku}", text)

    journal = total(StockMovement.objects.filter(product=OuterRef("pk")), "product", "quantity")
    return Product.objects.annotate(journal=journal).exclude(on_hand=F("journal")), told


@check
def _totals_off() -> Asked:
    def told(r: Any) -> Finding:
        text = f"its total is {r.total_cents}, but its lines add up to {r.worth}"
        return Finding("reservation_total", f"reservation {r.number}", text, str(r.saga_id))

    lines = StockMovement.objects.filter(reservation=OuterRef("pk"), kind=StockMovement.RESERVED)
    priced = lines.annotate(worth=-F("quantity") * F("price_cents"))
    worth = total(priced, "reservation", "worth")
    return Reservation.objects.annotate(worth=worth).exclude(total_cents=F("worth")), told


@check
def _reservations_off() -> Asked:
    """Whatever a reservation took is away while it is in force, and back when it is released."""

    def told(r: Any) -> Finding:
        text = f"released at {r.released_at}, but {r.back} pieces came back and {-r.out} are still out"
        return Finding("stock_conserved", f"reservation {r.number}", text, str(r.saga_id))

    lines = StockMovement.objects.filter(reservation=OuterRef("pk"))
    both: QuerySet[Any] = Reservation.objects.annotate(
        out=total(lines, "reservation", "quantity"),
        back=total(lines.filter(kind=StockMovement.RELEASED), "reservation", "quantity"),
    )
    return both.filter(Q(released_at=None) & ~Q(back=0) | Q(released_at__isnull=False) & ~Q(out=0)), told


@check
def _accounts_off() -> Asked:
    def told(a: Any) -> Finding:
        text = f"its balance is {a.balance_cents}, but by the ledger it is {a.ledger}"
        return Finding("money_conserved", f"account {a.method}", text)

    of_account = LedgerEntry.objects.filter(account=OuterRef("pk"))
    charged = total(of_account.filter(kind=LedgerEntry.CHARGE), "account", "amount_cents")
    refunded = total(of_account.filter(kind=LedgerEntry.REFUND), "account", "amount_cents")
    paid_out = total(Payout.objects.in_force().filter(account=OuterRef("pk")), "account", "amount_cents")
    accounts = Account.objects.annotate(ledger=F("opening_cents") - charged + refunded + paid_out)
    return accounts.exclude(balance_cents=F("ledger")), told


@check
def _refunds_off() -> Asked:
    def told(r: Any) -> Finding:
        text = f"{r.amount_cents} to {r.account_id} for {r.undoes.amount_cents} from {r.undoes.account_id}"
        return Finding("refund_is_its_charge", f"refund {r.number}", text, str(r.saga_id))

    unlike = ~Q(amount_cents=F("undoes__amount_cents")) | ~Q(account=F("undoes__account"))
    refunds = LedgerEntry.objects.filter(kind=LedgerEntry.REFUND)
    return refunds.filter(unlike | Q(undoes__kind=LedgerEntry.REFUND)), told


@check
def _budgets_off() -> Asked:
    def told(b: Any) -> Finding:
        text = f"{b.left_cents} of {b.granted_cents} are left, but {b.claimed} are claimed"
        return Finding("budget_conserved", f"budget {b.name}", text)

    claimed = total(Claim.objects.in_force().filter(budget=OuterRef("pk")), "budget", "amount_cents")
    budgets = Budget.objects.annotate(claimed=claimed)
    return budgets.exclude(granted_cents=F("left_cents") + F("claimed")), told


@check
def _mandates_off() -> Asked:
    def told(m: Any) -> Finding:
        text = f"{m.left_cents} of {m.limit_cents} are left, but {m.charged} are charged"
        return Finding("mandate_conserved", f"mandate {m.card}", text)

    charged = total(Bill.objects.in_force().filter(mandate=OuterRef("pk")), "mandate", "amount_cents")
    mandates = Mandate.objects.annotate(charged=charged)
    return mandates.exclude(limit_cents=F("left_cents") + F("charged")), told


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _stock_off,
    _totals_off,
    _reservations_off,
    _accounts_off,
    _refunds_off,
    _budgets_off,
    _mandates_off,
)


@check
def _offers_off(trade: Trade) -> Asked:
    """What is not free is booked, and the other way round."""

    def told(offer: Any) -> Finding:
        text = f"{offer.free} of {offer.capacity} are free, but {offer.booked} are booked"
        return Finding("capacity_conserved", f"{offer._meta.verbose_name} {offer.code}", text)

    offers = trade.effects._meta.get_field("offer").related_model
    booked = total(trade.in_force().filter(offer=OuterRef("pk")), "offer", "quantity")
    return offers.objects.annotate(booked=booked).exclude(capacity=F("free") + F("booked")), told


@check
def _effects_without_a_command(trade: Trade) -> Asked:
    """An effect and the reply that remembers it are one transaction: neither is there alone."""

    def told(effect: Any) -> Finding:
        text = f"no completed command {effect.key}"
        return Finding("effect_has_its_command", str(effect), text, str(effect.saga_id))

    answered = trade.inbox.objects.filter(key=OuterRef("key"), outcome="completed")
    return trade.effects.objects.filter(~Exists(answered)), told


@check
def _commands_without_an_effect(trade: Trade) -> Asked:
    def told(entry: Any) -> Finding:
        text = f"answered {entry.reply}, but no {trade.noun} is there"
        return Finding("command_has_its_effect", entry.key, text)

    effect = trade.effects.objects.filter(key=OuterRef("key"))
    done = trade.inbox.objects.filter(command__in=trade.actions, outcome="completed")
    done = done.exclude(reply__has_key="refused")  # a no that was published instead of replied
    return done.filter(~Exists(effect)), told
