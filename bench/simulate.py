"""Simulates sagas of the pure core under every fault that it may meet, and checks each with an oracle of its own.

The same number of the same seed is the same saga. One that breaks a rule is shrunk, shown, and can be kept
as a test.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import Path

from bench.report import Table
from tests.simulation.chance import LEAST, draw
from tests.simulation.faults import FAULTS
from tests.simulation.figures import ALL_STEP_TRANSITIONS, ALL_TRANSITIONS, Figures, simulate
from tests.simulation.play import Found, play
from tests.simulation.shrink import shrink
from tests.simulation.trace import trace

KEPT = Path(__file__).resolve().parent.parent / "tests" / "core" / "found"
#: Sagas that a process simulates before it tells.
CHUNK = 1_000
#: So many sagas use every row of the table of transitions.
ENOUGH = 20_000
#: How many violations are shrunk and shown; more are only counted.
SHOWN = 3


def main() -> int:
    asked = _arguments()
    if asked.only is not None:
        return _one(asked)
    begun = time.monotonic()
    figures = _all(asked)
    seconds = time.monotonic() - begun
    _tell(figures, asked, seconds)
    if asked.json:
        Path(asked.json).write_text(json.dumps(_document(figures, asked, seconds), indent=1) + "\n")
    for number in sorted(figures.violations)[:SHOWN]:
        _show(asked, number)
    return 1 if figures.violations or (figures.sagas >= ENOUGH and _missed(figures)) else 0


def _all(asked: argparse.Namespace) -> Figures:
    """Simulate the sagas, in several processes, and tell from time to time how far it is."""
    starts = range(0, asked.sagas, CHUNK)
    chunks = [range(start, min(start + CHUNK, asked.sagas)) for start in starts]
    figures, said = Figures(), time.monotonic()
    with ExitStack() as stack:
        spread: Callable[..., Iterable[Figures]] = map
        if asked.processes > 1:
            spread = stack.enter_context(multiprocessing.Pool(asked.processes)).imap_unordered
        for part in spread(partial(simulate, asked.seed), chunks):
            figures += part
            for number, rule in sorted(part.violations.items()):
                print(f"  saga {number} breaks a rule. {rule}", flush=True)
            if time.monotonic() - said > 30:
                said = time.monotonic()
                print(f"  {figures.sagas:,} sagas, {len(figures.violations)} violations", flush=True)
    return figures


def _one(asked: argparse.Namespace) -> int:
    """Replay one saga."""
    case, suffering = draw(asked.seed, asked.only)
    if asked.trace:
        print("\n".join(trace(case, suffering)))
    try:
        play(*draw(asked.seed, asked.only))
    except Found as found:
        print(f"saga {asked.only} of seed {asked.seed} breaks a rule. {found.rule}")
        _show(asked, asked.only)
        return 1
    print(f"saga {asked.only} of seed {asked.seed} breaks no rule")
    return 0


def _show(asked: argparse.Namespace, number: int) -> None:
    """Shrink a saga that breaks a rule; print the trace, how to see it again, and what to keep."""
    try:
        play(*draw(asked.seed, number))
    except Found as found:
        small = shrink(found)
        command = f"bench/simulate --seed {asked.seed} --only {number} --trace"
        text = small.case.text(breaks=small.rule, found=command)
        print("\n".join(["", *trace(small.case), "", f"  all of it: {command}"]))
        file = KEPT / f"seed_{asked.seed}_{number}.json"
        if asked.keep:
            file.write_text(text)
            print(f"  kept as a test: {file}")
        else:
            print(f"  to keep it as a test, write this to {file} (or say --keep):\n\n{text}")


def _missed(figures: Figures) -> set[str]:
    return ALL_TRANSITIONS - figures.transitions.keys()


def _tell(figures: Figures, asked: argparse.Namespace, seconds: float) -> None:
    faults = sum(figures.faults.values())
    held = figures.sagas - len(figures.violations)
    steps = ALL_STEP_TRANSITIONS - figures.step_transitions.keys()
    rows = [(fault.name.lower().replace("_", " "), f"{figures.faults[fault]:,}") for fault in FAULTS]
    print(Table(("fault", "times"), rows).text(), end="\n\n")
    lines = (
        f"{figures.sagas:,} sagas of seed {asked.seed} in {seconds:,.0f} s with {asked.processes} processes:"
        f" {figures.sagas / seconds:,.0f} a second",
        f"{faults:,} faults: at least {min(figures.least, default=0)} a saga, {faults / max(held, 1):.1f} on average,"
        f" {figures.alive / max(faults, 1):.0%} of them before it had ended;"
        f" {figures.tough / max(held, 1):.0%} of the sagas had suffered {LEAST} by then",
        f"{figures.events:,} events; ended {_counts(figures.ends)}",
        f"asked a person: {_counts(figures.asked)}",
        f"{figures.clicks:,} clicks, {figures.refused:,} of them refused; {figures.late:,} late replies;"
        f" {figures.superseded:,} replies of zombies refused, since another held the command",
        f"transitions: {len(figures.transitions.keys() & ALL_TRANSITIONS)} of {len(ALL_TRANSITIONS)}"
        f" {_list(_missed(figures))}",
        f"transitions of steps: {len(ALL_STEP_TRANSITIONS) - len(steps)} of {len(ALL_STEP_TRANSITIONS)}"
        f" {_list(steps)}",
        f"violations: {len(figures.violations)}",
    )
    print("\n".join(f"  {line}" for line in lines), flush=True)


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counted.items()))


def _list(missed: set[str]) -> str:
    return f"(not: {', '.join(sorted(missed))})" if missed else ""


def _document(figures: Figures, asked: argparse.Namespace, seconds: float) -> dict[str, object]:
    counters = ("faults", "least", "ends", "asked", "transitions", "step_transitions")
    numbers = ("sagas", "events", "alive", "tough", "late", "superseded", "clicks", "refused", "violations")
    return {
        "seed": asked.seed,
        "processes": asked.processes,
        "seconds": round(seconds, 1),
        **{name: getattr(figures, name) for name in chain(numbers, counters)},
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/simulate", description=__doc__)
    parser.add_argument("--sagas", type=int, default=20_000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), metavar="P")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--only", type=int, metavar="K", help="replay the seed's saga number K")
    parser.add_argument("--trace", action="store_true", help="with --only: tell what happens in it")
    parser.add_argument("--keep", action="store_true", help="write what breaks a rule to tests/core/found")
    asked = parser.parse_args()
    if asked.sagas < 1 or asked.processes < 1:
        parser.error("--sagas and --processes must be at least 1")
    if asked.trace and asked.only is None:
        parser.error("--trace tells of one saga: name it with --only")
    if asked.json and not os.access(Path(asked.json).absolute().parent, os.W_OK):
        parser.error(f"--json: {asked.json} cannot be written")
    return asked


if __name__ == "__main__":
    sys.exit(main())
