"""One worker process, two, and more than there are cores: sagas started one by one, and waiting ones drained."""

import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from bench import hosts
from bench.local import sagadesk
from bench.peers import Unavailable
from bench.report import Report, arguments, number

HOSTS = 2


def main() -> int:
    parser = arguments("scale", str(__doc__))
    told = "also workers on hosts of their own: network namespaces, which root may make"
    parser.add_argument("--hosts", action="store_true", help=told)
    asked = parser.parse_args()
    count, rounds = (1000, 3) if asked.quick else (4000, 5)
    cores = os.cpu_count() or 1
    with ExitStack() as stack:
        places, left_out = _hosts(stack) if asked.hosts else ([], "")
        address = hosts.ADDRESS if places else None
        engine, report = stack.enter_context(sagadesk("scale", "More workers", address=address))
        rates = {}
        for size in sorted({1, 2, cores, 2 * cores}):
            rates[size] = _rates(engine, [()] * size, count, rounds)
        apart = {n: _rates(engine, places[:n], count, rounds) for n in range(1, len(places) + 1)}
    report.numbers = {"rates": rates, "hosts": apart}
    report.say("The database, the workers and the starter share the machine; its cores are the limit.")
    _table(report, "workers", rates)
    if apart:
        report.say(
            "Each worker on a host of its own, a network namespace: PostgreSQL and Redis are reached over TCP."
            " The hosts share the machine's cores."
        )
        _table(report, "hosts", apart)
    if left_out:
        report.say(f"Hosts of their own were left out: {left_out}.")
    report.hand_over(asked)
    return 0


def _hosts(stack: ExitStack) -> tuple[list[Sequence[str]], str]:
    """Return what runs a command on each host; or nothing, and why."""
    try:
        return stack.enter_context(hosts.network(HOSTS)), ""
    except Unavailable as why:
        return [], str(why)


def _rates(engine: Any, places: Sequence[Sequence[str]], count: int, rounds: int) -> dict[str, float]:
    driver = engine.driver
    happy, drained = [], []
    with engine.workers(*places):
        engine.many("happy", 500)
        for _ in range(rounds):
            happy.append(count / driver.timed(lambda: engine.many("happy", count)))
            engine.make_wait(count)
            drained.append(count / driver.timed(lambda: driver.until(engine.all_ended, count)))
    return {"happy": statistics.median(happy), "drained": statistics.median(drained)}


def _table(report: Report, what: str, rates: dict[int, dict[str, float]]) -> None:
    report.table(
        (what, "one by one, sagas/s", "drained, sagas/s", "drained, of the first"),
        [
            (str(n), number(r["happy"]), number(r["drained"]), f"{r['drained'] / rates[1]['drained']:.2f}")
            for n, r in rates.items()
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
