"""What a step of a durable function costs, the more of them it has: before each, the function is run anew."""

import statistics
import sys

from bench.engines import driver
from bench.local import sagadesk
from bench.report import arguments, spread

#: How many steps the functions have.
STEPS = (10, 30, 100, 300)


def main() -> int:
    asked = arguments("functions", str(__doc__)).parse_args()
    rounds = 3 if asked.quick else 7
    with sagadesk("functions", "Durable functions") as (_, report):
        from sagas.direct import run

        def milliseconds(steps: int) -> float:
            """Call a function with so many steps; return what each took."""
            ended = []
            took = driver.timed(lambda: ended.append(run("BenchFunction", {"steps": steps}, 120)))
            assert [saga.state for saga in ended] == ["completed"]
            return 1000 * took / steps

        milliseconds(STEPS[0])  # everything was done once
        found = {steps: sorted(milliseconds(steps) for _ in range(rounds)) for steps in STEPS}
    report.numbers = {"milliseconds_per_step": {n: statistics.median(took) for n, took in found.items()}}
    report.say(
        f"{rounds} functions of each length, called while nothing else runs, one step after the other. Each step is two"
        " commits: what it returned, and what the function asked for next. Medians, with the least and the most."
    )
    report.table(("steps", "ms per step"), [(f"{n}", spread(took)) for n, took in found.items()])
    report.hand_over(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
