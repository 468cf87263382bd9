"""Whether the engine slows down with what lies in the tables: finished sagas with their events, and waiting timers.

Beside it the same engine runs on empty tables, in turns: the machine's speed changes while the tables are filled.
"""

import statistics
import sys
from collections.abc import Callable
from typing import Any

from bench.engines import driver
from bench.local import sagadesk
from bench.report import arguments, spread

TIMERS = 100_000
#: How many start sagas at once, here and on the empty tables: of more, the server has no connections for both.
HALF = 64
#: Does one thing with so many sagas: has them wait, drains what waits, or starts them one by one.
Do = Callable[[str, int], None]


def main() -> int:
    parser = arguments("growth", str(__doc__))
    parser.add_argument("--sagas", type=int, default=1_000_000, help="how many are finished before")
    asked = parser.parse_args()
    count, rounds = (1000, 3) if asked.quick else (4000, 5)
    with sagadesk("growth", "With much in the tables", starters=HALF) as (engine, report):
        from bench import desk
        from bench.engines import empty

        with driver.crew("bench.engines.empty", 1, **empty.environment()) as elsewhere:
            desk.fill(TIMERS, kinds={"open": "true"})
            found = {f"{TIMERS:,} timers waiting": _rates(engine, empty.do, elsewhere, count, rounds)}
            desk.fill(TIMERS + asked.sagas, first=TIMERS, kinds={"completed": "true"})
            _tidy_up()
            name = f"and {asked.sagas:,} finished sagas"
            found[name] = _rates(engine, empty.do, elsewhere, count, rounds)
    report.numbers = {"rates": found}
    report.say(
        f"{rounds} rounds of {count:,} sagas, on empty tables and on these in turns."
        " Medians, with the least and the most."
    )
    for figure, title in (("happy", "one by one"), ("drained", "drained")):
        report.table(
            (f"{title}, sagas/s", "empty tables", "these", "of the empty ones"),
            [(name, *_compared(each[figure])) for name, each in found.items()],
        )
    report.hand_over(asked)
    return 0


def _compared(rates: dict[str, list[float]]) -> tuple[str, str, str]:
    nothing, much = (sorted(rates[where]) for where in ("empty", "filled"))
    return spread(nothing), spread(much), f"{statistics.median(much) / statistics.median(nothing):.0%}"


def _tidy_up() -> None:
    """Have the database do at once what it does some time after so many rows have come."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM")
        cursor.execute("CHECKPOINT")
        cursor.execute("RESET statement_timeout")


def _rates(
    engine: Any, here: Do, elsewhere: Do, count: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """Return sagas per second of each measure, on either tables."""
    from sagas.core.ids import uuid7

    engine.SINCE = uuid7()
    found: dict[str, dict[str, list[float]]] = {
        figure: {"empty": [], "filled": []} for figure in ("happy", "drained")
    }
    with engine.workers():
        for do in (here, elsewhere):
            do("happy", 500)  # every process has done everything once
        for _ in range(rounds):
            for figure in found:
                for where, do in (("empty", elsewhere), ("filled", here)):
                    found[figure][where].append(_rate(figure, do, count))
    return found


def _rate(figure: str, do: Do, count: int) -> float:
    if figure == "drained":
        do("wait", count)
        return count / driver.timed(lambda: do("drain", count))
    return count / driver.timed(lambda: do(figure, count))


if __name__ == "__main__":
    sys.exit(main())
