"""Handlers that wait 100 ms, four in a row, in threads and in an event loop: the rate against the ideal one.

And what one hung handler in fifty costs the others.
"""

import sys
import time
from typing import Any

from bench.local import sagadesk
from bench.report import arguments, number

WORKERS, STEPS = 2, 4
#: Handlers that a worker runs at once.
SLOTS = 32


def main() -> int:
    asked = arguments("handlers", str(__doc__)).parse_args()
    with sagadesk("handlers", "Handlers that wait", workers=WORKERS, CONCURRENCY=SLOTS) as (engine, report):
        from bench.orders.slow import PAUSE

        slots = WORKERS * SLOTS
        ideal = slots / (STEPS * PAUSE)
        count = round(ideal * (6 if asked.quick else 15))
        with engine.workers():
            rates = {name: _rate(engine, name, count) for name in ("Threads", "Loop")}
            hung = max(1, slots // 50)
            _hang(engine, "HangingThread", "ThreadService.Hang", hung)
            rates["hung"] = _rate(engine, "Threads", count, besides=hung)
            _hang(engine, "HangingCoroutine", "LoopService.Hang", hung)
            rates["hung_loop"] = _rate(engine, "Loop", count, besides=2 * hung)
    report.numbers = {"ideal": ideal, "rates": rates, "hung": hung}
    report.say(
        f"{WORKERS} workers of {slots // WORKERS} slots; four steps of {1000 * PAUSE:g} ms:"
        f" at best {ideal:,.0f} sagas/s."
    )
    report.table(
        ("handlers", "sagas/s", "of the ideal"),
        [
            (label, number(rates[name]), f"{rates[name] / ideal:.0%}")
            for name, label in (
                ("Threads", "plain functions"),
                ("Loop", "async def"),
                ("hung", f"plain functions, {hung} of {slots} slots hung"),
                ("hung_loop", f"async def, {2 * hung} of {slots} slots hung"),
            )
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


def _hang(engine: Any, saga_type: str, command: str, count: int) -> None:
    """Have that many handlers hang, and wait until they do."""
    from sagas.orchestrator import start_many

    start_many(saga_type, [{}] * count)
    hanging = "SELECT count(*) FROM sagas_due WHERE name = %s AND lease_token IS NOT NULL"
    engine.driver.until(lambda: engine.rows(hanging, command)[0][0] == count, count)


if __name__ == "__main__":
    sys.exit(main())
