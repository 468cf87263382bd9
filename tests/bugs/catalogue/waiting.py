"""Bugs of what waits, and of what is asked: timers, approvals, deadlines, probes."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

WAITS, PROBES = "tests/core/test_waits.py", "tests/core/test_probes.py"


@bug(WAITS)
def one_person_approves_twice() -> None:
    """Who has approved a step may do so again, so that one person is as good as the two who were asked for."""
    rewrite("sagas.core.waiting:approve", "if person in given:", "if False:")


@bug(WAITS)
def approval_after_turning_back() -> None:
    """An approval that comes when the saga is rolling back completes its step all the same."""
    rewrite("sagas.core.waiting:_asked", "if draft.progress.state is SagaState.COMPENSATING:", "if False:")


@bug(WAITS)
def deadline_behind_the_pivot() -> None:
    """A saga whose deadline passes turns back, though its point of no return is passed."""
    rewrite("sagas.core.waiting:_own_time_is_up", "or draft.pivot_passed", "")


@bug(WAITS)
def broken_promise_forgotten() -> None:
    """A participant that promised to answer later, and never does, is waited for without an end."""
    rewrite(
        "sagas.core.waiting:time_is_up",
        'replies.take(draft, m.Unknown(number, "no reply came in time", inbox=step.inbox))',
        "pass",
    )


@bug("tests/sagas/test_waits.py")
def starters_approve_their_own() -> None:
    """Who started a saga may approve it, though its author did not say so."""
    rewrite(
        "sagas.orchestrator.approvals:check_answerer",
        "not approval.self_approval and",
        "False and",
    )


@bug("tests/sagas/test_waits.py")
def starters_approve_the_restart() -> None:
    """Who started a saga may approve it once somebody else has restarted it."""
    rewrite(
        "sagas.orchestrator.approvals:_began",
        "saga.origin_id if saga.origin_kind in _SAME else None",
        "None",
    )


@bug(PROBES)
def nothing_so_far_is_no_effect() -> None:
    """A probe that has seen nothing so far is taken for a rejection: an attempt that is on its way is forgotten."""
    rewrite(
        "sagas.core.replies:_action_not_seen",
        "_action_unknown(draft, step, error, inbox=step.inbox, retry_after=None)",
        "reject(draft, step, error)",
    )


@bug(PROBES)
def rollback_without_asking() -> None:
    """A rollback undoes what is in doubt at once, without asking the participant that could tell."""
    rewrite("sagas.core.draft:Draft.withdraw", "self.ask(step, error)", "False")
