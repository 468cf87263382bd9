"""I8, I14: what operators were told against what is recorded."""

from collections import Counter, defaultdict

from bench.nemesis.checker.facts import Facts, Row, Saga
from bench.nemesis.checker.history import Story
from bench.nemesis.checker.verdict import Verdict, invariant


@invariant("I8", "an action id has one effect, one audit row and one answer; a stale version has none")
def actions(facts: Facts, verdict: Verdict) -> None:
    recorded = {action["action_id"]: action for saga in facts.sagas.values() for action in saga.actions}
    answers: dict[str, list[Row]] = defaultdict(list)
    unanswered = Counter(e["action"] for e in facts.bots if e["what"] == "unanswered")
    for entry in facts.bots:
        if entry["what"] == "did":
            answers[entry["action"]].append(entry)
    for action_id, given in answers.items():
        done = [entry for entry in given if entry["status"] == 200]
        open_end = unanswered[action_id] or any(entry["status"] >= 500 for entry in given)
        there = action_id in recorded
        verdict.expect(there or not done, "done, and not in the audit trail", action=action_id)
        verdict.expect(
            bool(done) or bool(open_end) or not there, "refused, and in the audit trail", action=action_id
        )
        verdict.expect(
            len({str(e["answer"]) for e in done}) <= 1,
            "two answers to one action",
            action=action_id,
            given=done,
        )
        first = [entry for entry in done if not entry["repeated"]]
        verdict.expect(len(first) <= 1, "one action was done twice", action=action_id, given=done)
        if there and done and done[0]["asked"] is not None:
            before = recorded[action_id]["version_before"]
            verdict.expect(before == done[0]["asked"], "done to a version that nobody saw", action=action_id)
    for entry in facts.bots:
        if entry["what"] == "queue":
            there = entry["action"] in facts.of_queues
            verdict.expect(
                there == (entry["status"] == 200), "a queue's pause is not as it was told", **entry
            )
    _of_batches(facts, verdict)
    statuses = Counter(entry["status"] for given in answers.values() for entry in given)
    verdict.figures = {"commands": sum(statuses.values()), **{str(k): v for k, v in sorted(statuses.items())}}


def _of_batches(facts: Facts, verdict: Verdict) -> None:
    """What a batch says that it did to a saga, stands in the audit trail, and nothing else does."""
    for entry in facts.bots:
        if entry["what"] == "batch":
            there = entry["action"] in facts.of_batches
            verdict.expect(there == (entry["status"] in (200, 201)), "a batch is not as it was told", **entry)
    done = {
        (action["batch_id"], saga.id)
        for saga in facts.sagas.values()
        for action in saga.actions
        if action["batch_id"] is not None
    }
    told = {
        (item["batch_id"], str(item["saga_id"]))
        for item in facts.items
        if item["state"] not in ("waiting", "refused") and str(item["saga_id"]) in facts.sagas
    }
    for number, saga_id in done ^ told:
        verdict.expect(False, "a batch did what it does not say, or the reverse", batch=number, saga=saga_id)


@invariant("I14", "all that was accepted and seen has one order, the versions'")
def one_order(facts: Facts, verdict: Verdict) -> None:
    for saga in facts.sagas.values():
        versions = {event["version"] for event in saga.events}
        moved = [a["version_after"] for a in saga.actions if a["version_after"] > a["version_before"]]
        for version, count in Counter(moved).items():
            verdict.expect(
                count == 1 and version in versions,
                "two actions made one version",
                saga=saga.id,
                version=version,
            )
    seen: dict[str, list[Row]] = defaultdict(list)
    last: dict[tuple[str, str], int] = {}
    for entry in facts.bots:
        if entry["what"] == "saw":
            seen[entry["id"]].append(entry)
            at = entry["bot"], entry["id"]
            verdict.expect(
                entry["version"] >= last.get(at, 0), "a version went back", saga=entry["id"], bot=entry["bot"]
            )
            last[at] = entry["version"]
    for saga_id, entries in seen.items():
        if verdict.expect(saga_id in facts.sagas, "a saga was seen that is not there", saga=saga_id):
            _compare(facts.sagas[saga_id], entries, verdict)


def _compare(saga: Saga, entries: list[Row], verdict: Verdict) -> None:
    """Each sight of a saga is what its history says of that version."""
    told: dict[int, tuple[str, dict[str, str]]] = {}
    story = Story(saga)
    for event in saga.events:
        story.hear(event)
        told[event["version"]] = story.state, dict(story.status)
    for entry in entries:
        same = told.get(entry["version"]) == (entry["state"], entry["steps"])
        verdict.expect(same, "what was shown never was", saga=saga.id, version=entry["version"])
