"""I16: what was said to ask for a person against what did, and what was told against what was heard."""

from collections import Counter
from datetime import timedelta

from bench.nemesis.checker.facts import Facts
from bench.nemesis.checker.verdict import Verdict, invariant

#: Between two looks, and for how long one may take.
LOOK = timedelta(seconds=8)


@invariant("I16", "what asks for a person is one alert until it is over, and what was told was heard")
def alerts(facts: Facts, verdict: Verdict) -> None:
    heard = Counter(entry["notice"] for entry in facts.journal("pager"))
    to_tell = Counter(notice["alert_id"] for notice in facts.notices)
    for notice in facts.notices:
        if notice["sent_at"]:
            verdict.expect(heard[notice["id"]] > 0, "told, and not heard", notice=notice["id"])
    for alert in facts.alerts:
        withdrawn = alert["taken_name"] or alert["resolved_at"]
        if alert["told"] and alert["kind"] != "channel" and not withdrawn:
            verdict.expect(
                to_tell[alert["id"]] > 0, "said to be told, and nobody was to be", alert=alert["id"]
            )
    again = sum(count - 1 for count in heard.values())
    verdict.figures = {"alerts": len(facts.alerts), "told": len(heard), "told more than once": again}
    if not _as_it_is(facts, verdict):
        verdict.figures["not compared with what asks"] = "nobody has looked since"


def _as_it_is(facts: Facts, verdict: Verdict) -> bool:
    """Once somebody has looked after all came to rest, what is open is what asks for a person; tell if so."""
    changed = max(saga.row["updated_at"] for saga in facts.sagas.values())
    if not facts.watch or facts.watch[0]["looked_at"] < changed + LOOK:  # it says when the look began
        return False
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
    return True
