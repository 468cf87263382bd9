"""Bugs of durable functions and of child sagas: news that is not heard, a child too many, one undone too late."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

FUNCTIONS = "tests/core/test_growing.py"
STARTING, UNDOING = "tests/sagas/children/test_starting.py", "tests/sagas/children/test_undoing.py"


@bug(FUNCTIONS, chaos=True)
def verdicts_during_a_run_unheard() -> None:
    """A function hears nothing of a verdict that came while it was run: it waits for what is there already."""
    rewrite(
        "sagas.core.growth:_grow",
        "    if _unheard(draft, reply):\n        draft.advance()\n",
        "",
    )


@bug("tests/sagas/durable/test_records.py")
def a_branch_may_replace_its_end() -> None:
    """A branch whose finally fails goes on behind the end of a run: the saga may complete without a call."""
    rewrite(
        "sagas.replay.replaying:Replay.each_branch",
        "if (missing := branches[-1].missing) is not None:",
        "if (missing := None) is not None:",
    )


@bug(STARTING)
def a_child_for_each_attempt() -> None:
    """Nobody looks whether a command has its child already: who repeats it starts another one."""
    rewrite("sagas.orchestrator.children:begin", "Child.objects.filter(pk=sent.meta.key).first() or", "")
    rewrite("sagas.orchestrator.children:_begin", "if new and opening", "if opening")
    rewrite(
        "sagas.orchestrator.children:_opening",
        "parent.correlation_id, sent.meta.key",
        "parent.correlation_id, None",
    )


@bug(UNDOING, chaos=True)
def undone_children_not_awaited() -> None:
    """A parent goes on with its rollback as soon as the undoing of a completed child has begun."""
    rewrite("sagas.orchestrator.children:_undo_completed", "return UnderWay()", "return None")
