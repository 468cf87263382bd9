"""The books by themselves: is nothing made of nothing, and does nothing get lost?"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

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
    for check in CHECKS:
        yield from check()
    for trade in trades:
        if trade in BOOKINGS:
            yield from _offers_off(trade)
    for trade in trades:
        yield from _effects_without_a_command(trade)
        yield from _commands_without_an_effect(trade)


def _stock_off() -> Iterator[Finding]:
    journal = total(StockMovement.objects.filter(product=OuterRef("pk")), "product", "quantity")
    for product in Product.objects.annotate(journal=journal).exclude(on_hand=F("journal")):
        text = f"{product.on_hand} are on hand, but its movements add up to {product.journal}"
        yield Finding("stock_conserved", f"product {product.sku}", text)


def _reservations_off() -> Iterator[Finding]:
    """Whatever a reservation took is away while it is in force, and back when it is released."""
    lines = StockMovement.objects.filter(reservation=OuterRef("pk"))
    worth = lines.filter(kind=StockMovement.RESERVED).annotate(worth=-F("quantity") * F("price_cents"))
    back = lines.filter(kind=StockMovement.RELEASED).annotate(worth=F("quantity"))
    both: QuerySet[Any] = Reservation.objects.annotate(
        worth=total(worth, "reservation", "worth"),
        out=total(lines, "reservation", "quantity"),
        back=total(back, "reservation", "worth"),
    )
    for r in both.exclude(total_cents=F("worth")):
        text = f"its total is {r.total_cents}, but its lines add up to {r.worth}"
        yield Finding("reservation_total", f"reservation {r.number}", text, str(r.saga_id))
    for r in both.filter(Q(released_at=None) & ~Q(back=0) | Q(released_at__isnull=False) & ~Q(out=0)):
        text = f"released at {r.released_at}, but {r.back} pieces came back and {-r.out} are still out"
        yield Finding("stock_conserved", f"reservation {r.number}", text, str(r.saga_id))


def _accounts_off() -> Iterator[Finding]:
    of_account = LedgerEntry.objects.filter(account=OuterRef("pk"))
    charged = total(of_account.filter(kind=LedgerEntry.CHARGE), "account", "amount_cents")
    refunded = total(of_account.filter(kind=LedgerEntry.REFUND), "account", "amount_cents")
    paid_out = total(Payout.objects.in_force().filter(account=OuterRef("pk")), "account", "amount_cents")
    accounts = Account.objects.annotate(ledger=F("opening_cents") - charged + refunded + paid_out)
    for a in accounts.exclude(balance_cents=F("ledger")):
        text = f"its balance is {a.balance_cents}, but by the ledger it is {a.ledger}"
        yield Finding("money_conserved", f"account {a.method}", text)


def _refunds_off() -> Iterator[Finding]:
    refunds: QuerySet[Any] = LedgerEntry.objects.filter(kind=LedgerEntry.REFUND).select_related("undoes")
    unlike = ~Q(amount_cents=F("undoes__amount_cents")) | ~Q(account=F("undoes__account"))
    for r in refunds.filter(unlike | Q(undoes__kind=LedgerEntry.REFUND)):
        text = f"{r.amount_cents} to {r.account_id} for {r.undoes.amount_cents} from {r.undoes.account_id}"
        yield Finding("refund_is_its_charge", f"refund {r.number}", text, str(r.saga_id))


def _budgets_off() -> Iterator[Finding]:
    claimed = total(Claim.objects.in_force().filter(budget=OuterRef("pk")), "budget", "amount_cents")
    budgets = Budget.objects.annotate(claimed=claimed)
    for b in budgets.exclude(granted_cents=F("left_cents") + F("claimed")):
        text = f"{b.left_cents} of {b.granted_cents} are left, but {b.claimed} are claimed"
        yield Finding("budget_conserved", f"budget {b.name}", text)


def _mandates_off() -> Iterator[Finding]:
    charged = total(Bill.objects.in_force().filter(mandate=OuterRef("pk")), "mandate", "amount_cents")
    mandates = Mandate.objects.annotate(charged=charged)
    for m in mandates.exclude(limit_cents=F("left_cents") + F("charged")):
        text = f"{m.left_cents} of {m.limit_cents} are left, but {m.charged} are charged"
        yield Finding("mandate_conserved", f"mandate {m.card}", text)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _stock_off,
    _reservations_off,
    _accounts_off,
    _refunds_off,
    _budgets_off,
    _mandates_off,
)


def _offers_off(trade: Trade) -> Iterator[Finding]:
    """What is not free is booked, and the other way round."""
    offers = trade.effects._meta.get_field("offer").related_model
    booked = total(trade.in_force().filter(offer=OuterRef("pk")), "offer", "quantity")
    for offer in offers.objects.annotate(booked=booked).exclude(capacity=F("free") + F("booked")):
        text = f"{offer.free} of {offer.capacity} are free, but {offer.booked} are booked"
        yield Finding("capacity_conserved", f"{offer._meta.verbose_name} {offer.code}", text)


def _effects_without_a_command(trade: Trade) -> Iterator[Finding]:
    """An effect and the reply that remembers it are one transaction: neither is there alone."""
    answered = trade.inbox.objects.filter(key=OuterRef("key"), outcome="completed")
    for effect in trade.effects.objects.filter(~Exists(answered)):
        yield Finding(
            "effect_has_its_command", str(effect), f"no completed command {effect.key}", str(effect.saga_id)
        )


def _commands_without_an_effect(trade: Trade) -> Iterator[Finding]:
    effect = trade.effects.objects.filter(key=OuterRef("key"))
    done = trade.inbox.objects.filter(command__in=trade.actions, outcome="completed")
    done = done.exclude(reply__has_key="refused")  # a no that was published instead of replied
    for entry in done.filter(~Exists(effect)):
        yield Finding(
            "command_has_its_effect", entry.key, f"answered {entry.reply}, but no {trade.noun} is there"
        )
