"""The demo shop's order saga, drained by two workers, beside the same handlers in a bare loop of two processes."""

import os
import statistics
import sys
from collections.abc import Callable
from typing import Any

from bench.engines import driver
from bench.local import sagadesk
from bench.report import arguments, number, spread

PROCESSES = 2
#: Handlers that a worker runs at once: its default, half of it, and twice as many.
AS_IT_COMES = 16
SLOTS = (AS_IT_COMES // 2, AS_IT_COMES, 2 * AS_IT_COMES)
#: How many sagas one statement creates.
CHUNK = 500


def main() -> int:
    asked = arguments("shop", str(__doc__)).parse_args()
    count, rounds = (300, 3) if asked.quick else (1000, 5)
    with sagadesk("shop", "The demo shop", workers=PROCESSES) as (engine, report):
        from participants.opening import seed

        seed()  # with more than any run sells
        found = {slots: _rates(engine, slots, count, rounds) for slots in SLOTS}
        _check(2 * len(found) * (100 + rounds * count))
    ratios = {
        slots: statistics.median(r["sagas"]) / statistics.median(r["bare"]) for slots, r in found.items()
    }
    report.numbers = {"orders": count, "rates": found, "ratios": ratios, "ratio": ratios[AS_IT_COMES]}
    report.say(
        "Four services with tables, an inbox and books to audit; each handler is a transaction of its own,"
        f" here and there. {rounds} rounds of {count:,} orders, in turns; {PROCESSES} workers,"
        f" {PROCESSES} processes that loop. Medians, with the least and the most."
    )
    report.table(
        (
            "handlers at once in a worker",
            "sagas that wait, drained, orders/s",
            "bare loop, orders/s",
            "ratio",
        ),
        [
            (
                f"{slots}{' (as it comes)' if slots == AS_IT_COMES else ''}",
                spread(sorted(each["sagas"])),
                spread(sorted(each["bare"])),
                number(ratios[slots]),
            )
            for slots, each in found.items()
        ],
    )
    report.hand_over(asked)
    return 0


def _rates(engine: Any, slots: int, count: int, rounds: int) -> dict[str, list[float]]:
    """Return the rates of workers that run so many handlers at once, and of the bare loop, in turns."""
    os.environ["SAGADESK_CONCURRENCY"] = str(slots)  # which the workers inherit
    with engine.workers(), driver.crew("bench.engines.shop", PROCESSES) as crew:
        ways = {"sagas": _drains(engine), "bare": _loops(crew)}
        for measure in ways.values():
            measure(100)  # every process has done everything once
        rates: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(rounds):
            for way, measure in ways.items():
                rates[way].append(measure(count))
    return rates


def _drains(engine: Any) -> Callable[[int], float]:
    """Return what measures the rate at which waiting order sagas end."""
    from django.db import transaction

    from participants.demos import ORDER
    from participants.sagas import OrderFulfillment
    from sagas.orchestrator import start_many

    def rate(count: int) -> float:
        orders = [ORDER.make() for _ in range(count)]
        with transaction.atomic():
            for first in range(0, count, CHUNK):
                start_many(OrderFulfillment.saga_type, orders[first : first + CHUNK])
        return count / driver.timed(lambda: driver.until(engine.all_ended, count))

    return rate


def _loops(crew: Callable[[str, int], None]) -> Callable[[int], float]:
    """Return what measures the rate of the bare loop."""
    return lambda count: count / driver.timed(lambda: crew("bare", count))


def _check(orders: int) -> None:
    """Every saga has completed, and every order of either way was confirmed."""
    from participants.models import Notice
    from sagas.models import Saga

    wrong = Saga.objects.exclude(state="completed").count()
    assert not wrong, f"{wrong} sagas have not completed"
    confirmed = Notice.objects.filter(kind=Notice.CONFIRMATION).count()
    assert confirmed == orders, f"{confirmed} of {orders} orders were confirmed"


if __name__ == "__main__":
    sys.exit(main())
