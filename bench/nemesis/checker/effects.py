"""I1, I2, I5, I6: what was promised against what the ledger has."""

from collections import Counter, defaultdict
from collections.abc import Collection
from typing import Any

from bench.nemesis.checker.books import CARRIER
from bench.nemesis.checker.facts import FUNCTION, Facts, Row, Saga
from bench.nemesis.checker.verdict import Verdict, invariant

#: The participant without an inbox, and the one whose books are in the desk's own database.
PLAIN, LOCAL = "courier", "points"
#: What makes a command of a saga due, and in which direction.
DISPATCHES = {"StepDispatched": "do", "UndoDispatched": "undo", "DeliveryDispatched": "do"}
#: The choreography, and its steps that have an effect.
ROUND, ACTING = "ChaosRound", ("reserve", "charge", "ship")
#: What a stranger hears: no, or nothing while the web is away.
UNHEARD = {0, 401, 500, 502, 503, 504}
#: Steps of a choreography that ask nobody outside.
SILENT = ("end", "sold_out")
#: Sagas whose actions are undos: what they undo is another saga's.
UNDOING = ("repair", "undo")
#: So many pauses beyond a lease must have had something to say too late.
BITES = 10
#: What may make a process call after others have given it up, and for how many seconds beyond a lease that can last.
GIVEN_UP = {"kill -9 of a worker", "worker paused beyond its lease", "worker short of memory, then killed"}
LAG = 10.0


Shaken = dict[int, list[float]]
"""By process: when it was killed, paused or starved."""


@invariant("I1", "every start that was answered is there, once, and has come to its end")
def kept(facts: Facts, verdict: Verdict) -> None:
    ids: dict[str, set[str]] = defaultdict(set)
    for entry in facts.journal("starters"):
        if entry["what"] == "started":
            ids[entry["key"]].add(entry["id"])
        elif entry["what"] == "expected":
            verdict.expect(entry["found"] == entry["status"], "an unexpected answer", **entry)
    for key, found in ids.items():
        verdict.expect(len(found) == 1, "one key, several sagas", key=key, ids=sorted(found))
        verdict.expect(found <= facts.sagas.keys(), "an answered start is lost", key=key, ids=sorted(found))
    keys = Counter(
        saga.row["idempotency_key"] for saga in facts.sagas.values() if saga.row["idempotency_key"]
    )
    for key, count in keys.items():
        verdict.expect(count == 1, "one key, several sagas", key=key)
    settled = next((e for e in facts.nemesis if e["what"] == "settled"), {"left": None, "seconds": None})
    for saga in facts.sagas.values():
        rest = saga.over and not saga.row["attention"] and not saga.row["paused"]
        verdict.expect(
            rest,
            "it has not come to its end",
            saga=saga.id,
            state=saga.row["state"],
            attention=saga.row["attention"],
        )
    verdict.expect(not facts.due, "something is still due", due=facts.due[:5])
    states = Counter(saga.row["state"] for saga in facts.sagas.values())
    verdict.figures = {
        "started": len(ids),
        "sagas": len(facts.sagas),
        **states,
        "settled after": settled["seconds"],
    }


@invariant("I2", "one effect per step of a completed saga, none left of a failed one, and no key twice")
def effects(facts: Facts, verdict: Verdict) -> None:
    keys = Counter(effect["key"] for effect in facts.effects if not effect["plain"])
    keys.update(row["key"] for row in facts.points)
    for key, count in keys.items():
        verdict.expect(count == 1, "a key had two effects", key=key)
    shaken = _shaken(facts)
    excused = 0
    for saga in facts.sagas.values():
        if saga.over and saga.row["saga_type"] == ROUND:
            _round(facts, saga, verdict)
        elif saga.over:
            excused += sum(_step(facts, saga, step, shaken, verdict) for step in saga.steps.values())
    verdict.figures = {
        "effects": len(facts.effects) + len(facts.points),
        "without an inbox, beyond telling": excused,
        "functions": sum(FUNCTION in saga.steps for saga in facts.sagas.values()),
        "children": sum(saga.row["origin_kind"] == "child" for saga in facts.sagas.values()),
        "undone when they were completed": sum(saga.undone for saga in facts.sagas.values()),
    }


def _round(facts: Facts, saga: Saga, verdict: Verdict) -> None:
    """Compare a choreography: all that acts has acted, or nothing is left of it. No operator settles one by hand."""
    wanted = {1} if saga.row["state"] == "completed" else {0}
    for step in saga.steps:
        net = _net(facts, saga, step)
        fits = net in (wanted if step in ACTING else {0})
        where = {"saga": saga.id, "state": saga.row["state"], "step": step, "net": net}
        verdict.expect(fits, "the ledger does not say what the choreography says", **where)
    for step in saga.steps.values():
        over = step["status"] in ("pending", "completed")
        verdict.expect(over, "an event was not delivered", saga=saga.id, step=step["name"])


def _step(facts: Facts, saga: Saga, step: Row, shaken: Shaken, verdict: Verdict) -> int:
    """Compare one step; return 1 if it is off, and nobody could have known."""
    net = _net(facts, saga, step["name"])
    if saga.asks_nobody(step["name"]) or saga.row["origin_kind"] in UNDOING or saga.undone:
        wanted = {0}
    elif saga.row["state"] == "completed":
        wanted = {1} if step["status"] == "completed" else {0}
    else:
        wanted = {0, 1} if step["name"] in saga.waived else {0}
    _children(saga, step, verdict)
    where = {
        "saga": saga.id,
        "state": saga.row["state"],
        "step": step["name"],
        "status": step["status"],
        "net": net,
    }
    if step["name"] == PLAIN and net not in wanted and _beyond_telling(facts, saga, shaken):
        return 1
    verdict.expect(net in wanted, "the ledger does not say what the saga says", **where)
    return 0


def _children(saga: Saga, step: Row, verdict: Verdict) -> None:
    """Compare a step with the sagas that it has started: one that stands, or none."""
    if not saga.definition[step["name"]].get("child"):
        return
    found = saga.children[step["name"]]
    standing = [child.id for child in found if child.row["state"] == "completed" and not child.undone]
    stands = step["status"] == "completed" and not saga.undone
    where = {"saga": saga.id, "step": step["name"], "status": step["status"]}
    verdict.expect(
        len(standing) == stands, "not as many children stand as should", standing=standing, **where
    )
    asked = sum(e["type"] == "StepDispatched" and e["step"] == step["name"] for e in saga.events)
    verdict.expect(len(found) <= asked, "more children than commands", of=len(found), asked=asked, **where)


def _net(facts: Facts, saga: Saga, step: str) -> int:
    if step == LOCAL:
        return facts.net_points[saga.id]
    return sum(1 for effect in saga.effects[step] if effect["undone_at"] is None)


def _shaken(facts: Facts) -> Shaken:
    """Return when which process was killed, paused or starved: it may have called after others had given it up."""
    found: Shaken = defaultdict(list)
    for entry in facts.nemesis:
        if entry["what"] == "fault" and entry["kind"] in GIVEN_UP:
            found[entry["pid"]].append(entry["t"])
    return found


def _beyond_telling(facts: Facts, saga: Saga, shaken: Shaken) -> bool:
    """Whether a participant without an inbox was called by a process that was given up: nothing ties that call down."""
    calls = [call for call in facts.calls if call["saga"] == saga.id and call["step"] == PLAIN]
    lag = facts.plan.lease + LAG
    return any(
        call["began"] - lag <= at <= (call["ended"] or call["began"] + lag)
        for call in calls
        for at in shaken.get(call["pid"], ())
    )


@invariant("I5", "who has lost a lease and still speaks is heard too late")
def stale(facts: Facts, verdict: Verdict) -> None:
    pauses = sum(1 for e in facts.nemesis if e.get("kind") == "worker paused beyond its lease")
    verdict.checked = len(facts.late)
    if pauses >= BITES:
        verdict.expect(
            bool(facts.late), "no zombie said anything too late: the fault does not bite", pauses=pauses
        )
    verdict.figures = {"late replies refused": len(facts.late), "pauses": pauses}


@invariant("I6", "what the ledger was asked is recorded, and what is recorded as done the ledger did")
def intents(facts: Facts, verdict: Verdict) -> None:
    recorded = {key for saga in facts.sagas.values() for key in _keys(saga)}
    for key in {call["key"] for call in facts.calls} | facts.books.replies.keys():
        verdict.expect(key in recorded, "called without a recorded intent", key=key)
    effective = {effect["key"] for effect in facts.effects} | {row["key"] for row in facts.points}
    done = {key for key, answer in facts.replies.items() if answer["verdict"] == "completed"}
    for saga in facts.sagas.values():
        if saga.row["saga_type"] == ROUND:  # a subscriber may have been refused, and have told so
            known: Collection[str] = facts.replies.keys()
        else:  # what undoes another saga's effects has none of its own
            known = done if saga.row["origin_kind"] == "undo" else effective
        _claims_nothing(facts, saga, known, verdict)
    forged = [entry for entry in facts.journal("outpost") if entry.get("forged")]
    for entry in forged:
        verdict.expect(entry["code"] in UNHEARD, "a stranger's answer was taken", **entry)
    for saga in facts.sagas.values():
        if mood(saga) == "forged":
            verdict.expect(not _believed(saga), "the carrier's forged answer was taken", saga=saga.id)
    verdict.figures = {"forged answers refused": sum(entry["code"] == 401 for entry in forged)}


def mood(saga: Saga) -> str | None:
    """Return what the carrier was told to be; None where there is none."""
    told: str | None = (saga.row["data"].get("demo") or {}).get("carrier")
    return told


def _believed(saga: Saga) -> bool:
    """Whether an answer closed a shipment that its carrier has answered but once, with somebody else's key."""
    kinds = [event["type"] for event in saga.events if event["step"] == CARRIER]
    asked_once = kinds[:3] == ["StepDispatched", "ReplyAwaited", "StepCompleted"]
    return asked_once and not saga.settled_by_hand


def _keys(saga: Saga) -> list[str]:
    found = []
    for event in saga.events:
        if event["type"] in DISPATCHES:
            way = DISPATCHES[event["type"]]
            found.append(f"{saga.id}:{event['step']}:{way}:{event['data']['generation']}")
    return found


def _claims_nothing(facts: Facts, saga: Saga, effective: Collection[str], verdict: Verdict) -> None:
    """Every verdict that no operator gave has the ledger's word behind it."""
    open_key: dict[str, str] = {}
    for event in saga.events:
        kind, step = event["type"], event["step"]
        if kind in DISPATCHES:
            way = DISPATCHES[kind]
            open_key[step] = f"{saga.id}:{step}:{way}:{event['data']['generation']}"
        if event["version"] in saga.settled_by_hand or step is None or saga.asks_nobody(step):
            continue
        known: dict[str, Any] = facts.replies.get(open_key.get(step, ""), {})
        if kind == "StepCompleted" and saga.row["origin_kind"] != "repair" and step not in SILENT:
            verdict.expect(
                open_key.get(step) in effective,
                "completed, and the ledger knows nothing of it",
                saga=saga.id,
                step=step,
            )
        if kind == "StepFailed" and step not in (PLAIN, LOCAL):
            verdict.expect(
                known.get("verdict") == "rejected",
                "failed, and the ledger did not refuse",
                saga=saga.id,
                step=step,
            )
        if kind == "StepCompensated" and step not in (PLAIN, LOCAL):
            verdict.expect(
                known.get("verdict") == "completed",
                "compensated, and the ledger did not",
                saga=saga.id,
                step=step,
            )
