"""What a run of all engines says: tables, ratios, plots."""

from typing import Any

from bench import plot
from bench.harness import Effort, Figures
from bench.report import PAGES, Report, number, spread

LABELS = {
    "sagadesk": "Sagadesk",
    "sagadesk_plain": "Sagadesk as it comes",
    "restate": "Restate",
    "dbos": "DBOS",
    "temporal": "Temporal, development server",
    "celery": "Celery, chain",
    "rq": "RQ, a job per step",
    "sagadesk_sqlite": "Sagadesk on SQLite",
    "dbos_sqlite": "DBOS on SQLite",
    "raw": "hand-written SQL",
}
#: Ratio -> (numerator, denominator), each an entrant and a figure.
RATIOS = {
    **{
        name: (("sagadesk", "happy"), (name, "happy"))
        for name in ("dbos", "rq", "restate", "temporal", "celery")
    },
    "raw_limit": (("sagadesk", "drained"), ("raw", "drained_50")),
    "drained_over_restate": (("sagadesk", "drained"), ("restate", "happy")),
    "compensating_over_restate": (("sagadesk", "compensating"), ("restate", "compensating")),
    "compensating_over_dbos": (("sagadesk", "compensating"), ("dbos", "compensating")),
    "sqlite_over_dbos_sqlite": (("sagadesk_sqlite", "happy"), ("dbos_sqlite", "happy")),
    "sqlite_drained_over_dbos_sqlite": (("sagadesk_sqlite", "drained"), ("dbos_sqlite", "happy")),
}
#: How a figure is called in a sentence.
WORDS = {
    "happy": "one by one",
    "compensating": "compensating",
    "drained": "drained",
    "drained_50": "groups of 50",
    "idle": "idle p50",
    "idle_called": "called, idle p50",
}
#: The same of the time that one saga takes while nothing else runs: here less is better.
IDLE_RATIOS = {
    "idle_over_restate": (("sagadesk", "idle"), ("restate", "idle")),
    "idle_over_dbos": (("sagadesk", "idle"), ("dbos", "idle")),
    "called_over_restate": (("sagadesk", "idle_called"), ("restate", "idle")),
    "called_over_dbos": (("sagadesk", "idle_called"), ("dbos", "idle")),
}
#: What we want to reach: at least so much; at most, where less is better.
GOALS = {
    "dbos": 8.0,
    "rq": 10.0,
    "restate": 2.5,
    "temporal": 20.0,
    "raw_limit": 0.4,
    "drained_over_restate": 5.0,
    "compensating_over_restate": 2.0,
    "compensating_over_dbos": 8.0,
    "sqlite_drained_over_dbos_sqlite": 8.0,
    "idle_over_restate": 0.8,
    "idle_over_dbos": 0.5,
    "called_over_dbos": 0.5,
}


def line(entrant: str, figures: Figures) -> str:
    """Say what an entrant's last round measured."""
    last = {figure: rounds[-1] for figure, rounds in figures.taken[entrant].items()}
    said = [
        f"{figure} {number(each['rate'])}/s" if "rate" in each else f"{figure} {number(each['p50'])} ms"
        for figure, each in last.items()
        if "rate" in each or "p50" in each
    ]
    return f"{entrant:<16}" + ", ".join(said)


def report(figures: Figures, about: dict[str, Any], effort: Effort) -> Report:
    """Put the figures together."""
    made = Report("run", "Sagadesk beside its peers", about)
    made.numbers = {
        "effort": {"rounds": effort.rounds, "seconds": effort.seconds},
        "ratios": _ratios(figures),
        "skipped": figures.skipped,
        "figures": figures.taken,
    }
    made.say(
        "The *order saga*: four steps that each return a small dict; in the compensating variant the third is refused,"
        f" and two steps are undone. All engines take turns on one machine, {effort.rounds} rounds of about"
        f" {effort.seconds:g} s; a figure is the median of the rounds, with the least and the most."
        " Differences under 30 % mean nothing."
    )
    _started_one_by_one(made, figures)
    _drained(made, figures)
    _ratio_table(made)
    _settings(made, figures)
    for name, why in figures.skipped.items():
        made.say(f"{LABELS[name]}: skipped: {why}")
    pages = [f"[{_label(page.stem)}](performance/{page.name})" for page in sorted(PAGES.glob("*.md"))]
    if pages:
        made.say(f"Sagadesk alone: {', '.join(pages)}.")
        made.say("Pictures: [rates](performance/rate.svg), [while idle](performance/idle.svg).")
    return made


def _label(page: str) -> str:
    """Return how a page is called: by its command, and which of that command's pages it is if there are more."""
    command, _, which = page.partition("-")
    return f"`bench/{command}`" + (f", {which}" if which else "")


def plots(figures: Figures) -> None:
    """Draw the bars beside the page."""
    rates = {name: figures.values(name, "happy") for name in LABELS}
    waits = {name: figures.values(name, "idle", "p50") for name in LABELS}
    for file, title, values in (
        ("rate", "Sagas per second, started one by one", rates),
        ("idle", "Start to final state while idle, ms (less is better)", waits),
    ):
        bars = [(LABELS[name], taken) for name, taken in values.items() if taken]
        (PAGES / f"{file}.svg").write_text(plot.bars(title, bars))


def _ratios(figures: Figures) -> dict[str, float | None]:
    pairs = {
        name: (figures.median(*upper), figures.median(*lower)) for name, (upper, lower) in RATIOS.items()
    }
    for name, (upper, lower) in IDLE_RATIOS.items():
        pairs[name] = figures.median(*upper, "p50"), figures.median(*lower, "p50")
    return {name: round(a / b, 3) if a and b else None for name, (a, b) in pairs.items()}


def _started_one_by_one(made: Report, figures: Figures) -> None:
    made.say("Sagas started one by one, each its own durable start where the engine is durable:")
    made.table(
        (
            "engine",
            "durable",
            "sagas/s",
            "compensating/s",
            "idle p50, ms",
            "idle p95, ms",
            "commits per saga",
        ),
        [
            (
                label,
                figures.last(name, "settings", "durable"),
                spread(figures.values(name, "happy")),
                spread(figures.values(name, "compensating")),
                spread(figures.values(name, "idle", "p50")),
                number(figures.median(name, "idle", "p95")),
                number(figures.median(name, "happy", "commits_per_saga")),
            )
            for name, label in LABELS.items()
            if figures.values(name, "happy")
        ],
    )
    if figures.values("sagadesk", "idle_called", "p50"):
        called = spread(figures.values("sagadesk", "idle_called", "p50"))
        p95 = number(figures.median("sagadesk", "idle_called", "p95"))
        made.say(
            "Sagadesk called, as DBOS is: carried on in the process that starts it,"
            f" while idle: p50 {called} ms, p95 {p95}."
        )
    if figures.values("dbos", "idle_queue", "p50"):
        queued = spread(figures.values("dbos", "idle_queue", "p50"))
        made.say(f"DBOS by its queue, polled every 50 ms, while idle: p50 {queued} ms.")


def _drained(made: Report, figures: Figures) -> None:
    rows = [
        (
            label,
            spread(figures.values(name, figure)),
            number(figures.median(name, figure, "commits_per_saga")),
        )
        for name, figure, label in (
            ("raw", "drained_50", "hand-written SQL, groups of 50"),
            ("raw", "drained_10", "hand-written SQL, groups of 10"),
            ("raw", "drained_1", "hand-written SQL, one by one"),
            ("sagadesk", "drained", "Sagadesk"),
            ("sagadesk_plain", "drained", "Sagadesk as it comes"),
            ("sagadesk_sqlite", "drained", "Sagadesk on SQLite"),
        )
        if figures.values(name, figure)
    ]
    if rows:
        made.say("Waiting sagas drained, on the same tables and indexes, by two processes:")
        made.table(("", "sagas/s", "commits per saga"), rows)
    size = figures.taken["sagadesk"].get("size")
    if size:
        made.say(
            f"A finished saga is {size[-1]['rows']:g} rows and {size[-1]['bytes']:,} bytes, indexes included."
        )


def _ratio_table(made: Report) -> None:
    known = {name: ratio for name, ratio in made.numbers["ratios"].items() if ratio is not None}
    if known:
        made.say("Ratios, of the medians:")
        made.table(
            ("ratio", "of", "over", "", "goal"),
            [(name, *map(_said, _parts(name)), number(ratio), _goal(name)) for name, ratio in known.items()],
        )
        missed = [name for name, ratio in known.items() if not _reached(name, ratio)]
        if missed:
            made.say(
                f"Not reached: {', '.join(missed)}. Where the time goes, and what was tried, is in"
                " [decision 47](decisions/0047-where-the-time-goes.md); a worker's is drawn in"
                " [its profile](performance/profile.md)."
            )


def _goal(ratio: str) -> str:
    if ratio not in GOALS:
        return "–"
    return f"{'≤' if ratio in IDLE_RATIOS else '≥'} {GOALS[ratio]:g}"


def _reached(ratio: str, value: float) -> bool:
    if ratio not in GOALS:
        return True
    return value <= GOALS[ratio] if ratio in IDLE_RATIOS else value >= GOALS[ratio]


def _parts(ratio: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return what is divided by what: each an entrant and a figure."""
    return RATIOS[ratio] if ratio in RATIOS else IDLE_RATIOS[ratio]


def _said(part: tuple[str, str]) -> str:
    entrant, figure = part
    return f"{LABELS[entrant]}, {WORDS[figure]}"


def _settings(made: Report, figures: Figures) -> None:
    rows = [
        (label, figures.last(name, "settings", "versions"), figures.last(name, "settings", "text"))
        for name, label in LABELS.items()
        if "settings" in figures.taken[name]
    ]
    if rows:
        made.say("Versions and settings:")
        made.table(("engine", "versions", "settings"), rows)
