"""How the demos open, and how they are emptied: what there is to sell and to book, the bank's accounts."""

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from participants.models import (
    Account,
    Bill,
    BillingInbox,
    Budget,
    CallCount,
    CarBooking,
    CarClass,
    CarInbox,
    Claim,
    ClaimsInbox,
    ClosedRegion,
    Downgrade,
    Flight,
    FlightInbox,
    Hotel,
    HotelInbox,
    InventoryInbox,
    LedgerEntry,
    Mandate,
    Notice,
    NotificationInbox,
    PaymentInbox,
    Payout,
    Plan,
    Product,
    Reservation,
    RoomBooking,
    SeatBooking,
    Shipment,
    ShippingInbox,
    StockMovement,
    SubscriptionInbox,
    Term,
    Ticket,
    TicketingInbox,
)
from participants.opening.books import ACCOUNTS, GRANTED_CENTS, OFFERS, PLANS, PRODUCTS
from participants.sagas import (
    OrderChoreography,
    OrderFulfillment,
    RefundApproval,
    TripBooking,
    order_function,
    subscription_renewal,
)
from participants.sagas.refund import MANAGERS
from participants.scenarios.order import CLOSED_REGION
from participants.services.claims import GOODWILL
from sagas.models import Due, LateReply, OperatorAction, Saga, SagaQuerySet

SAGA_TYPES = tuple(
    saga.saga_type
    for saga in (
        *(OrderFulfillment, OrderChoreography, order_function),
        *(TripBooking, RefundApproval, subscription_renewal),
    )
)
#: What a manager may do: look, and answer.
MAY = ("view_saga", "approve_saga")


def seed() -> int:
    """Stock the shop, open the accounts and so on, where that is not done yet; return how many things were added."""
    return sum(
        [
            *(_receive(sku, *values) for sku, values in PRODUCTS.items()),
            *(_open(method, *values) for method, values in ACCOUNTS.items()),
            *(_agree(card, *values) for card, values in ACCOUNTS.items()),
            *(_plan(code, *values) for code, values in PLANS.items()),
            *(_offer(offers, code, *v) for offers, all_of in OFFERS.items() for code, v in all_of.items()),
            ClosedRegion.objects.get_or_create(name=CLOSED_REGION)[1],
            _grant(),
            _managers(),
        ]
    )


def seeded() -> bool:
    """Whether there is all that the scenarios need."""
    wanted: dict[type[models.Model], Iterable[str]] = {
        Product: PRODUCTS,
        Account: ACCOUNTS,
        ClosedRegion: [CLOSED_REGION],
        Budget: [GOODWILL],
        Mandate: ACCOUNTS,
        Plan: PLANS,
        **OFFERS,
    }
    return Group.objects.filter(name=MANAGERS).exists() and all(
        model._default_manager.filter(pk__in=list(keys)).count() == len(list(keys))
        for model, keys in wanted.items()
    )


def _receive(sku: str, name: str, price_cents: int, pieces: int) -> bool:
    with transaction.atomic():
        defaults = {"name": name, "price_cents": price_cents, "on_hand": pieces}
        product, created = Product.objects.get_or_create(sku=sku, defaults=defaults)
        if created and pieces:
            product.movements.create(kind=StockMovement.RECEIVED, quantity=pieces)
    return created


def _open(method: str, holder: str, cents: int, declined: str) -> bool:
    defaults = {"holder": holder, "opening_cents": cents, "balance_cents": cents, "declined": declined}
    return Account.objects.get_or_create(method=method, defaults=defaults)[1]


def _offer(offers: type[models.Model], code: str, name: str, price_cents: int, capacity: int) -> bool:
    defaults = {"name": name, "price_cents": price_cents, "capacity": capacity, "free": capacity}
    return offers._default_manager.get_or_create(code=code, defaults=defaults)[1]


def _agree(card: str, holder: str, cents: int, refused: str) -> bool:
    defaults = {"holder": holder, "limit_cents": cents, "left_cents": cents, "refused": refused}
    return Mandate.objects.get_or_create(card=card, defaults=defaults)[1]


def _plan(code: str, name: str, price_cents: int, longest: int | None) -> bool:
    defaults = {"name": name, "price_cents": price_cents, "longest": longest}
    return Plan.objects.get_or_create(code=code, defaults=defaults)[1]


def _grant() -> bool:
    defaults = {"granted_cents": GRANTED_CENTS, "left_cents": GRANTED_CENTS}
    return Budget.objects.get_or_create(name=GOODWILL, defaults=defaults)[1]


def _managers() -> bool:
    """Make the group of those whom large refunds wait for; who is in it, an administrator says."""
    group, created = Group.objects.get_or_create(name=MANAGERS)
    if created:
        group.permissions.set(Permission.objects.filter(content_type__app_label="sagas", codename__in=MAY))
    return created


@transaction.atomic
def empty() -> dict[str, int]:
    """Remove the demos' sagas and all books, whatever is going on; return how many rows of what."""
    sagas = _sagas()
    for apart in (LateReply, OperatorAction):
        apart.objects.filter(saga_id__in=sagas.values("id")).delete()
    removed = {"sagas": sagas.count()}
    sagas.delete()
    for undo in (LedgerEntry, Notice):  # before what they undo
        undo.objects.exclude(undoes=None).delete()
    for books in _BOOKS:
        removed[str(books._meta.verbose_name_plural)] = books._default_manager.all().delete()[0]
    return removed


def in_flight() -> int:
    """Return how many of the demos' sagas are under way: not those that only go on when a person has done something."""
    # A worker holds one of its commands, or may take one: another branch is not at rest.
    called = Due.objects.filter(Q(lease_token__isnull=False) | Q(due_at__lte=Now(), paused=False))
    rests = Q(attention__isnull=False) | Q(paused=True) | Q(waiting__kind__in=["approval", "timer"])
    return _sagas().active().exclude(rests & ~Q(pk__in=called.values("saga_id"))).count()


def _sagas() -> SagaQuerySet:
    return Saga.objects.filter(saga_type__in=SAGA_TYPES)


_BOOKS = (
    StockMovement, Reservation, Product, LedgerEntry, Payout, Account, Claim, Budget, Shipment, ClosedRegion, Notice,
    SeatBooking, Flight, RoomBooking, Hotel, CarBooking, CarClass, Ticket, Bill, Mandate, Term, Downgrade, Plan,
    InventoryInbox, PaymentInbox, ShippingInbox, NotificationInbox,
    FlightInbox, HotelInbox, CarInbox, TicketingInbox, ClaimsInbox, BillingInbox, SubscriptionInbox, CallCount,
)  # fmt: skip
