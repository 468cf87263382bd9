"""Operators who watch while sagas run: how long a commit takes to their pages, and what they cost the workers.

Rounds without anybody, with all operators, and with one more who does not read take turns; the workers and the web
process are the same throughout. With --browser: one saga, nobody else, and the page of a real Chromium.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from statistics import median
from typing import Any

from bench.local import sagadesk
from bench.report import Report, arguments, number, spread
from bench.watching import lags, scene
from bench.watching.operators import Task

#: Sagas started per second: orders, and those that pages follow.
RATE, FOLLOWED = 300, 2
#: Of 200 operators.
KINDS = {"overview": 0.4, "list": 0.3, "page": 0.3}
NOBODY, ALL, SLOW = "nobody", "all operators", "and one who does not read"
#: Seconds until a phase has come to rest.
SETTLE = 3.0


def main() -> int:
    parser = arguments("live", str(__doc__))
    parser.add_argument("--operators", type=int, default=200)
    parser.add_argument("--rate", type=float, default=RATE, help="sagas started per second")
    parser.add_argument(
        "--browser", action="store_true", help="commit to DOM in a Chromium, idle, and nothing else"
    )
    asked = parser.parse_args()
    if asked.browser:
        return _browser(asked)
    rounds, seconds = (3, 6.0) if asked.quick else (5, 20.0)
    with sagadesk("live", "Two hundred operators") as (engine, report), engine.workers() as processes:
        with scene.web() as (port, pid), scene.started(asked.rate, FOLLOWED):
            task = _task(asked, engine, port)
            pids = {
                "web": pid,
                "worker 1": processes[0].pid,
                "worker 2": processes[1].pid,
                "starters": os.getpid(),
            }
            time.sleep(12)  # until sagas to follow are there, in all their stages
            phases = [
                _phase(phase, task, seconds, pids) for _ in range(rounds) for phase in (NOBODY, ALL, SLOW)
            ]
        times = _times(engine)
        for phase in phases:
            _evaluate(phase, times, engine)
    report.numbers = {"rounds": rounds, "rate": asked.rate, "operators": asked.operators, "phases": phases}
    _tell(report, asked, phases)
    report.hand_over(asked)
    return 0


def _task(asked: Any, engine: Any, port: int) -> Task:
    counts = {kind: round(asked.operators * share) for kind, share in KINDS.items()}
    return Task(
        port=port,
        cookie=scene.log_in(),
        database=engine.driver.task().database,
        overviews=counts["overview"],
        lists=counts["list"],
        pages=counts["page"],
        slow=0,
    )


def _phase(name: str, task: Task, seconds: float, pids: dict[str, int]) -> dict[str, Any]:
    """Watch for so many seconds; return what was seen."""
    with _watching(task, name) as (client, seen):
        time.sleep(SETTLE)
        spent = scene.Spent(**pids, **({"operators": client.pid} if client else {}))
        begin, memory = time.time(), [scene.resident(pids["web"])]
        for _ in range(round(seconds)):
            time.sleep(1)
            memory.append(scene.resident(pids["web"]))
        end = time.time()
        cpu = {name: used / (end - begin) for name, used in spent.since().items()}
    return {"phase": name, "begin": begin, "end": end, "cpu": cpu, "memory": memory, "seen": seen}


@contextmanager
def _watching(task: Task, phase: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Have operators watch meanwhile; what they wrote down is in the document afterwards."""
    seen: dict[str, Any] = {}
    if phase == NOBODY:
        yield None, seen
        return
    asked = json.dumps(asdict(task) | {"slow": int(phase == SLOW)})
    command = [sys.executable, "-m", "bench.watching.operators", asked]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdout.readline() != "open\n":
            raise RuntimeError("the operators could not open their pages")
        yield process, seen
        seen |= json.loads(process.communicate()[0])


def _times(engine: Any) -> dict[str, dict[int, float]]:
    """Return when each version of each saga was decided."""
    times: dict[str, dict[int, float]] = {}
    for saga, version, at in engine.rows(
        "SELECT saga_id::text, version, extract(epoch FROM max(at))::float8 FROM sagas_event GROUP BY 1, 2"
    ):
        times.setdefault(saga, {})[version] = at
    return times


def _evaluate(phase: dict[str, Any], times: lags.Times, engine: Any) -> None:
    """Turn what was seen into figures."""
    begin, end, seen = phase["begin"], phase["end"], phase.pop("seen")
    ended = engine.rows(
        "SELECT count(*), percentile_disc(0.95) WITHIN GROUP (ORDER BY finished_at - created_at)"
        " FROM sagas_saga WHERE saga_type = 'BenchOrder' AND finished_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)",
        begin,
        end,
    )
    count, took = ended[0]
    took = 1000 * took.total_seconds() if count else float("nan")
    phase |= {"rate": count / (end - begin), "took_p95": took}
    if not seen:
        return
    found = lags.of_stays(seen["stays"], times, begin, end)
    found["overview"] = lags.of_overviews(seen["overviews"], begin, end)
    found["all"] = [each for kind in found.values() for each in kind]
    frames = [[at for at in each if begin <= at <= end] for each in seen["frames"]]
    phase["lag"] = {
        kind: {"count": len(each), "p50": lags.percentile(each, 50), "p95": lags.percentile(each, 95)}
        for kind, each in ((kind, found.get(kind, [])) for kind in (*KINDS, "all"))
    }
    phase["updates"] = {
        "mean": sum(map(len, frames)) / len(frames) / (end - begin),
        "most": max(lags.busiest_second(each, begin, end) for each in frames),
    }
    phase["bytes_per_second"] = seen["bytes"] / (end - begin)
    phase |= {"lost": seen["lost"], "refused": seen["refused"]}


def _tell(report: Report, asked: Any, phases: list[dict[str, Any]]) -> None:
    by_name = {name: [each for each in phases if each["phase"] == name] for name in (NOBODY, ALL, SLOW)}

    def of(name: str, value: Any) -> str:
        return spread(sorted(value(each) for each in by_name[name]))

    shares = ", ".join(f"{share:.0%} {kind}" for kind, share in KINDS.items())
    report.say(
        f"{asked.operators} operators on one web process ({shares}),"
        f" while {asked.rate:g} sagas/s are started in groups of ten and {FOLLOWED}/s that take ten seconds;"
        " two workers, the database, the starters and the operators share the machine."
        " Medians of the rounds, with the least and the most."
    )
    report.table(
        ("commit to page, ms", "p50", "p95", "p95 beside one who does not read"),
        [
            (
                kind,
                of(ALL, lambda each, kind=kind: 1000 * each["lag"][kind]["p50"]),
                of(ALL, lambda each, kind=kind: 1000 * each["lag"][kind]["p95"]),
                of(SLOW, lambda each, kind=kind: 1000 * each["lag"][kind]["p95"]),
            )
            for kind in (*KINDS, "all")
        ],
    )
    report.table(
        ("", NOBODY, ALL, SLOW),
        [
            ("sagas/s ended", *(of(name, lambda each: each["rate"]) for name in by_name)),
            ("start to end p95, ms", *(of(name, lambda each: each["took_p95"]) for name in by_name)),
            *(
                (
                    f"{who}, % of a core",
                    *(of(name, lambda each, who=who: 100 * each["cpu"].get(who, 0.0)) for name in by_name),
                )
                for who in ("web", "worker 1", "worker 2", "starters", "operators", "machine")
            ),
            ("web, MB", *(of(name, lambda each: each["memory"][-1]) for name in by_name)),
            (
                "updates a second for each",
                "–",
                *(of(name, lambda each: each["updates"]["mean"]) for name in (ALL, SLOW)),
            ),
            (
                "updates in the busiest second of any",
                "–",
                *(of(name, lambda each: each["updates"]["most"]) for name in (ALL, SLOW)),
            ),
        ],
    )
    rates = {name: median(each["rate"] for each in by_name[name]) for name in (NOBODY, ALL)}
    report.numbers["loss"] = 1 - rates[ALL] / rates[NOBODY]
    memory = [phase["memory"][-1] for phase in phases]
    report.say(
        f"The operators cost the workers {report.numbers['loss']:.1%} of their rate."
        f" The web process takes, at the end of each phase in turn: {', '.join(f'{each:.0f}' for each in memory)} MB."
    )


def _browser(asked: Any) -> int:
    from bench.watching.browser import commit_to_dom

    with (
        sagadesk("live", "A saga's page, idle") as (engine, report),
        engine.workers(),
        scene.web() as (port, _),
    ):
        took = commit_to_dom(engine, port, scene.log_in(), sagas=3 if asked.quick else 10)
    took.sort()
    report.numbers = {"milliseconds": took}
    report.say(f"{len(took)} changes of sagas whose steps take a second, from the commit to the page's DOM.")
    report.table(
        ("ms", "p50", "p95", "most"),
        [("commit to DOM", number(median(took)), number(lags.percentile(took, 95)), number(took[-1]))],
    )
    report.hand_over(asked)
    return 0


if __name__ == "__main__":
    sys.exit(main())
