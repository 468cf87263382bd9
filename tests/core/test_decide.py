"""What each reply decides: given a saga, when a participant answers, then these events."""

from datetime import timedelta
from typing import Any

import pytest

from sagas.core import messages as m
from sagas.core.built_in import approval, timer
from sagas.core.decide import Refused, decide
from sagas.core.definition import CANNOT_UNDO, Retry, SagaStep
from sagas.core.progress import Progress
from sagas.core.words import Attention, Outcome, SagaState, StepStatus, Verdict

from .story import NOON, Story, step

ONCE = Retry(max_attempts=1)
TWICE = Retry(max_attempts=2)
T = StepStatus


def chain(**second: object) -> Story:
    """A saga of two steps, whose first is done."""
    story = Story(step("a"), step("b", **second))
    story.done("a")
    return story


def fork() -> Story:
    """A saga of two branches that both run."""
    return Story(step("a", needs=()), step("b", needs=()))


# Forward


def test_a_saga_dispatches_the_steps_that_need_nothing() -> None:
    story = Story(step("a"), step("b"), step("c", needs=()))
    assert [type(event).__name__ for event in story.log] == [
        "SagaStarted",
        "StepDispatched",
        "StepDispatched",
    ]
    assert story.statuses == [T.EXECUTING, T.PENDING, T.EXECUTING]
    assert story.progress.data == {"order": 1}
    assert story.progress.created_at == NOON


def test_a_completed_step_dispatches_what_stood_on_it() -> None:
    story = Story(step("a"), step("b"), step("c", needs=("a",)), step("d", needs=("b", "c")))
    assert story.done("a") == ["StepCompleted a", "StepDispatched b", "StepDispatched c"]
    assert story.done("c") == ["StepCompleted c"]
    assert story.done("b") == ["StepCompleted b", "StepDispatched d"]
    assert story.done("d") == ["StepCompleted d", "SagaCompleted"]
    assert story.progress.finished_at == NOON


def test_a_lost_attempt_is_made_again_under_the_same_number_after_a_wait() -> None:
    story = Story(step("a"))
    number = story.number("a")
    assert story.lost("a") == ["StepRescheduled a"]
    assert (story.number("a"), story["a"].attempt, story["a"].outcome) == (number, 2, Outcome.UNKNOWN)
    assert story["a"].due_at == NOON + timedelta(seconds=1)
    story.lost("a")
    assert story["a"].due_at == NOON + timedelta(seconds=2)


@pytest.mark.parametrize(("asked", "waited"), [(0.5, 1), (30.0, 30), (1e9, 3600)])
def test_a_participant_may_ask_us_to_wait_for_up_to_an_hour(asked: float, waited: int) -> None:
    story = Story(step("a"))
    story.lost("a", after=asked)
    assert story["a"].due_at == NOON + timedelta(seconds=waited)


def test_a_missing_handler_asks_and_nothing_is_undone() -> None:
    story = chain()
    assert story.unserved("b") == ["StepHeld b"]
    assert story.progress.state is SagaState.PENDING
    assert story.progress.attention is Attention.NO_HANDLER


def test_our_own_fault_is_told_apart() -> None:
    story = Story(step("a"))
    story.unserved("a", code=Attention.MISCONFIGURED)
    assert story["a"].attention is Attention.MISCONFIGURED
    assert story["a"].status is T.EXECUTING


def test_an_answer_that_nobody_understands_asks_and_is_taken_for_no_proof_that_nothing_was_done() -> None:
    story = chain()
    number = story.number("b")
    assert story.garbled("b") == ["StepOutcomeUnknown b", "StepHeld b"]
    assert (story["b"].attention, story["b"].outcome) == (Attention.MISCONFIGURED, Outcome.UNKNOWN)
    story.tell(m.Retry("b"))
    assert story.number("b") == number, "under the same key"
    story.unserved("b", code=Attention.MISCONFIGURED)
    assert "UndoDispatched b" in story.tell(m.Compensate("on second thoughts"))


@pytest.mark.parametrize(
    ("inbox", "status", "attention"),
    [(True, T.COMPENSATING, None), (False, T.EXECUTING, Attention.OUTCOME_UNKNOWN)],
)
def test_an_answer_that_nobody_understands_is_undone_in_a_rollback(
    inbox: bool, status: Any, attention: Any
) -> None:
    story = fork()
    story.rejected("a", "b")
    assert story.garbled("b", "b", inbox=inbox)[0] == "StepOutcomeUnknown b"
    assert (story["b"].status, story["b"].attention) == (status, attention)


def test_an_undo_whose_answer_nobody_understands_asks() -> None:
    story = chain()
    story.rejected("b")
    assert story.garbled("a") == ["UndoHeld a"]
    assert (story["a"].attention, story["a"].outcome) == (Attention.MISCONFIGURED, Outcome.UNKNOWN)


# Turning back


def test_a_failing_first_step_fails_the_saga() -> None:
    story = Story(step("a"), step("b"))
    assert story.rejected("a") == ["StepFailed a", "SagaCompensating", "SagaFailed"]
    assert story.progress.error == "sold out"
    assert story.statuses == [T.FAILED, T.PENDING]


def test_a_rejection_undoes_what_was_done_in_reverse() -> None:
    story = Story(step("a"), step("b"), step("c"))
    story.done("a")
    story.done("b")
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoDispatched b"]
    assert story.done("b") == ["StepCompensated b", "UndoDispatched a"]
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]


def test_a_step_with_nothing_to_undo_is_passed_and_stays_completed() -> None:
    story = Story(step("a"), step("b", compensation=None), step("c"))
    story.done("a")
    story.done("b")
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoDispatched a"]
    assert story["b"].status is T.COMPLETED


def test_a_step_that_cannot_be_undone_stops_the_rollback_there() -> None:
    story = Story(step("a"), step("b", compensation=CANNOT_UNDO), step("c"))
    story.done("a")
    story.done("b")
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoHeld b"]
    assert story["b"].status is T.COMPLETED
    assert story.progress.attention is Attention.CANNOT_UNDO
    assert story["a"].status is T.COMPLETED


def test_a_stuck_undo_holds_up_only_what_it_stands_on() -> None:
    story = Story(
        step("a"), step("b", undo_retry=ONCE), step("c", needs=()), step("d"), step("e", needs=("b", "d"))
    )
    for name in "acbd":
        story.done(name)
    assert story.rejected("e") == ["StepFailed e", "SagaCompensating", "UndoDispatched d", "UndoDispatched b"]
    assert story.lost("b") == ["UndoHeld b"]
    assert story.done("d") == ["StepCompensated d", "UndoDispatched c"]
    assert story.done("c") == ["StepCompensated c"]
    assert story["a"].status is T.COMPLETED
    assert story.progress.state is SagaState.COMPENSATING


def test_due_work_that_nobody_has_claimed_is_withdrawn() -> None:
    story = fork()
    assert story.rejected("a") == ["StepFailed a", "SagaCompensating", "StepWithdrawn b", "SagaFailed"]
    assert story["b"].status is T.PENDING
    assert (story["b"].open, story["b"].due_at, story["b"].attempt) == (None, None, 0)


def test_a_claimed_attempt_is_awaited_and_then_undone() -> None:
    story = fork()
    assert story.rejected("a", "b") == ["StepFailed a", "SagaCompensating"]
    assert story["b"].scheduled
    assert story.done("b") == ["StepCompleted b", "UndoDispatched b"]


@pytest.mark.parametrize("inbox", [True, False])
def test_a_claimed_attempt_that_is_rejected_needs_no_undo(inbox: bool) -> None:
    story = fork()
    story.rejected("a", "b")
    assert story.rejected("b", inbox=inbox) == ["StepFailed b", "SagaFailed"]


def test_a_claimed_attempt_whose_outcome_is_unknown_is_undone_and_not_tried_again() -> None:
    story = fork()
    story.rejected("a", "b")
    assert story.lost("b", "b") == ["StepOutcomeUnknown b", "UndoDispatched b"]
    assert story["b"].status is T.COMPENSATING


def test_a_claimed_attempt_that_never_left_the_house_is_withdrawn() -> None:
    story = fork()
    story.rejected("a", "b")
    assert story.unserved("b") == ["StepWithdrawn b", "SagaFailed"]


def test_an_unserved_retry_does_not_hide_the_attempt_before_it() -> None:
    story = fork()
    story.lost("b")
    story.rejected("a", "b")
    assert story.unserved("b") == ["StepOutcomeUnknown b", "UndoDispatched b"]


def test_an_attempt_in_back_off_may_have_had_its_effect_and_is_undone() -> None:
    story = fork()
    story.lost("b")
    assert story.rejected("a") == [
        "StepFailed a",
        "SagaCompensating",
        "StepOutcomeUnknown b",
        "UndoDispatched b",
    ]
    assert story["b"].action_outcome is Outcome.UNKNOWN


def test_a_held_branch_is_answered_by_the_rollback() -> None:
    story = Story(
        step("a", needs=()), step("b", needs=(), hold=True), step("c", needs=(), retry=ONCE, hold=True)
    )
    story.rejected("b")
    story.lost("c")
    assert story.rejected("a")[:3] == ["StepFailed a", "SagaCompensating", "StepOutcomeUnknown c"]
    assert story["b"].attention is None
    assert story["c"].status is T.COMPENSATING
    assert story.done("c") == ["StepCompensated c", "SagaFailed"]


# Unknown outcomes


def test_a_retry_that_is_answered_is_as_good_as_the_first_attempt() -> None:
    story = Story(step("a"))
    story.lost("a")
    assert story.done("a") == ["StepCompleted a", "SagaCompleted"]


def test_when_retries_are_spent_an_unknown_action_is_undone_like_a_completed_one() -> None:
    story = chain(retry=TWICE)
    assert story.lost("b") == ["StepRescheduled b"]
    assert story.lost("b") == ["StepOutcomeUnknown b", "SagaCompensating", "UndoDispatched b"]
    assert story.done("b") == ["StepCompensated b", "UndoDispatched a"]


def test_an_unknown_action_with_nothing_to_undo_is_left_standing() -> None:
    story = chain(retry=ONCE, compensation=None)
    assert story.lost("b") == [
        "StepOutcomeUnknown b",
        "SagaCompensating",
        "StepLeftStanding b",
        "UndoDispatched a",
    ]
    assert story["b"].standing


def test_an_unknown_action_that_cannot_be_undone_asks() -> None:
    story = chain(retry=ONCE, compensation=CANNOT_UNDO)
    assert story.lost("b") == ["StepOutcomeUnknown b", "SagaCompensating", "UndoHeld b"]
    assert story["b"].attention is Attention.CANNOT_UNDO
    assert story.done("b") == [
        "StepCompleted b",
        "UndoHeld b",
    ]  # its reply comes after all: it still cannot be undone


def test_held_an_unknown_action_waits_for_a_person_once_retries_are_spent() -> None:
    story = chain(retry=ONCE, hold=True)
    assert story.lost("b") == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story.progress.attention is Attention.RETRIES_SPENT
    assert story.done("b") == ["StepCompleted b", "SagaCompleted"]


def test_bare_an_unknown_action_asks_and_nothing_is_undone() -> None:
    story = chain(retry=ONCE)
    assert story.lost("b", inbox=False) == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story.progress.state is SagaState.PENDING
    assert story.progress.attention is Attention.OUTCOME_UNKNOWN


def test_bare_and_unknown_in_a_rollback_asks_there() -> None:
    story = fork()
    story.lost("b", inbox=False)
    assert story.rejected("a") == ["StepFailed a", "SagaCompensating", "StepOutcomeUnknown b", "StepHeld b"]
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN
    assert story["b"].status is T.EXECUTING


def test_bare_a_rejection_does_not_speak_for_an_earlier_attempt() -> None:
    story = chain(retry=TWICE)
    story.lost("b", inbox=False)
    assert story.rejected("b", inbox=False) == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN


def test_with_an_inbox_a_rejection_speaks_for_every_attempt() -> None:
    story = chain()
    story.lost("b")
    assert story.rejected("b") == ["StepFailed b", "SagaCompensating", "UndoDispatched a"]


def test_bare_a_first_rejection_means_no_effect() -> None:
    story = chain()
    assert story.rejected("b", inbox=False) == ["StepFailed b", "SagaCompensating", "UndoDispatched a"]


@pytest.mark.parametrize("asks", [Attention.CANNOT_UNDO, Attention.OUTCOME_UNKNOWN])
def test_a_person_is_asked_once_while_other_branches_go_on(asks: Attention) -> None:
    irrevocable = asks is Attention.CANNOT_UNDO
    compensation = CANNOT_UNDO if irrevocable else "a.undo"
    story = Story(step("a", needs=(), compensation=compensation), step("b", needs=()), step("c", needs=()))
    story.done("a") if irrevocable else story.lost("a", inbox=False)
    story.done("b")
    story.rejected("c")
    assert story["a"].attention is asks
    assert story.done("b") == ["StepCompensated b"]
    assert story["a"].attention is asks


# Hold, and the pivot


def test_a_held_step_waits_for_a_person_when_it_is_rejected() -> None:
    story = chain(hold=True)
    assert story.rejected("b") == ["StepFailed b", "StepHeld b"]
    assert (story.progress.state, story.progress.attention) == (SagaState.PENDING, Attention.HELD)


def behind_the_pivot() -> Story:
    story = Story(step("a"), step("p", pivot=True), step("b", retriable=True, retry=ONCE))
    story.done("a")
    story.done("p")
    return story


@pytest.mark.parametrize(("reply", "code"), [("rejected", Attention.HELD), ("lost", Attention.RETRIES_SPENT)])
def test_behind_the_pivot_nothing_turns_back(reply: str, code: Attention) -> None:
    story = behind_the_pivot()
    getattr(story, reply)("b")
    assert (story.progress.state, story.progress.attention) == (SagaState.PENDING, code)
    assert story.done("b") == ["StepCompleted b", "SagaCompleted"] if reply == "lost" else True


@pytest.mark.parametrize("reply", ["rejected", "lost"])
def test_the_pivot_itself_turns_back_like_any_step(reply: str) -> None:
    story = Story(step("a"), step("p", pivot=True, retry=ONCE), step("b", retriable=True))
    story.done("a")
    getattr(story, reply)("p")
    assert story.progress.state is SagaState.COMPENSATING
    assert story["p"].status is (T.FAILED if reply == "rejected" else T.COMPENSATING)


# Undoing


def undoing(**values: object) -> Story:
    """A saga that undoes its first step."""
    story = Story(step("a", **values), step("b"))
    story.done("a")
    story.rejected("b")
    return story


def test_a_lost_undo_is_made_again_under_the_same_number() -> None:
    story = undoing(undo_retry=TWICE)
    number = story.number("a")
    assert story.lost("a") == ["UndoRescheduled a"]
    assert (story.number("a"), story["a"].attempt) == (number, 2)
    assert story["a"].due_at == NOON + timedelta(seconds=1)
    assert story.lost("a") == ["UndoHeld a"]
    assert (story["a"].attention, story["a"].status) == (Attention.COMPENSATION_FAILED, T.COMPENSATING)
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]  # a definite answer is still taken


def test_a_rejected_undo_is_tried_again_as_a_new_command_within_the_same_budget() -> None:
    story = undoing(undo_retry=TWICE)
    number = story.number("a")
    assert story.rejected("a") == ["UndoDispatched a"]
    assert story.number("a") != number
    assert (story["a"].undo_generation, story["a"].attempt, story["a"].budget) == (2, 2, 2)
    assert story["a"].due_at == NOON + timedelta(seconds=1)
    assert story.rejected("a") == ["UndoHeld a"]
    assert story["a"].open is None
    assert story.progress.attention is Attention.COMPENSATION_FAILED


def test_an_undo_without_a_handler_asks() -> None:
    story = undoing()
    assert story.unserved("a") == ["UndoHeld a"]
    assert story.progress.attention is Attention.NO_HANDLER


def test_bare_a_rejected_undo_does_not_speak_for_an_earlier_attempt() -> None:
    story = undoing(undo_retry=Retry(max_attempts=3))
    story.lost("a", inbox=False)
    number = story.number("a")
    assert story.rejected("a", inbox=False) == ["UndoRescheduled a"]
    assert story.number("a") == number
    assert story.rejected("a", inbox=False) == ["UndoHeld a"]
    assert story["a"].unresolved


# Late replies


@pytest.mark.parametrize("inbox", [True, False])
def test_a_repeated_reply_decides_nothing(inbox: bool) -> None:
    story = Story(step("a"), step("b"))
    number = story.number("a")
    story.done("a", inbox=inbox)
    for reply in (
        m.Completed(number, inbox=inbox),
        m.Rejected(number, "no", inbox),
        m.Unknown(number, "?", inbox),
    ):
        assert story.tell(reply) == []


def test_a_reply_to_a_command_that_never_was_decides_nothing() -> None:
    story = Story(step("a"))
    assert story.tell(m.Completed(99)) == []
    assert story.tell(m.Completed(99, inbox=False)) == []


def test_a_late_action_is_not_taken_for_its_undo() -> None:
    story = chain(retry=ONCE)
    number = story.number("b")
    story.lost("b")
    assert story["b"].status is T.COMPENSATING
    assert story.tell(m.Completed(number)) == []
    assert story["b"].status is T.COMPENSATING


def test_a_late_reply_is_not_taken_by_the_current_step() -> None:
    story = Story(step("a"), step("b"))
    number = story.number("a")
    story.done("a")
    assert story.tell(m.Rejected(number, "no")) == []
    assert story.statuses == [T.COMPLETED, T.EXECUTING]


def late() -> tuple[Story, int]:
    """A failed saga whose second step was undone without anyone knowing what it had done."""
    story = chain(retry=ONCE)
    number = story.number("b")
    story.lost("b")
    story.done("b")
    story.done("a")
    assert story.progress.state is SagaState.FAILED
    return story, number


def test_bare_an_effect_that_became_known_too_late_asks_even_of_a_terminal_saga() -> None:
    story, number = late()
    assert story.tell(m.Completed(number, {"id": 7}, inbox=False)) == ["LateEffectFound b"]
    assert story.progress.state is SagaState.FAILED
    assert story.progress.attention is Attention.LATE_EFFECT
    assert story["b"].result is None, "what comes after it goes by what it was then"
    assert story.tell(m.Completed(number, {"id": 7}, inbox=False)) == []


def test_with_an_inbox_a_late_effect_was_undone_or_is_prevented_by_the_tombstone() -> None:
    story, number = late()
    assert story.tell(m.Completed(number)) == []


@pytest.mark.parametrize("reply", [m.Rejected, m.Unknown])
def test_bare_only_an_effect_can_be_late(reply: type[m.Rejected] | type[m.Unknown]) -> None:
    story, number = late()
    assert story.tell(reply(number, "no", inbox=False)) == []


def test_a_late_effect_of_a_step_with_nothing_to_undo_asks_nobody() -> None:
    story = chain(retry=ONCE, compensation=None)
    number = story.number("b")
    story.lost("b")
    assert story["b"].standing
    assert story.tell(m.Completed(number, inbox=False)) == []


def test_an_effect_that_an_operator_denied_is_not_forgotten_even_with_an_inbox() -> None:
    story = chain(retry=ONCE, hold=True)
    number = story.number("b")
    story.lost("b")
    story.tell(m.Resolve("b", Verdict.NONE))
    story.tell(m.Compensate())
    assert story.tell(m.Completed(number)) == ["LateEffectFound b"]
    story.done("a")
    assert (story.progress.state, story.progress.attention) == (SagaState.FAILED, Attention.LATE_EFFECT)


def tried_anew(**second: object) -> tuple[Story, int]:
    """A step that an operator called without effect, and had tried again; and the number of its first action."""
    story = Story(step("a"), step("b", retry=ONCE, hold=True, **second), step("c"))
    story.done("a")
    number = story.number("b")
    story.lost("b")
    assert story.tell(m.Resolve("b", Verdict.NONE)) == ["StepFailed b", "StepHeld b"]
    assert story.tell(m.Retry("b")) == ["StepDispatched b"]
    return story, number


def test_an_effect_of_an_action_that_was_tried_anew_asks_once_the_new_one_is_done() -> None:
    story, number = tried_anew()
    assert story.tell(m.Completed(number, {"id": 7})) == ["LateEffectFound b"]
    assert story["b"].attention is None, "its second action is under way, and goes first"
    assert story.tell(m.Completed(number, {"id": 7})) == [], "it is known"
    story.done("b", result={"id": 8})
    assert (story["b"].attention, story["b"].result) == (Attention.LATE_EFFECT, {"id": 8})
    assert story["b"].late_generation == 1
    story.done("c")
    assert (story.progress.state, story.progress.attention) == (SagaState.COMPLETED, Attention.LATE_EFFECT)
    assert story.tell(m.Resolve("b", Verdict.DONE)) == ["LateEffectSettled b"]
    assert story.progress.attention is None
    assert story.tell(m.Completed(number, {"id": 7})) == [], "it is settled"


def test_an_effect_of_an_action_that_was_tried_anew_asks_whatever_becomes_of_the_new_one() -> None:
    story, number = tried_anew()
    story.done("b")
    assert story.tell(m.Completed(number)) == ["LateEffectFound b"], "though that is done"
    story.tell(m.Compensate())
    assert story["b"].attention is None, "its undo is under way, and goes first"
    story.done("b")
    assert (story["b"].status, story["b"].attention) == (StepStatus.COMPENSATED, Attention.LATE_EFFECT)
    story.done("a")
    assert (story.progress.state, story.progress.attention) == (SagaState.FAILED, Attention.LATE_EFFECT)


def test_whoever_decides_about_a_refused_step_hears_first_what_was_done_before() -> None:
    story, number = tried_anew()
    story.tell(m.Completed(number))
    assert story.rejected("b") == ["StepFailed b", "StepHeld b"]
    assert story["b"].attention is Attention.LATE_EFFECT
    with pytest.raises(Refused, match="had its effect too late"):
        story.tell(m.Retry("b"))
    assert story.tell(m.Resolve("b", Verdict.WAIVED)) == ["LateEffectSettled b", "StepHeld b"]
    assert story["b"].attention is Attention.HELD


def test_of_several_effects_that_came_late_each_is_asked_about() -> None:
    story, first = tried_anew()
    second = story.number("b")
    story.lost("b")
    story.tell(m.Resolve("b", Verdict.NONE))
    story.tell(m.Retry("b"))
    for number in (second, first):
        assert story.tell(m.Completed(number)) == ["LateEffectFound b"]
    story.done("b")
    asked = []
    while story["b"].attention is Attention.LATE_EFFECT:
        asked.append(story["b"].late_generation)
        assert story.tell(m.Resolve("b", Verdict.WAIVED)) == ["LateEffectSettled b"]
    assert asked == [1, 2]
    assert story["b"].former is None


def test_an_effect_that_came_late_asks_where_the_saga_goes_on_without_it_though_nothing_undoes_it() -> None:
    story, number = tried_anew(compensation=None)
    assert story.tell(m.Completed(number)) == ["LateEffectFound b"], "there may be two"
    again = chain(retry=ONCE, hold=True, compensation=None)
    number = again.number("b")
    again.lost("b")
    again.tell(m.Resolve("b", Verdict.NONE))
    assert again.tell(m.Completed(number)) == ["LateEffectFound b"], "somebody may try it again"


def test_what_a_late_effect_has_taken_the_place_of_is_asked_again() -> None:
    story, number = tried_anew(compensation=CANNOT_UNDO)
    story.done("b")
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoHeld b"]
    assert story.tell(m.Completed(number)) == ["LateEffectFound b"]
    assert story.tell(m.Resolve("b", Verdict.DONE)) == ["LateEffectSettled b", "UndoHeld b"]
    assert story["b"].attention is Attention.CANNOT_UNDO


def test_an_undo_that_only_an_operator_called_done_has_not_met_the_effect() -> None:
    story = chain(retry=ONCE)
    number = story.number("b")
    story.lost("b")
    story.unserved("b")
    assert story.tell(m.Resolve("b", Verdict.DONE))[0] == "StepCompensated b"
    assert story.tell(m.Completed(number)) == ["LateEffectFound b"]


def test_an_effect_that_is_known_before_its_undo_is_called_is_undone_by_it() -> None:
    story = chain(retry=ONCE)
    number = story.number("b")
    story.lost("b")
    story.unserved("b")
    assert story.tell(m.Completed(number, inbox=False)) == ["LateEffectFound b"]
    story.tell(m.Retry("b"))
    story.done("b")
    assert (story["b"].status, story["b"].attention) == (T.COMPENSATED, None)


def test_what_came_too_late_is_no_result_for_what_comes_after_it() -> None:
    story, number = tried_anew()
    story.rejected("b")
    story.tell(m.Skip("b"))
    story.tell(m.Completed(number, {"id": 7}))
    assert (story["b"].status, story["b"].result) == (T.SKIPPED, None)


@pytest.mark.parametrize(
    "waits", [timer("w", wait=60.0), approval("w", by="group:x", hold=True)], ids=["timer", "approval"]
)
def test_nothing_is_done_by_what_calls_nobody_and_so_nothing_too_late(waits: SagaStep) -> None:
    story = Story(waits, step("b"))
    number = story["w"].action_number or 0
    story.tell(m.Skip("w"))
    assert story.tell(m.Completed(number)) == []


def test_an_undo_that_finds_nothing_of_what_is_known_to_be_done_asks() -> None:
    """Somebody has done it by hand, or its participant has forgotten the key: the effect stands."""
    story = Story(step("a", retry=ONCE, hold=True), step("b"))
    story.rejected("a")
    story.tell(m.Resolve("a", Verdict.DONE, {"by": "hand"}))
    story.rejected("b")
    nothing = {"undone": False, "reason": "there was no effect"}
    assert story.done("a", result=nothing) == ["UndoHeld a"]
    assert story["a"].attention is Attention.COMPENSATION_FAILED
    assert "finds nothing to undo" in (story["a"].error or "")
    assert story.tell(m.Resolve("a", Verdict.DONE)) == ["StepCompensated a", "SagaFailed"]


def test_an_undo_that_finds_nothing_of_what_nobody_knew_is_done() -> None:
    story = chain(retry=ONCE)
    story.lost("b")
    assert story.done("b", result={"undone": False})[0] == "StepCompensated b"


def test_the_late_success_of_what_undoes_another_sagas_effect_is_what_was_wanted() -> None:
    story = Story(step("undo_pay", retry=ONCE, hold=True, undoes="another:pay:do:1", compensation=None))
    number = story.number("undo_pay")
    story.lost("undo_pay")
    story.tell(m.Resolve("undo_pay", Verdict.NONE))
    assert story.tell(m.Completed(number)) == ["StepCompleted undo_pay", "SagaCompleted"]


def test_a_repair_that_finds_nothing_to_undo_asks() -> None:
    story = Story(step("undo_pay", hold=True, undoes="another:pay:do:1", compensation=None))
    assert story.done("undo_pay", result={"undone": False}) == ["StepFailed undo_pay", "StepHeld undo_pay"]


def test_a_rollback_does_not_settle_a_late_effect() -> None:
    story = chain(retry=ONCE, hold=True)
    number = story.number("b")
    story.lost("b", inbox=False)
    story.tell(m.Resolve("b", Verdict.NONE))
    story.tell(m.Completed(number, inbox=False))
    story.tell(m.Compensate())
    assert story["b"].attention is Attention.LATE_EFFECT


def test_an_undo_that_is_under_way_does_not_hide_a_late_effect() -> None:
    story = chain(retry=ONCE, undo_retry=ONCE)
    number = story.number("b")
    story.lost("b")
    story.lost("b")
    assert story["b"].attention is Attention.COMPENSATION_FAILED
    story.tell(m.Completed(number, inbox=False))
    assert story["b"].attention is Attention.COMPENSATION_FAILED
    story.tell(m.Retry("b"))
    story.done("b")
    assert (story["b"].status, story["b"].attention) == (T.COMPENSATED, Attention.LATE_EFFECT)


# Versions


def test_all_events_of_a_transition_carry_its_version() -> None:
    story = chain()
    assert [event.version for event in story.log] == [1, 1, 2, 2]
    story.rejected("b")
    assert {event.version for event in story.log[4:]} == {3}
    assert (story.progress.version, story.progress.sequence) == (3, 7)


def test_deciding_changes_nothing() -> None:
    story = chain()
    before = story.progress
    decide(story.definition, before, m.Rejected(story.number("b"), "no"), m.Now(NOON))
    assert story.progress is before
    assert before == fold_again(story)


def fold_again(story: Story) -> Progress:
    again = Story.__new__(Story)
    again.definition, again.progress, again.log = story.definition, Progress.blank(story.definition), []
    again.tell(m.Start({"order": 1}))
    again.done("a")
    return again.progress
