"""I9, I10, I15: timers, recovery, progress."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from bench.nemesis.checker.facts import Facts, Row, Saga, moment
from bench.nemesis.checker.verdict import Verdict, invariant, share

#: Seconds before a kill in which a fault of the database still has its consequences.
AROUND = 15.0
#: Seconds between two times that cannot be compared: the clock, which is set by 300 at least, was set in between.
BETWEEN = 200.0
#: Seconds for which processes carry on the time that they heard before the clock was set, and a moment.
CARRIED = 7.0
#: Seconds by which two of them may differ meanwhile: each is late by what its answer took to arrive.
ANSWER = 0.5
#: Seconds beyond the lease within which the next attempt begins, for 99 of a hundred.
BEYOND = 10.0
#: Seconds for which what has waited on a queue that was paused is worked off, at the slowest pace.
BACKLOG = 15.0
#: Seconds for which a saga is locked at most, and what is then due of it.
LOCKED = 15.0
#: Seconds without any saga's end that are too long, while the database is there.
STANDSTILL = 90.0
#: While one of these lasts, or was, nothing can be claimed, or times mean something else.
NO_DATABASE = {
    "PostgreSQL stopped at once",
    "connections of PostgreSQL used up",
    "disk full",
    "the database's clock set",
}


def _disturbed(facts: Facts, kinds: set[str]) -> list[float]:
    return [e["t"] for e in facts.nemesis if e["what"] == "fault" and e["kind"] in kinds]


def _pauses(facts: Facts) -> dict[str, list[tuple[float, float]]]:
    """Return when each queue was paused, and what had waited there was being worked off: by somebody's will."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    since: dict[str, float] = {}
    for entry in facts.bots:
        if entry["what"] == "queue" and entry["verb"] == "pause":
            since[entry["queue"]] = entry["t"]
        elif entry["what"] == "queue":
            found[entry["queue"]].append((since.pop(entry["queue"], entry["t"]), entry["t"] + BACKLOG))
    return found


def _locks(facts: Facts) -> dict[str, list[float]]:
    """Return when somebody locked which sagas: nothing can be recorded of those meanwhile."""
    found: dict[str, list[float]] = defaultdict(list)
    for entry in facts.nemesis:
        for saga in entry.get("locked", ()):
            found[saga].append(entry["t"])
    return found


def _queue_of(facts: Facts, call: Row) -> str:
    """Return the queue of a call by what its step is called."""
    saga = facts.sagas.get(call["saga"])
    action = str(saga.definition.get(call["step"], {}).get("action", "")) if saga else ""
    return "events" if " on " in action else action.partition(".")[0].removesuffix("Service").lower()


def _near(moments: list[float], since: float, until: float) -> bool:
    return any(since <= at <= until for at in moments)


@invariant("I9", "no attempt begins before it is due, by the database's clock")
def timers(facts: Facts, verdict: Verdict) -> None:
    due, held_up = _due(facts), _paused(facts)
    lateness, left = [], 0
    for call in facts.calls:
        at = due.get((call["key"], call["attempt"]))
        if at is None or call["saga"] in held_up:
            continue
        late = (moment(call["claimed_at"]) - at).total_seconds()
        if abs(late) > BETWEEN:
            left += 1
            continue
        verdict.expect(
            late > -0.002, "it began too early", key=call["key"], attempt=call["attempt"], late=late
        )
        lateness.append(late)
    carried = _set(facts)
    for saga in facts.sagas.values():
        for step, until, waited in _waits(saga):
            apart = ANSWER if _near(carried, until - CARRIED, until) else 0.002
            verdict.expect(waited > -apart, "a wait was cut short", saga=saga.id, step=step, late=waited)
    figures = {
        "p50": share(lateness, 0.5),
        "p99": share(lateness, 0.99),
        "left out, the clock was set between": left,
    }
    verdict.figures = figures


def _set(facts: Facts) -> list[float]:
    """Return when the clock was set, by itself as it was before."""
    off, found = 0.0, []
    for each in facts.nemesis:
        set_ = each["what"] == "fault" and each["kind"] == "the database's clock set"
        if set_ or each["what"] == "mended":
            found.append(each["t"] + off)
            off = each.get("to", 0.0)
    return found


def _waits(saga: Saga) -> Iterator[tuple[str, float, float]]:
    """Yield each wait that nobody cut short, until when it was, and how many seconds it ended too late."""
    told: dict[Any, int] = {}
    until: dict[str, Any] = {}
    for event in saga.events:
        still = told.setdefault(event["at"], event["version"]) != event["version"]  # as below
        if event["type"] == "StepDispatched" and event["data"].get("waiting") == "timer":
            until[event["step"]] = None if still else moment(event["data"]["until"])
        if event["type"] != "StepCompleted" or still or event["version"] in saga.settled_by_hand:
            continue
        if at := until.get(event["step"]):
            late = (event["at"] - at).total_seconds()
            if abs(late) <= BETWEEN:
                yield event["step"], at.timestamp(), late


def _due(facts: Facts) -> dict[tuple[str, int], Any]:
    """Return when each attempt that had to wait was due; an operator's retry is due at once."""
    found = {}
    for saga in facts.sagas.values():
        generation: dict[tuple[str, str], int] = {}
        told: dict[Any, int] = {}
        for event in saga.events:
            way = "undo" if event["type"].startswith("Undo") else "do"
            if event["type"] in ("StepDispatched", "UndoDispatched", "DeliveryDispatched"):
                generation[event["step"], way] = event["data"]["generation"]
            # A second transition at the very same time: the clock is behind the saga, whose time stands still,
            # so that nobody knows when this attempt was due, by the clock; what was planned before is void.
            still = told.setdefault(event["at"], event["version"]) != event["version"]
            if event["data"].get("due_at") and "attempt" in event["data"]:
                key = f"{saga.id}:{event['step']}:{way}:{generation.get((event['step'], way), 0)}"
                found[key, event["data"]["attempt"]] = None if still else moment(event["data"]["due_at"])
    return found


@invariant("I10", "what a killed worker held is tried again within the lease and 10 s (p99)")
def recovery(facts: Facts, verdict: Verdict) -> None:
    found = recoveries(facts)
    calm = [each["seconds"] for each in found if not each["disturbed"]]
    every = [each["seconds"] for each in found]
    bound = facts.plan.lease + BEYOND
    p99 = share(calm, 0.99)
    verdict.checked = len(found)
    if p99 is not None and p99 > bound:
        slow = [each for each in found if not each["disturbed"] and each["seconds"] > bound]
        verdict.violations = [{"what": f"p99 is {p99} s, above {bound} s", **each} for each in slow]
    verdict.figures = {
        "kills in mid-step": len(found),
        "p50": share(calm, 0.5),
        "p99": p99,
        "max": share(calm, 1),
    }
    verdict.figures |= {
        "p99 with the database's faults": share(every, 0.99),
        "max with them": share(every, 1),
    }


def recoveries(facts: Facts) -> list[Row]:
    """Return each call that a kill cut short and that was made again: when, and after how many seconds."""
    calls: dict[str, list[Row]] = defaultdict(list)
    for call in facts.calls:
        calls[call["key"]].append(call)
    by_pid: dict[int, list[Row]] = defaultdict(list)
    for call in facts.calls:
        by_pid[call["pid"]].append(call)
    disturbances, pauses, locks = _disturbed(facts, NO_DATABASE), _pauses(facts), _locks(facts)
    paused = _paused(facts)
    found = []
    for killed in _kills(facts):
        for call in by_pid[killed["pid"]]:
            held = call["began"] <= killed["t"] and (
                call["ended"] is None or call["ended"] >= killed["t"] or not call["answered"]
            )
            again = next(
                (c for c in calls[call["key"]] if c["began"] > killed["t"] and c["pid"] != killed["pid"]),
                None,
            )
            if not held or killed["t"] - call["began"] > 5 or again is None or call["saga"] in paused:
                continue
            window = killed["t"] - AROUND, killed["t"] + facts.plan.lease + BEYOND
            seconds = round(again["began"] - killed["t"], 3)
            held_up = any(
                since <= again["began"] and killed["t"] <= until
                for since, until in pauses[_queue_of(facts, call)]
            )
            locked = _near(locks[call["saga"]], killed["t"] - LOCKED, again["began"])
            found.append(
                {
                    "t": killed["t"],
                    "seconds": seconds,
                    "disturbed": held_up or locked or _near(disturbances, *window),
                    "key": call["key"],
                }
            )
    return found


def _paused(facts: Facts) -> set[str]:
    """Return the sagas that an operator has held up: their times say nothing."""
    return {saga.id for saga in facts.sagas.values() if any(a["verb"] == "pause" for a in saga.actions)}


def _kills(facts: Facts) -> list[Row]:
    """Return when which worker's process ended by SIGKILL."""
    return [
        entry
        for entry in facts.nemesis
        if entry["what"] == "ended" and entry["child"].startswith("worker") and entry["code"] == -9
    ]


@invariant("I15", "while the database is there, sagas come to their ends")
def progress(facts: Facts, verdict: Verdict) -> None:
    last, finished, longest = None, -1, 0.0
    for entry in facts.probe:
        counted = entry["sagas"]
        if counted is None or last is None or counted["finished"] > finished or not counted["running"]:
            finished = counted["finished"] if counted else finished
            last = entry["t"]
            continue
        longest = max(longest, entry["t"] - last)
        verdict.expect(
            entry["t"] - last <= STANDSTILL, "nothing came to its end", since=last, seconds=entry["t"] - last
        )
    verdict.figures = {"longest without an end, s": round(longest, 1)}
