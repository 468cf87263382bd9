"""The books against the sagas: one that is completed has its effects, once each; one that failed has none left."""

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from participants.audit.check import Asked, check
from participants.audit.finding import Finding
from participants.audit.sums import count, total
from participants.audit.trades import (
    BILLS,
    BOOKINGS,
    CHARGES,
    CLAIMS,
    GOODS,
    PAYOUTS,
    SEATS,
    TERMS,
    TICKETS,
    TRADES,
    Trade,
)
from sagas.models import IMPORT, UNDO, OperatorAction, Saga, Step

_BY_HAND = ("resolve", "skip")
#: The action of a step that a person answers, as saga rows name it.
APPROVAL = "sagas.Approval"
#: The step that waits for a choreography's end: who says how that ends speaks for all of it.
END = Q(name="end", action="sagas.Timer")
#: What is paid for.
_PRICED = (GOODS, *BOOKINGS)


def check_sagas() -> Iterator[Finding]:
    """Yield the sagas whose effects are not what their state says."""
    for trade in TRADES:
        yield from _effects_off(trade)
        yield from _undone_in_force(trade)
    yield from _charged_other_than_reserved()
    yield from _tickets_other_than_seats()
    yield from _paid_other_than_claimed()
    yield from _paid_without_a_yes()
    yield from _months_unpaid()
    yield from _months_paid_for_nothing()


def settled() -> Iterator[Finding]:
    """Yield what operators settled by name, in sagas that are over: listed, and no offence."""
    over = OperatorAction.objects.filter(verb__in=_BY_HAND, saga__state__in=["completed", "failed"])
    for act in over.select_related("saga").order_by("at", "id"):
        verdict = f" as {act.request['outcome']}" if act.request.get("outcome") else ""
        text = f"{act.operator_name}: {act.verb} {act.step}{verdict}: {act.reason}"
        yield Finding("settled_by_hand", act.saga.correlation_id, text, str(act.saga_id))


@check
def _effects_off(trade: Trade) -> Asked:
    def told(saga: Any) -> Finding:
        match saga.state:
            case "completed":
                return _unlike(trade, saga, "completed_has_its_effects", saga.done)
            case "failed":
                return _unlike(trade, saga, "failed_keeps_nothing", saga.left)
            case _:
                return _unlike(trade, saga, "no_effect_twice", saga.asked)

    sagas: QuerySet[Any] = _untouched(trade).annotate(
        have=count(trade.in_force().filter(saga_id=OuterRef("pk")), "saga_id"),
        asked=_steps(trade),
        done=_steps(trade, status="completed"),
        left=_steps(trade, standing=True),
    )
    completed, failed = Q(state="completed"), Q(state="failed")
    off = completed & ~Q(have=F("done"))
    off |= failed & Q(have__gt=F("left"))
    off |= ~completed & ~failed & Q(have__gt=F("asked"))
    return sagas.filter(off), told


@check
def _undone_in_force(trade: Trade) -> Asked:
    """Find the children whose effects another saga has undone, as it says, and that have some of them still."""

    def told(saga: Any) -> Finding:
        return _unlike(trade, saga, "undone_keeps_nothing", 0)

    by_hand = OperatorAction.objects.filter(saga=OuterRef("pk"), verb__in=_BY_HAND)
    undo = _undos().filter(~Exists(by_hand), state="completed")
    have = count(trade.in_force().filter(saga_id=OuterRef("pk")), "saga_id")
    undone = Saga.objects.filter(~Exists(_settled_by_hand(trade)), Exists(undo))
    return undone.annotate(have=have).filter(have__gt=0), told


def _undos() -> QuerySet[Any]:
    """Return the sagas that undo what a completed one did."""
    return Saga.objects.filter(origin_id=OuterRef("pk"), origin_kind=UNDO)


@check
def _charged_other_than_reserved() -> Asked:
    def told(saga: Any) -> Finding:
        text = f"{saga.charged} were charged for what costs {saga.reserved}"
        return Finding("charged_what_was_reserved", saga.correlation_id, text, str(saga.pk))

    both = (
        _untouched(CHARGES, *BOOKINGS)
        .filter(state="completed")
        .annotate(
            charged=_worth(CHARGES, "amount_cents"),
            reserved=reduce(add, (_worth(trade, "total_cents") for trade in _PRICED)),
        )
    )
    return both.filter(charged__gt=0, reserved__gt=0).exclude(charged=F("reserved")), told


@check
def _tickets_other_than_seats() -> Asked:
    def told(saga: Any) -> Finding:
        text = f"{saga.tickets} tickets for {saga.seats} seats"
        return Finding("a_ticket_for_each_seat", saga.correlation_id, text, str(saga.pk))

    both = (
        _untouched(SEATS, TICKETS)
        .filter(state="completed")
        .annotate(
            seats=_worth(SEATS, "quantity"),
            tickets=count(TICKETS.in_force().filter(saga_id=OuterRef("pk")), "saga_id"),
        )
    )
    return both.exclude(tickets=F("seats")), told


@check
def _paid_other_than_claimed() -> Asked:
    def told(saga: Any) -> Finding:
        text = f"{saga.paid} were paid out for a claim of {saga.claimed}"
        return Finding("paid_what_was_claimed", saga.correlation_id, text, str(saga.pk))

    both = (
        _untouched(CLAIMS, PAYOUTS)
        .filter(state="completed")
        .annotate(claimed=_worth(CLAIMS, "amount_cents"), paid=_worth(PAYOUTS, "amount_cents"))
    )
    return both.exclude(paid=F("claimed")), told


@check
def _paid_without_a_yes() -> Asked:
    """Money that needs an approval is paid after it, and never before: whoever skipped it did so by name."""

    def told(payout: Any) -> Finding:
        text = "nobody has approved what it pays for"
        return Finding("approved_before_paid", str(payout), text, str(payout.saga_id))

    unanswered = Step.objects.filter(saga=OuterRef("saga_id"), action=APPROVAL).exclude(
        status__in=["completed", "skipped"]
    )
    return PAYOUTS.in_force().filter(Exists(unanswered)), told


@check
def _months_unpaid() -> Asked:
    """A month for which a subscription runs is paid before it begins, whatever becomes of the rest."""

    def told(term: Any) -> Finding:
        text = f"it runs in month {term.month}, for which nobody has paid {term.price_cents}"
        return Finding("each_month_is_paid", str(term), text, str(term.saga_id))

    paid = BILLS.in_force().filter(
        saga_id=OuterRef("saga_id"), month=OuterRef("month"), amount_cents=OuterRef("price_cents")
    )
    untouched = _untouched(BILLS, TERMS).values("pk")
    return TERMS.in_force().filter(~Exists(paid), saga_id__in=untouched), told


@check
def _months_paid_for_nothing() -> Asked:
    def told(bill: Any) -> Finding:
        text = f"month {bill.month} was charged and did not run"
        return Finding("each_bill_has_its_month", str(bill), text, str(bill.saga_id))

    run = TERMS.in_force().filter(saga_id=OuterRef("saga_id"), month=OuterRef("month"))
    over = _untouched(BILLS, TERMS).filter(state="completed").values("pk")
    return BILLS.in_force().filter(~Exists(run), saga_id__in=over), told


def _untouched(*trades: Trade) -> QuerySet[Any]:
    """Return the sagas in which nobody settled such a step, or its undo, by hand, that ran here, and stand."""
    # What ran elsewhere has its effects there.
    untouched = Saga.objects.filter(~Exists(_settled_by_hand(*trades)), ~Q(origin_kind=IMPORT))
    return untouched.exclude(Exists(_undos()))


def _settled_by_hand(*trades: Trade) -> QuerySet[Any]:
    """Return the steps of a saga that have such effects, and that somebody settled."""
    acts = OperatorAction.objects.filter(saga=OuterRef("saga"), step=OuterRef("name"), verb__in=_BY_HAND)
    actions = [action for trade in trades for action in (*trade.actions, *trade.undos)]
    return Step.objects.filter(Q(action__in=actions) | END, Exists(acts), saga=OuterRef("pk"))


def _steps(trade: Trade, **where: Any) -> Coalesce:
    steps = Step.objects.filter(saga=OuterRef("pk"), action__in=trade.actions, **where)
    return count(steps, "saga")


def _worth(trade: Trade, column: str) -> Coalesce:
    return total(trade.in_force().filter(saga_id=OuterRef("pk")), "saga_id", column)


def _unlike(trade: Trade, saga: Any, check: str, should: int) -> Finding:
    text = f"{saga.state}, with {saga.have} {trade.noun}s in force instead of {should}"
    return Finding(check, saga.correlation_id, text, str(saga.pk))
