"""Draws a run: how many sagas came to their ends, and how soon what killed workers held was tried again."""

from typing import Any

from bench import plot
from bench.nemesis.plan import Plan
from bench.peers import ROOT

#: The picture's folder, and seconds that a point of the line stands for.
FOLDER, BUCKET = ROOT / "docs" / "reliability", 10.0
#: Faults that stop everything while they last: drawn as lines across.
OUTAGES = {"PostgreSQL stopped at once", "disk full"}


def write(plan: Plan, found: dict[str, Any]) -> None:
    """Write the picture of a run's findings."""
    begun = found["finished"][0][0]
    kills = sum(each["dose"] for each in found["doses"] if each["id"] in ("F1", "F2", "F3", "F4", "F16"))
    drawn = plot.over_time(
        f"{found['finished'][-1][1]:,} sagas on {plan.database}, {kills} kills, seed {plan.seed}",
        plot.Panel("sagas finished per second", line=_rates(found["finished"], begun)),
        plot.Panel(
            "seconds until what a killed worker held was tried again",
            dots=[(each["t"] - begun, each["seconds"]) for each in found["recoveries"]],
        ),
        across=[at - begun for at, kind in found["faults"] if kind in OUTAGES],
        legend="Lines across: PostgreSQL stopped at once, or its disk full.",
    )
    FOLDER.mkdir(exist_ok=True)
    page = FOLDER / f"chaos-{plan.database}.svg"
    page.write_text(drawn)
    print(f"  written: {page.relative_to(ROOT)}", flush=True)


def _rates(finished: list[tuple[float, int]], begun: float) -> list[tuple[float, float]]:
    """Return (seconds, ends per second), a point per bucket."""
    rates, (since, before) = [], finished[0]
    for at, count in finished:
        if at - since >= BUCKET:
            rates.append((at - begun, (count - before) / (at - since)))
            since, before = at, count
    return rates
