"""Whether the engine slows down with what lies in the tables: finished sagas with their events, and waiting timers."""

import statistics
import sys
from typing import Any

from bench.local import sagadesk
from bench.report import arguments, number

TIMERS = 100_000


def main() -> int:
    parser = arguments("growth", str(__doc__))
    parser.add_argument("--sagas", type=int, default=1_000_000, help="how many are finished before")
    asked = parser.parse_args()
    count, rounds = (1000, 3) if asked.quick else (4000, 5)
    with sagadesk("growth", "With much in the tables") as (engine, report):
        from bench import desk

        rates = {"empty tables": _rates(engine, count, rounds)}
        desk.fill(TIMERS, kinds={"open": "true"})
        rates[f"{TIMERS:,} timers waiting"] = _rates(engine, count, rounds)
        desk.fill(TIMERS + asked.sagas, first=TIMERS, kinds={"completed": "true"})
        rates[f"and {asked.sagas:,} finished sagas"] = _rates(engine, count, rounds)
    report.numbers = {"rates": rates}
    least = rates["empty tables"]
    report.table(
        ("", "one by one, sagas/s", "drained, sagas/s", "of the first"),
        [
            (
                name,
                number(each["happy"]),
                number(each["drained"]),
                f"{each['drained'] / least['drained']:.0%}",
            )
            for name, each in rates.items()
        ],
    )
    report.hand_over(asked)
    return 0


def _rates(engine: Any, count: int, rounds: int) -> dict[str, float]:
    from sagas.core.ids import uuid7

    driver, happy, drained = engine.driver, [], []
    engine.SINCE = uuid7()
    with engine.workers():
        engine.many("happy", 500)
        for _ in range(rounds):
            happy.append(count / driver.timed(lambda: engine.many("happy", count)))
            engine.make_wait(count)
            drained.append(count / driver.timed(lambda: driver.until(engine.all_ended, count)))
    return {"happy": statistics.median(happy), "drained": statistics.median(drained)}


if __name__ == "__main__":
    sys.exit(main())
