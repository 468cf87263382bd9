"""What the opening books hold: all that is for sale or to be booked, customers, and their accounts at the demo bank."""

from participants.models import CarClass, Flight, Hotel, Offer
from participants.scenarios.order import DECLINED_CARD, LOW_CARD, SOLD_OUT
from participants.scenarios.subscription import WITHDRAWN_PLAN
from participants.scenarios.trip import FULL_HOTEL

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
#: What can be subscribed to: code -> name, price in cents a month, and how long at most.
PLANS = {
    "BASIC": ("Basic", 490, None),
    "PLUS": ("Plus", 990, None),
    "FAMILY": ("Family", 1490, None),
    WITHDRAWN_PLAN: ("Summer pass (two months at most)", 290, 2),
}
#: What the budget for refunds opens with, in cents.
GRANTED_CENTS = 10**14
#: What can be booked: code -> name, price in cents of one a day, how many there are.
OFFERS: dict[type[Offer], dict[str, tuple[str, int, int]]] = {
    Flight: {
        "SD-101": ("Berlin and back, SD 101", 14900, PLENTY),
        "SD-204": ("Lisbon and back, SD 204", 21900, PLENTY),
        "SD-370": ("Reykjavík and back, SD 370", 28900, PLENTY),
        "SD-512": ("Kyoto and back, SD 512", 94900, PLENTY),
    },
    Hotel: {
        "ALFAMA": ("Alfama Rooms", 8900, PLENTY),
        "HARBOUR": ("The Old Harbour", 14500, PLENTY),
        "TATAMI": ("Tatami House", 11800, PLENTY),
        FULL_HOTEL: ("Grand Buda (full)", 19900, 0),
    },
    CarClass: {
        "COMPACT": ("Compact", 3900, PLENTY),
        "ESTATE": ("Estate", 5900, PLENTY),
        "VAN": ("Van", 8900, PLENTY),
    },
}
