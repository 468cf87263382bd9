"""The demos on the command line: start their sagas, list the scenarios, stock the shops, empty them."""

import argparse
import json
import math
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from participants import opening
from participants.demos import DEMOS, ORDER
from participants.demos.demo import Demo
from participants.faults import MAX_PACE
from participants.scenarios import DEFAULT


class Command(BaseCommand):
    """``demo order`` and its like print a saga id a line; everything that is not an answer goes to stderr."""

    help = "Start the demos' sagas, list their scenarios, stock the demo shops or empty them."

    def add_arguments(self, parser: CommandParser) -> None:
        names = "|".join([*DEMOS, "scenarios", "seed", "reset"])
        verbs = parser.add_subparsers(dest="verb", required=True, metavar=names)
        for demo in DEMOS.values():
            start = verbs.add_parser(
                demo.name, help=f"start demo sagas ({demo.name}), and print a saga id a line"
            )
            start.add_argument(
                "--scenario", type=_scenario(demo), default=DEFAULT, help="see 'demo scenarios'"
            )
            start.add_argument("-n", type=_count, default=1, help="how many (1)")
            start.add_argument("--pace", type=_pace, default=0.0, help="seconds that each step takes (0)")
        scenarios = verbs.add_parser("scenarios", help="what can happen to an order, and how it ends")
        scenarios.add_argument("--type", choices=DEMOS, default=ORDER.name, help="to what else (order)")
        scenarios.add_argument("--json", action="store_true")
        verbs.add_parser("seed", help="stock the shops, where that is not done yet")
        reset = verbs.add_parser("reset", help="remove the demos' sagas and all books; stock the shops anew")
        reset.add_argument("--force", action="store_true", help="even while some are in flight")

    def handle(self, *, verb: str, **options: Any) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "scenarios": self.scenarios,
            "seed": self.seed,
            "reset": self.reset,
        }
        if verb in DEMOS:
            self.start(DEMOS[verb], **options)
        else:
            verbs[verb](**options)

    def start(self, demo: Demo, *, scenario: str, n: int, pace: float, **_: Any) -> None:
        """Start sagas; an id is printed once its saga is durable."""
        for saga in demo.start(scenario, n, pace=pace):
            self.stdout.write(str(saga.id))

    def scenarios(self, *, type: str, json: bool, **_: Any) -> None:
        """List a demo's scenarios with the ends that they promise."""
        scenarios = DEMOS[type].scenarios.values()
        if json:
            self.stdout.write(_json([s.document() for s in scenarios]))
            return
        for s in scenarios:
            at = f", at attention {s.attention}" if s.attention else ""
            end = s.state + (f", waiting for an {s.waiting}" if s.waiting else at)
            self.stdout.write(f"{s.name:26} {s.title}\n{'':26} → {end}. {s.description}")

    def seed(self, *, verbosity: int = 1, **_: Any) -> None:
        """Stock the shops; harmless when they are stocked."""
        added = opening.seed()
        if verbosity:
            self.stderr.write(f"Added {added}." if added else "The shops are stocked already.")

    def reset(self, *, force: bool, **_: Any) -> None:
        """Make the shops as new. Refused while sagas are under way, as their services would go on writing."""
        flying = opening.in_flight()
        if flying and not force:
            raise CommandError(f"{flying} of the demos' sagas are under way; let them end, or say --force.")
        removed = opening.empty()
        opening.seed()
        listed = ", ".join(f"{count} {what}" for what, count in removed.items() if count)
        self.stderr.write(f"Removed {listed or 'nothing'}. The shops are as new.")


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _scenario(demo: Demo) -> Callable[[str], str]:
    def known(name: str) -> str:
        if name not in demo.scenarios:
            there = ", ".join(demo.scenarios)
            raise argparse.ArgumentTypeError(f"there is no scenario {name!r}; there are {there}")
        return name

    return known


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
