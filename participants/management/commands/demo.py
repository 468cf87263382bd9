"""The demo shop on the command line: start orders, list the scenarios, stock the shop, empty it."""

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from participants import opening, orders
from participants.faults import MAX_PACE
from participants.scenarios import DEFAULT, SCENARIOS


class Command(BaseCommand):
    """``demo order`` prints a saga id a line; everything that is not an answer goes to stderr."""

    help = "Start demo orders, list their scenarios, stock the demo shop or empty it."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="order|scenarios|seed|reset")
        order = verbs.add_parser("order", help="start orders and print a saga id a line")
        order.add_argument("--scenario", type=_scenario, default=DEFAULT, help="see 'demo scenarios'")
        order.add_argument("-n", type=_count, default=1, help="how many orders (1)")
        order.add_argument("--pace", type=_pace, default=0.0, help="seconds that each step takes (0)")
        scenarios = verbs.add_parser("scenarios", help="what can happen to an order, and how it ends")
        scenarios.add_argument("--json", action="store_true")
        verbs.add_parser("seed", help="stock the shop, where that is not done yet")
        reset = verbs.add_parser(
            "reset", help="remove all orders, their sagas and the books; stock the shop anew"
        )
        reset.add_argument("--force", action="store_true", help="even while orders are in flight")

    def handle(self, *, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "order": self.order,
            "scenarios": self.scenarios,
            "seed": self.seed,
            "reset": self.reset,
        }
        verbs[verb](**options)

    def order(self, *, scenario: str, n: int, pace: float, **_: Any) -> None:
        """Start orders; an id is printed once its saga is durable."""
        for saga in orders.start_orders(scenario, n, pace=pace):
            self.stdout.write(str(saga.id))

    def scenarios(self, *, json: bool, **_: Any) -> None:
        """List the scenarios with the ends that they promise."""
        if json:
            self.stdout.write(_json([s.document() for s in SCENARIOS.values()]))
            return
        for s in SCENARIOS.values():
            end = s.state if s.attention is None else f"{s.state}, at attention {s.attention}"
            self.stdout.write(f"{s.name:26} {s.title}\n{'':26} → {end}. {s.description}")

    def seed(self, *, verbosity: int = 1, **_: Any) -> None:
        """Stock the shop; harmless when it is stocked."""
        added = opening.seed()
        if verbosity:
            self.stderr.write(f"Added {added}." if added else "The shop is stocked already.")

    def reset(self, *, force: bool, **_: Any) -> None:
        """Make the shop as new. Refused while orders are in flight, as their services would go on writing."""
        flying = opening.in_flight()
        if flying and not force:
            raise CommandError(f"{flying} orders are in flight; let them end, or say --force.")
        removed = opening.empty()
        opening.seed()
        listed = ", ".join(f"{count} {what}" for what, count in removed.items() if count)
        self.stderr.write(f"Removed {listed or 'nothing'}. The shop is as new.")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _scenario(name: str) -> str:
    if name not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    return name


def _count(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, not {text!r}")
    return int(text)


def _pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = math.nan
    if not 0 <= pace <= MAX_PACE:
        raise argparse.ArgumentTypeError(f"must be seconds from 0 to {MAX_PACE:g}, not {text!r}")
    return pace
