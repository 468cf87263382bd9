"""Reads what a run has left, says whether each invariant held, and exits with 1 if one did not, or was not tried."""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from bench.nemesis.checker import alerts, effects, history, operators, outside, times
from bench.nemesis.checker.facts import Facts
from bench.nemesis.checker.verdict import CHECKS, NOTHING, Verdict
from bench.nemesis.faults.catalogue import CATALOGUE, NOT_DONE
from bench.report import Table

MODULES = (alerts, effects, history, operators, outside, times)
#: What is not checked here, and why.
ELSEWHERE = {
    "I7": "not applicable: semantic locks are the participants' own",
}
SHOWN = 3
#: Minutes from which on each kind of fault must have come, and each invariant have been tried.
LONG = 5


def main(folder: str) -> int:
    """Check, print, write the findings; return the exit code."""
    facts = Facts(folder)
    verdicts = []
    for number, sentence, check in sorted(CHECKS, key=lambda each: int(each[0][1:])):
        verdict = Verdict(number, sentence)
        check(facts, verdict)
        verdicts.append(verdict)
    doses = _doses(facts)
    _print(facts, verdicts, doses)
    whole = facts.plan.minutes >= LONG and not facts.plan.without
    wrong = {"FAIL", NOTHING} if whole else {"FAIL"}
    failed = [verdict for verdict in verdicts if verdict.word in wrong]
    for verdict in failed:
        _keep(facts, verdict)
    _write(facts, verdicts, doses)
    absent = _absent(facts, doses) if whole else []
    if absent:
        print(f"  never came, though it could: {', '.join(absent)}")
    if failed or absent:
        print(f"\n  repeat it: {facts.plan.again}\n  look into it: {folder}/violations", flush=True)
    return 1 if failed or absent else 0


def _absent(facts: Facts, doses: list[dict[str, Any]]) -> list[str]:
    """Return the kinds of faults that nothing kept from coming, and that did not come."""
    came = {row["kind"] for row in doses if row["dose"]}
    barred = {entry["kind"] for entry in facts.nemesis if entry["what"] == "barred"}
    return [each.name for each in CATALOGUE if each.name not in came | barred]


def _doses(facts: Facts) -> list[dict[str, Any]]:
    counted = Counter(e["kind"] for e in facts.nemesis if e["what"] == "fault")
    users = Counter(e["kind"] for e in facts.journal("sockets") if e["what"] == "hostile")
    rows = []
    for fault in CATALOGUE:
        rows.append({"id": fault.number, "kind": fault.name, "dose": counted[fault.name]})
    for kind, dose in sorted(facts.ledger_faults.items()):
        rows.append({"id": "F10", "kind": f"ledger: {kind}", "dose": dose})
    moods = Counter(e["kind"] for e in facts.journal("outpost") if e["what"] == "fault")
    rows += [{"id": "F10", "kind": f"outpost: {kind}", "dose": dose} for kind, dose in sorted(moods.items())]
    told = Counter(told for saga in facts.sagas.values() if (told := effects.mood(saga)))
    rows += [{"id": "F10", "kind": f"carrier: {kind}", "dose": dose} for kind, dose in sorted(told.items())]
    rows.append(
        {"id": "F14", "kind": "operators' commands", "dose": sum(1 for e in facts.bots if e["what"] == "did")}
    )
    queues = sum(1 for e in facts.bots if e["what"] == "queue" and e["verb"] == "pause")
    rows.append({"id": "F14", "kind": "a participant's queue paused, and resumed", "dose": queues})
    many = sum(1 for item in facts.items if item["state"] not in ("waiting", "refused"))
    rows.append({"id": "F14", "kind": "sagas that were acted on in batches", "dose": many})
    rows += [
        {"id": "F15", "kind": f"hostile socket: {kind}", "dose": dose} for kind, dose in sorted(users.items())
    ]
    return sorted(rows, key=lambda row: int(row["id"][1:]))


def _print(facts: Facts, verdicts: list[Verdict], doses: list[dict[str, Any]]) -> None:
    print(
        "\n"
        + Table(
            ("fault", "dose"), [(f"{row['id']:4} {row['kind']}", str(row["dose"])) for row in doses]
        ).text()
    )
    barred = {e["kind"]: e["why"] for e in facts.nemesis if e["what"] == "barred"}
    for what, why in (barred | NOT_DONE).items():
        print(f"  not done: {what}: {why}")
    rows = [(f"{v.number:4} {v.sentence}", str(v.checked), str(len(v.violations)), v.word) for v in verdicts]
    print("\n" + Table(("invariant", "checked", "violations", ""), rows).text())
    for number, why in ELSEWHERE.items():
        print(f"  {number:4} {why}")
    for verdict in verdicts:
        if verdict.figures:
            print(
                f"  {verdict.number:4} "
                + ", ".join(f"{name} {value}" for name, value in verdict.figures.items())
            )
    for verdict in verdicts:
        for each in verdict.violations[:SHOWN]:
            print(f"  {verdict.number} VIOLATED: {json.dumps(each, default=str)[:600]}")


def _keep(facts: Facts, verdict: Verdict) -> None:
    """Write down all that is known of the sagas that violate an invariant."""
    folder = facts.folder / "violations"
    folder.mkdir(exist_ok=True)
    told = []
    for each in verdict.violations[:50]:
        saga_id = each.get("saga") or str(each.get("key", "")).partition(":")[0]
        saga = facts.sagas.get(saga_id)
        about: dict[str, Any] = {"violation": each}
        if saga:
            about |= {
                "saga": vars(saga),
                "calls": [call for call in facts.calls if call["saga"] == saga_id],
            }
        told.append(about)
    (folder / f"{verdict.number}.json").write_text(json.dumps(told, indent=1, default=str))


def _write(facts: Facts, verdicts: list[Verdict], doses: list[dict[str, Any]]) -> None:
    found = {
        "again": facts.plan.again,
        "database": facts.plan.database,
        "lease": facts.plan.lease,
        "doses": doses,
        "verdicts": [
            {
                "id": v.number,
                "sentence": v.sentence,
                "checked": v.checked,
                "word": v.word,
                "figures": v.figures,
            }
            | {"violations": v.violations[:50]}
            for v in verdicts
        ],
        "finished": [(e["t"], e["sagas"]["finished"]) for e in facts.probe if e["sagas"]],
        "recoveries": times.recoveries(facts),
        "faults": [(e["t"], e["kind"]) for e in facts.nemesis if e["what"] == "fault"],
    }
    Path(facts.folder, "findings.json").write_text(json.dumps(found, default=str))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
