"""Bugs of choreographies: an event that is lost, told twice, told too early or believed too soon."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

CORE, BUS = "tests/core/test_choreography.py", "tests/sagas/test_choreography.py"


@bug(CORE)
def two_events_at_a_time() -> None:
    """A subscriber is called with an event while it is busy with an earlier one of the same saga."""
    whole = "any(_untaken(s) and (s.scheduled or publishing.number(s) < mine) for s in others)"
    rewrite("sagas.core.choreography.turns:busy", whole, "False")


@bug(BUS)
def poison_dropped() -> None:
    """An event that its subscriber refuses is written off, and nobody is told."""
    rewrite("sagas.core.choreography.delivering:refuse", "park(draft, step, Attention.HELD, reason)", "pass")


@bug(CORE, BUS)
def failed_is_believed() -> None:
    """A choreography that says it has failed is believed, though something that was done is not undone."""
    rewrite("sagas.core.choreography.ending:_unkept", "if _still_stands(draft, flow, name)", "if False")


@bug(CORE, BUS)
def events_told_twice() -> None:
    """An event that is published twice is told twice: its subscribers do it all again, or the saga cannot go on."""
    rewrite("sagas.core.choreography.publishing:known", "return any(", "return False and any(")


@bug(BUS)
def events_wait_for_their_publisher() -> None:
    """What a subscriber published is only taken in with its reply: if that never comes, the event is lost."""
    rewrite("sagas.orchestrator.bus:_leave", "wait = ORPHANED if by else 0.0", "wait = 1e8 if by else 0.0")
