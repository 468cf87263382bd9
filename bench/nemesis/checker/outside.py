"""I11, I12, I13: what pages showed, what was told to whom, and what it all took."""

from collections import defaultdict
from typing import Any

from bench.nemesis.checker.facts import Facts
from bench.nemesis.checker.verdict import Verdict, invariant, share
from bench.nemesis.plan import CANARY

#: Seconds that a page may be behind the database when nothing is broken, and how long after the storm that begins.
BEHIND, GRACE = 5.0, 20.0
#: Connections to the database that a process may have: a worker one for each of its 32 handlers, and some of its own.
BUDGET = {"worker": 36, "clock": 4, "web": 24}
KEYS = 500
#: Megabytes.
MEMORY = 400


@invariant("I11", "a live page shows the database's version within 5 s, and strangers hear nothing")
def pages(facts: Facts, verdict: Verdict) -> None:
    entries = facts.journal("sockets")
    judged = [entry for entry in entries if entry["what"] == "judged"]
    steady = [entry for entry in judged if entry["phase"] == "steady"]
    from_here = steady[0]["t"] + GRACE if steady else 0.0
    compared = any(entry["t"] >= from_here for entry in steady)
    verdict.expect(compared, "nobody compared pages with the database when nothing was broken any more")
    for entry in steady:
        if entry["t"] >= from_here:
            verdict.expect(entry["lag"] <= BEHIND, "a page is behind", **entry)
            verdict.expect(entry["live"] > 0, "no page is live", t=entry["t"])
    for entry in entries:
        if entry["what"] == "leaked":
            verdict.expect(False, "a stranger was served", **entry)
    storm = [entry["lag"] for entry in judged if entry["phase"] == "storm"]
    silences = sum(1 for entry in entries if entry["what"] == "silent")
    verdict.figures = {
        "lag p99 in the storm": share(storm, 0.99),
        "steady": share([e["lag"] for e in steady], 1),
    }
    verdict.figures |= {"connected anew after silence": silences}


@invariant("I12", "what a saga carries is in no log, and Redis is never told")
def secrets(facts: Facts, verdict: Verdict) -> None:
    read = heard = 0
    for log in sorted((facts.folder / "logs").glob("*.log")):
        with log.open(errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                read += 1
                verdict.expect(CANARY not in line, "a log has it", log=log.name, line=number)
    for entry in facts.journal("tap"):
        heard += entry.get("commands", 0)
        verdict.expect(entry["what"] != "leaked", "Redis was told", **entry)
    verdict.expect(heard > 0, "nothing was heard of Redis")
    verdict.figures = {"lines of logs": read, "commands of Redis": heard}


@invariant(
    "I13", "connections, keys of Redis and memory keep within bounds; no one is told of a locked database"
)
def resources(facts: Facts, verdict: Verdict) -> None:
    sessions: dict[str, int] = defaultdict(int)
    for entry in facts.probe:
        if not _exhausted(facts, entry["t"]):
            for who, count in entry.get("sessions", {}).items():
                if who.partition("-")[0] in BUDGET:
                    sessions[who] = max(sessions[who], count)
    keys = [entry["redis"] for entry in facts.probe if entry["redis"] is not None]
    taken: dict[str, list[float]] = defaultdict(list)
    for entry in facts.probe:
        for name, megabytes in entry["memory"].items():
            taken[name.partition("-")[0]].append(megabytes)
    for who, count in sessions.items():
        budget = BUDGET[who.partition("-")[0]]
        verdict.expect(count <= budget, "too many connections", process=who, most=count, budget=budget)
    verdict.expect(max(keys, default=0) <= KEYS, "too many keys in Redis", most=max(keys, default=0))
    for name, values in taken.items():
        verdict.expect(max(values) <= MEMORY, "too much memory", process=name, most=max(values))
    for who in ("starters", "bots"):
        for entry in facts.journal(who):
            if "said" in entry:
                verdict.expect(
                    "locked" not in entry["said"], "somebody was told of a locked database", who=who, **entry
                )
    figures: dict[str, Any] = {
        "connections": max(sessions.values(), default=None),
        "keys": max(keys, default=None),
    }
    verdict.figures = figures | {f"{name} MB": max(values) for name, values in taken.items()}


def _exhausted(facts: Facts, at: float) -> bool:
    """Whether the nemesis itself held the connections then."""
    return any(
        e.get("kind") == "connections of PostgreSQL used up" and e["t"] - 1 <= at <= e["t"] + 8
        for e in facts.nemesis
    )
