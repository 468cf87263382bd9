"""Measures Sagadesk and its peers on the same servers, round by round, and writes ``docs/performance.md``."""

import argparse
import sys
from typing import Any

from bench import compared, servers
from bench.harness import Effort, Entrant, Figures, measure
from bench.machine import machine, sentence, warn_if_busy
from bench.peers import PEERS, Unavailable, python_for
from bench.report import PAGES, arguments

BOTH = ("happy", "compensating", "idle")
ENTRANTS = (
    Entrant("sagadesk", "sagadesk", (*BOTH, "idle_called", "drained"), migrated=True),
    Entrant("sagadesk_plain", "sagadesk", ("happy", "drained"), migrated=True, options={"settings": {}}),
    Entrant("restate", "restate", BOTH, database="own"),
    Entrant("dbos", "dbos", (*BOTH, "idle_queue")),
    Entrant("raw", "raw", ("drained_50", "drained_10", "drained_1"), migrated=True),
    Entrant("celery", "celery", BOTH, database="redis"),
    Entrant("rq", "rq", BOTH, database="redis"),
    Entrant("temporal", "temporal", BOTH, database="own"),
    Entrant("sagadesk_sqlite", "sagadesk", ("happy", "idle", "drained"), database="sqlite", migrated=True),
    Entrant("dbos_sqlite", "dbos", ("happy", "idle"), database="sqlite"),
)
QUICK = Effort(rounds=3, seconds=3, idle=50)
FULL = Effort(rounds=5, seconds=5, idle=150)


def main() -> int:
    asked = _arguments()
    effort = QUICK if asked.quick else FULL
    entrants = [each for each in ENTRANTS if not asked.only or each.engine in asked.only]
    warn_if_busy()
    figures = Figures()
    for name in sorted({each.engine for each in entrants} & PEERS.keys()):
        try:
            python_for(name)
        except Unavailable as no:
            figures.skip([each for each in entrants if each.engine == name], str(no))
    with servers.running() as started:
        started.migrate()
        about = {**machine(started.folder), "server": started.server_version()}
        print(f"  {sentence(about)}; {about['server']}\n", flush=True)
        for number in range(effort.rounds):
            _round(number, entrants, started, effort, figures)
    report = compared.report(figures, about, effort)
    asked.write |= not (asked.quick or asked.only)
    report.hand_over(asked, page=PAGES.with_suffix(".md"))
    if asked.write:
        compared.plots(figures)
    return 1 if any(each.engine not in PEERS for each in entrants if each.name in figures.skipped) else 0


def _round(number: int, entrants: list[Entrant], started: Any, effort: Effort, figures: Figures) -> None:
    """Measure everyone once, each round another one first."""
    turn = number * 2 % len(entrants)
    for entrant in entrants[turn:] + entrants[:turn]:
        if entrant.name in figures.skipped:
            continue
        try:
            measure(entrant, started, effort, figures)
        except Unavailable as no:
            figures.skip([entrant], str(no))
        else:
            print(f"  round {number + 1}  {compared.line(entrant.name, figures)}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = arguments("run", str(__doc__))
    parser.add_argument(
        "--only", type=lambda text: text.split(","), help="these engines: sagadesk,restate,raw,…"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
