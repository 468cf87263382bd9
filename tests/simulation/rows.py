"""What the rows must say after each decision: what is open, what is due, who is asked."""

from typing import TYPE_CHECKING

from .books import Books, demand
from .graph import FUNCTION

if TYPE_CHECKING:
    from .world import World


def check_rows(books: Books, world: "World") -> None:
    """Check the rows against the oracle's books."""
    now, due = world.progress, world.due
    steps = now.steps.values()
    demand({s.name: s.number for s in steps if s.open} == books.open, "I4: rows say which command is open")
    scheduled = {s.number for s in steps if s.scheduled} | books.own
    demand(scheduled == due.keys(), "rule 6: due is what is scheduled", (scheduled, due))
    waits = {s.name: s.waiting.value for s in steps if s.waiting}
    demand(waits == books.waiting, "rows say for what is waited", waits)
    asks = [step for step in steps if step.attention]
    for step in asks:
        demand(not step.scheduled, "who asks does not go on", step.name)
        moot = books.turned and step.open == "do" and step.attention not in {"outcome_unknown", "cannot_undo"}
        demand(not moot, "a rollback asks nobody about going forward", step.name)
    if books.turned:
        free = {n: row.command for n, row in due.items() if row.token is None and not row.command.waits}
        probes = books.graph.probe.values()
        idle = [n for n, due in free.items() if due.direction == "do" and due.name not in probes]
        demand(not idle, "once the saga has turned back no attempt of an action is due", idle)
    if books.ended:
        demand(not due and not books.open, "rule 1: nothing in flight behind the end", due)
    elif world.begun and not (
        now.paused or asks or "approval" in waits.values() or waits.keys() & books.graph.children
    ):
        demand(due, "rule 6: a saga that asks nobody has work due", now.state)
    on_its_way = books.begun and not (books.turned or books.ended)
    if books.graph.growing and on_its_way and FUNCTION not in books.open:
        demand(FUNCTION in books.held or not books.news, "a function hears of every verdict", books.news)
    for name, _ in books.late:
        step = now.steps[name]
        asked = step.attention or step.open or step.status == "compensating"
        demand(asked, "C4: a late effect asks until it is settled", name)
