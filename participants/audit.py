"""The auditor: do the services' books add up, and do they say what the sagas say?

Each check is one statement, so it sees one moment and needs no lock, whatever is going on meanwhile.
An effect that is neither undone nor taken back is *in force*.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from participants.models import (
    Account,
    InventoryInbox,
    LedgerEntry,
    Notice,
    NotificationInbox,
    PaymentInbox,
    Product,
    Reservation,
    Shipment,
    ShippingInbox,
    StockMovement,
)
from sagas.models import IMPORT, OperatorAction, Saga, Step


@dataclass(frozen=True)
class Finding:
    """A row that is not as it should be, or that a person made so."""

    check: str
    row: str
    text: str
    saga: str | None = None


@dataclass(frozen=True)
class Report:
    """What the auditor found."""

    offences: list[Finding]
    settled: list[Finding]
    """What operators settled by name, in sagas that are over."""
    in_flight: int
    """Sagas that are not over; of those only what must hold at any time was checked."""
    checked: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        return {"clean": not self.offences, **asdict(self)}


@dataclass(frozen=True)
class Trade:
    """What one kind of step does to one service's books."""

    action: str
    effects: type[Any]
    inbox: type[Any]
    noun: str

    def in_force(self) -> QuerySet[Any]:
        """Return the effects that stand."""
        standing: QuerySet[Any] = self.effects.objects.in_force()
        return standing


TRADES = (
    Trade("InventoryService.ReserveItems", Reservation, InventoryInbox, "reservation"),
    Trade("PaymentService.ProcessPayment", LedgerEntry, PaymentInbox, "charge"),
    Trade("ShippingService.CreateShipment", Shipment, ShippingInbox, "shipment"),
    Trade("NotificationService.SendOrderConfirmation", Notice, NotificationInbox, "confirmation"),
)
_BY_HAND = ("resolve", "skip")


def audit() -> Report:
    """Check everything."""
    offences = [finding for check in CHECKS for finding in check()]
    for trade in TRADES:
        offences += [*_effects_without_a_command(trade), *_commands_without_an_effect(trade)]
        offences += _sagas_against(trade)
    return Report(
        offences=offences,
        settled=list(_settled()),
        in_flight=Saga.objects.active().count(),
        checked={
            "sagas": Saga.objects.count(),
            **{f"{t.noun}s in force": t.in_force().count() for t in TRADES},
        },
    )


# The books by themselves


def _stock_off() -> Iterator[Finding]:
    journal = _total(StockMovement.objects.filter(product=OuterRef("pk")), "product", "quantity")
    for product in Product.objects.annotate(journal=journal).exclude(on_hand=F("journal")):
        text = f"{product.on_hand} are on hand, but its movements add up to {product.journal}"
        yield Finding("stock_conserved", f"product {product.sku}", text)


def _reservations_off() -> Iterator[Finding]:
    """Whatever a reservation took is away while it is in force, and back when it is released."""
    lines = StockMovement.objects.filter(reservation=OuterRef("pk"))
    worth = lines.filter(kind=StockMovement.RESERVED).annotate(worth=-F("quantity") * F("price_cents"))
    back = lines.filter(kind=StockMovement.RELEASED).annotate(worth=F("quantity"))
    both: QuerySet[Any] = Reservation.objects.annotate(
        worth=_total(worth, "reservation", "worth"),
        out=_total(lines, "reservation", "quantity"),
        back=_total(back, "reservation", "worth"),
    )
    for r in both.exclude(total_cents=F("worth")):
        text = f"its total is {r.total_cents}, but its lines add up to {r.worth}"
        yield Finding("reservation_total", f"reservation {r.number}", text, str(r.saga_id))
    for r in both.filter(Q(released_at=None) & ~Q(back=0) | Q(released_at__isnull=False) & ~Q(out=0)):
        text = f"released at {r.released_at}, but {r.back} pieces came back and {-r.out} are still out"
        yield Finding("stock_conserved", f"reservation {r.number}", text, str(r.saga_id))


def _accounts_off() -> Iterator[Finding]:
    of_account = LedgerEntry.objects.filter(account=OuterRef("pk"))
    charged = _total(of_account.filter(kind=LedgerEntry.CHARGE), "account", "amount_cents")
    refunded = _total(of_account.filter(kind=LedgerEntry.REFUND), "account", "amount_cents")
    accounts = Account.objects.annotate(ledger=F("opening_cents") - charged + refunded)
    for a in accounts.exclude(balance_cents=F("ledger")):
        text = f"its balance is {a.balance_cents}, but by the ledger it is {a.ledger}"
        yield Finding("money_conserved", f"account {a.method}", text)


def _refunds_off() -> Iterator[Finding]:
    refunds: QuerySet[Any] = LedgerEntry.objects.filter(kind=LedgerEntry.REFUND).select_related("undoes")
    unlike = ~Q(amount_cents=F("undoes__amount_cents")) | ~Q(account=F("undoes__account"))
    for r in refunds.filter(unlike | Q(undoes__kind=LedgerEntry.REFUND)):
        text = f"{r.amount_cents} to {r.account_id} for {r.undoes.amount_cents} from {r.undoes.account_id}"
        yield Finding("refund_is_its_charge", f"refund {r.number}", text, str(r.saga_id))


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _stock_off,
    _reservations_off,
    _accounts_off,
    _refunds_off,
)


def _effects_without_a_command(trade: Trade) -> Iterator[Finding]:
    """An effect and the reply that remembers it are one transaction: neither is there alone."""
    answered = trade.inbox.objects.filter(key=OuterRef("key"), outcome="completed")
    for effect in trade.effects.objects.filter(~Exists(answered)):
        yield Finding(
            "effect_has_its_command", str(effect), f"no completed command {effect.key}", str(effect.saga_id)
        )


def _commands_without_an_effect(trade: Trade) -> Iterator[Finding]:
    effect = trade.effects.objects.filter(key=OuterRef("key"))
    for entry in trade.inbox.objects.filter(~Exists(effect), command=trade.action, outcome="completed"):
        yield Finding(
            "command_has_its_effect", entry.key, f"answered {entry.reply}, but no {trade.noun} is there"
        )


# The books against the sagas


def _sagas_against(trade: Trade) -> Iterator[Finding]:
    """A saga that is completed has its effects, once each; one that failed has none left."""
    sagas: QuerySet[Any] = Saga.objects.annotate(
        have=_count(trade.in_force().filter(saga_id=OuterRef("pk")), "saga_id"),
        asked=_steps(trade),
        done=_steps(trade, status="completed"),
        left=_steps(trade, standing=True),
    ).filter(~_by_hand(trade), ~Q(origin_kind=IMPORT))  # what ran elsewhere has its effects there
    completed, failed = Q(state="completed"), Q(state="failed")
    for saga in sagas.filter(completed & ~Q(have=F("done"))):
        yield _unlike(trade, saga, "completed_has_its_effects", saga.done)
    for saga in sagas.filter(failed & Q(have__gt=F("left"))):
        yield _unlike(trade, saga, "failed_keeps_nothing", saga.left)
    for saga in sagas.filter(~completed & ~failed & Q(have__gt=F("asked"))):
        yield _unlike(trade, saga, "no_effect_twice", saga.asked)
    if trade.effects is LedgerEntry:
        yield from _charged_other_than_reserved(sagas.filter(completed))


def _charged_other_than_reserved(sagas: QuerySet[Any]) -> Iterator[Finding]:
    of_saga = {"saga_id": OuterRef("pk")}
    both = sagas.annotate(
        charged=_total(LedgerEntry.objects.in_force().filter(**of_saga), "saga_id", "amount_cents"),
        reserved=_total(Reservation.objects.in_force().filter(**of_saga), "saga_id", "total_cents"),
    )
    for saga in both.filter(charged__gt=0, reserved__gt=0).exclude(charged=F("reserved")):
        text = f"{saga.charged} were charged for goods of {saga.reserved}"
        yield Finding("charged_what_was_reserved", saga.correlation_id, text, str(saga.pk))


def _unlike(trade: Trade, saga: Any, check: str, should: int) -> Finding:
    text = f"{saga.state}, with {saga.have} {trade.noun}s in force instead of {should}"
    return Finding(check, saga.correlation_id, text, str(saga.pk))


def _settled() -> Iterator[Finding]:
    over = OperatorAction.objects.filter(verb__in=_BY_HAND, saga__state__in=["completed", "failed"])
    for act in over.select_related("saga").order_by("at", "id"):
        verdict = f" as {act.request['outcome']}" if act.request.get("outcome") else ""
        text = f"{act.operator_name}: {act.verb} {act.step}{verdict}: {act.reason}"
        yield Finding("settled_by_hand", act.saga.correlation_id, text, str(act.saga_id))


def _by_hand(trade: Trade) -> Exists:
    acts = OperatorAction.objects.filter(saga=OuterRef("saga"), step=OuterRef("name"), verb__in=_BY_HAND)
    return Exists(Step.objects.filter(Exists(acts), saga=OuterRef("pk"), action=trade.action))


def _steps(trade: Trade, **where: Any) -> Coalesce:
    return _count(Step.objects.filter(saga=OuterRef("pk"), action=trade.action, **where), "saga")


def _count(rows: QuerySet[Any, Any], by: str) -> Coalesce:
    return _aggregate(rows, by, Count("pk"))


def _total(rows: QuerySet[Any, Any], by: str, column: str) -> Coalesce:
    return _aggregate(rows, by, Sum(column))


def _aggregate(rows: QuerySet[Any, Any], by: str, function: Any) -> Coalesce:
    """Aggregate the rows of each outer row; nothing is zero."""
    grouped = rows.order_by().values(by).annotate(aggregate=function).values("aggregate")
    return Coalesce(Subquery(grouped), 0, output_field=IntegerField())
