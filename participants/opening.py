"""How the shop opens, and how it is emptied: its products, the bank's accounts, the places out of reach."""

from django.db import transaction

from participants.models import (
    Account,
    CallCount,
    ClosedRegion,
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
from participants.sagas import OrderFulfillment
from participants.scenarios import CLOSED_REGION, DECLINED_CARD, LOW_CARD, SOLD_OUT
from sagas.models import LateReply, OperatorAction, Saga

PLENTY, FORTUNE_CENTS = 1_000_000_000, 10**14

#: SKU -> name, price in cents, pieces received.
PRODUCTS = {
    "TEA-100": ("Breakfast tea, 100 bags", 650, PLENTY),
    "MUG-RED": ("Enamel mug, red", 1250, PLENTY),
    "KETTLE-2": ("Kettle, 2 litres", 4990, PLENTY),
    "LAMP-01": ("Reading lamp", 7900, PLENTY),
    "CHAIR-OAK": ("Oak chair", 18900, PLENTY),
    "NOTE-A5": ("Notebook, A5", 480, PLENTY),
    "PEN-BLUE": ("Fountain pen, blue", 3450, PLENTY),
    SOLD_OUT: ("Globe, 30 cm (sold out)", 12900, 0),
}
#: Customer id -> name, address. Each pays with a card of their own, so that orders do not queue for one account.
CUSTOMERS = {
    "ada": ("Ada Lovelace", "12 Analytical Row, London, United Kingdom"),
    "alan": ("Alan Turing", "3 Bombe Street, Manchester, United Kingdom"),
    "annie": ("Annie Easley", "21 Centaur Avenue, Cleveland, United States"),
    "barbara": ("Barbara Liskov", "7 Substitution Square, Boston, United States"),
    "edsger": ("Edsger Dijkstra", "1 Kortste Pad, Nuenen, Netherlands"),
    "grace": ("Grace Hopper", "9 Nanosecond Lane, Arlington, United States"),
    "hedy": ("Hedy Lamarr", "88 Frequenzgasse, Wien, Austria"),
    "katherine": ("Katherine Johnson", "11 Orbit Road, Hampton, United States"),
    "konrad": ("Konrad Zuse", "4 Rechenweg, Berlin, Germany"),
    "leslie": ("Leslie Lamport", "17 Clock Hill, New York, United States"),
    "niklaus": ("Niklaus Wirth", "5 Pascalplatz, Winterthur, Switzerland"),
    "radia": ("Radia Perlman", "2 Spanning Tree Drive, Seattle, United States"),
}
#: Payment method -> holder, opening balance in cents, why the bank declines it.
ACCOUNTS = {
    **{f"card-{who}": (name, FORTUNE_CENTS, "") for who, (name, _) in CUSTOMERS.items()},
    DECLINED_CARD: ("Nobody", FORTUNE_CENTS, "reported as stolen"),
    LOW_CARD: ("A poor poet", 100, ""),
}


def seed() -> int:
    """Stock the shop and open the accounts, where that is not done yet; return how many things were added."""
    return sum(
        [
            *(_receive(sku, *values) for sku, values in PRODUCTS.items()),
            *(_open(method, *values) for method, values in ACCOUNTS.items()),
            ClosedRegion.objects.get_or_create(name=CLOSED_REGION)[1],
        ]
    )


def seeded() -> bool:
    """Whether the shop has all that its scenarios need."""
    return (
        Product.objects.filter(sku__in=PRODUCTS).count() == len(PRODUCTS)
        and Account.objects.filter(method__in=ACCOUNTS).count() == len(ACCOUNTS)
        and ClosedRegion.objects.filter(name=CLOSED_REGION).exists()
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


@transaction.atomic
def empty() -> dict[str, int]:
    """Remove the orders' sagas and all books, whatever is going on; return how many rows of what."""
    sagas = Saga.objects.filter(saga_type=OrderFulfillment.saga_type)
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
    """Return how many orders are not finished."""
    return Saga.objects.active().filter(saga_type=OrderFulfillment.saga_type).count()


_BOOKS = (
    StockMovement, Reservation, Product, LedgerEntry, Account, Shipment, ClosedRegion, Notice,
    InventoryInbox, PaymentInbox, ShippingInbox, NotificationInbox, CallCount,
)  # fmt: skip
