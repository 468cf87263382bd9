"""I16: what was said to ask for a person against what did, and what was told against what was heard."""

from collections import Counter

from bench.nemesis.checker.facts import Facts
from bench.nemesis.checker.verdict import Verdict, invariant


@invariant("I16", "what asks for a person is one alert until it is over, and what was told was heard")
def alerts(facts: Facts, verdict: Verdict) -> None:
    heard = Counter(entry["notice"] for entry in facts.journal("pager"))
    for notice in facts.notices:
        if notice["sent_at"]:
            verdict.expect(heard[notice["id"]] > 0, "told, and not heard", notice=notice["id"])
    _one_at_a_time(facts, verdict)
    _as_it_is(facts, verdict)
    again = sum(count - 1 for count in heard.values())
    verdict.figures = {"alerts": len(facts.alerts), "told": len(heard), "told more than once": again}


def _one_at_a_time(facts: Facts, verdict: Verdict) -> None:
    """By the times alone it cannot be told: the clock was set by an hour meanwhile."""
    open_ones = Counter(alert["key"] for alert in facts.alerts if alert["resolved_at"] is None)
    for key, count in open_ones.items():
        verdict.expect(count == 1, "two alerts of one thing", key=key)


def _as_it_is(facts: Facts, verdict: Verdict) -> None:
    """Once somebody has looked after all came to rest, what is open is what asks for a person."""
    changed = max(saga.row["updated_at"] for saga in facts.sagas.values())
    if not facts.watch or facts.watch[0]["looked_at"] < changed:
        return
    asking = {
        (step["attention"], saga.row["saga_type"], None if step["grown"] else step["name"])
        for saga in facts.sagas.values()
        for step in saga.steps.values()
        if step["attention"]
    }
    told = {
        (alert["about"]["attention"], alert["about"]["type"], alert["about"].get("step"))
        for alert in facts.alerts
        if alert["kind"] == "attention" and alert["resolved_at"] is None and alert["gone_at"] is None
    }
    verdict.expect(asking == told, "what is open is not what asks", asking=asking, told=told)
