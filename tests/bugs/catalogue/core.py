"""Bugs of the pure core: a wrong decision, whatever the database and the processes do."""

from tests.bugs.bug import bug
from tests.bugs.planting import rewrite

DECIDE, VERBS = "tests/core/test_decide.py", "tests/core/test_verbs.py"


@bug(DECIDE, chaos=True)
def time_out_is_failure() -> None:
    """A time-out is taken for a rejection: the step counts as not done, though its effect may stand."""
    rewrite(
        "sagas.core.replies:_answer_action",
        "_action_unknown(draft, step, error, inbox=inbox, retry_after=retry_after)",
        "reject(draft, step, error)",
    )


@bug(DECIDE)
def late_success_ignored() -> None:
    """A success that arrives after its command was closed is thrown away: its effect stands, and nobody knows."""
    rewrite("sagas.core.replies:_late", "if sent is None or not isinstance(reply, m.Completed):", "if True:")


@bug(DECIDE)
def effect_of_an_earlier_action_ignored() -> None:
    """What an operator called without effect, and had tried again, turns out to be done: nobody is asked about two."""
    rewrite("sagas.core.replies:_late", "news = not step.is_late(generation)", "news = False")


@bug(DECIDE)
def late_reply_matched_to_the_current_step() -> None:
    """A reply whose command is closed is taken as the answer to whatever the saga waits for now."""
    rewrite(
        "sagas.core.replies:take",
        "if step is None:",
        "step = step or next((s for s in draft.progress.steps.values() if s.open), None)\n    if step is None:",
    )


@bug(DECIDE)
def a_no_speaks_for_earlier_attempts() -> None:
    """Without an inbox, a rejected retry closes the step, though the attempt before it may have had its effect."""
    rewrite("sagas.core.replies:_answer_action", "if step.unresolved and not inbox:", "if False:")


@bug(DECIDE, "tests/sagas/test_engine.py", chaos=True)
def undo_in_forward_order() -> None:
    """The rollback walks the steps as they were done: first in, first undone."""
    rewrite(
        "sagas.core.draft:Draft._backward",
        "reversed(self.definition.order)",
        "self.definition.order",
        "self.definition.dependents(name)",
        "self.definition.needs(name)",
    )


@bug(DECIDE, chaos=True)
def undo_under_what_stands() -> None:
    """All undos are sent at once: a step is undone while one that relies on it still stands."""
    rewrite(
        "sagas.core.draft:Draft._backward",
        "if clear.issuperset(self.definition.dependents(name)):",
        "if True:",
    )


@bug(DECIDE)
def undo_dropped_when_retries_are_spent() -> None:
    """An undo that keeps failing is given up, and the saga ends as if it had been done."""
    rewrite(
        "sagas.core.replies:_undo_failed",
        "draft.add(e.UndoHeld, step=step.name, code=code, error=error, outcome=outcome)",
        "draft.add(e.StepCompensated, step=step.name)\n    draft.advance()",
    )


@bug(DECIDE)
def unclaimed_work_not_withdrawn() -> None:
    """A saga that turns back leaves what is due, and nobody has begun, to be done all the same."""
    rewrite("sagas.core.draft:Draft._may_stop", "not self.claimed(step)", "False")


@bug(DECIDE)
def rollback_behind_the_pivot() -> None:
    """A step that fails behind the point of no return turns the saga back, instead of asking."""
    rewrite("sagas.core.replies:reject", "draft.pivot_passed or ", "")
    rewrite("sagas.core.replies:_try_again", "draft.pivot_passed or ", "")


@bug(VERBS)
def key_changes_on_a_manual_retry() -> None:
    """An operator's retry of an unknown outcome is sent as a new command: a second effect under a second key."""
    from sagas.core import events, machine, words

    rewrite("sagas.core.verbs:_retry", "elif step.status is StepStatus.FAILED:", "elif step.open:")
    table = dict(machine.STEP_TRANSITIONS)
    table[words.StepStatus.EXECUTING, events.StepDispatched] = words.StepStatus.EXECUTING
    machine.STEP_TRANSITIONS = table


@bug(VERBS)
def verbs_do_not_wait_for_workers() -> None:
    """An operator may skip, settle or retry what a worker is executing at that very moment."""
    rewrite("sagas.core.verbs:unclaimed", "if draft.claimed(step):", "if False:")


@bug(VERBS, DECIDE)
def the_operators_word_is_forgotten() -> None:
    """An undo that an operator waived is sent again when the rollback goes on."""
    rewrite("sagas.core.draft:Draft._undo", "and not step.standing ", "")
