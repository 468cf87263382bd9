"""Handlers that wait 100 ms, four in a row, in threads and in an event loop: the rate against the ideal one.

And what one hung handler in fifty costs the others.
"""

import sys
import time
from typing import Any

from bench.local import sagadesk
from bench.report import arguments, number

WORKERS, STEPS = 2, 4


def main() -> int:
    asked = arguments("handlers", str(__doc__)).parse_args()
    with sagadesk("handlers", "Handlers that wait", workers=WORKERS) as (engine, report):
        from bench.orders.slow import PAUSE
        from sagas.conf import settings

        slots = WORKERS * settings().CONCURRENCY
        ideal = slots / (STEPS * PAUSE)
        count = round(ideal * (6 if asked.quick else 15))
        with engine.workers():
            rates = {name: _rate(engine, name, count) for name in ("Threads", "Loop")}
            hung = max(1, slots // 50)
            _hang(engine, hung)
            rates["hung"] = _rate(engine, "Threads", count, besides=hung)
    report.numbers = {"ideal": ideal, "rates": rates, "hung": hung}
    report.say(
        f"{WORKERS} workers of {slots // WORKERS} slots; four steps of {1000 * PAUSE:g} ms:"
        f" at best {ideal:,.0f} sagas/s."
    )
    report.table(
        ("handlers", "sagas/s", "of the ideal"),
        [
            ("plain functions", number(rates["Threads"]), f"{rates['Threads'] / ideal:.0%}"),
            ("async def", number(rates["Loop"]), f"{rates['Loop'] / ideal:.0%}"),
            (
                f"plain functions, {hung} of {slots} slots hung",
                number(rates["hung"]),
                f"{rates['hung'] / ideal:.0%}",
            ),
        ],
    )
    report.hand_over(asked)
    return 0


def _rate(engine: Any, saga_type: str, count: int, besides: int = 0) -> float:
    """Measure from when that many sagas are there to when all but those ``besides`` have ended."""
    from sagas.orchestrator import start_many

    def left() -> int:
        return int(
            engine.rows("SELECT count(*) FROM sagas_saga WHERE state NOT IN ('completed', 'failed')")[0][0]
        )

    start_many(saga_type, [{}] * count)
    began = time.perf_counter()
    engine.driver.until(lambda: left() <= besides, count)
    return count / (time.perf_counter() - began)


def _hang(engine: Any, count: int) -> None:
    """Have that many handlers hang, and wait until they do."""
    from sagas.orchestrator import start_many

    start_many("Hanging", [{}] * count)
    hanging = "SELECT count(*) FROM sagas_due WHERE name = 'ThreadService.Hang' AND lease_token IS NOT NULL"
    engine.driver.until(lambda: engine.rows(hanging)[0][0] == count, count)


if __name__ == "__main__":
    sys.exit(main())
