"""Asking what became of a command: given an unknown outcome, when a probe answers, then these events."""

from datetime import timedelta

import pytest

from sagas.core import messages as m
from sagas.core.commands import due_command
from sagas.core.definition import CANNOT_UNDO, InvalidDefinition, Retry, SagaDefinition, SagaStep
from sagas.core.words import Attention, SagaState, StepStatus, Verdict, Waiting

from .story import NOON, Story, step

TWICE = Retry(max_attempts=2)


def lost(*, inbox: bool = True, **values: object) -> Story:
    """A saga whose second step can be asked about, and whose outcome is unknown."""
    story = Story(step("a"), step("b", **{"probe": "b.ask", "probe_retry": TWICE} | values))
    story.done("a")
    assert story.lost("b", inbox=inbox) == ["ProbeDispatched b"]
    return story


def undoing(**values: object) -> Story:
    """A saga that undoes its first step, whose undo can be asked about, and is unknown."""
    story = Story(step("a", **{"undo_probe": "a.ask", "probe_retry": TWICE} | values), step("b"))
    story.done("a")
    story.rejected("b")
    assert story.lost("a") == ["ProbeDispatched a"]
    return story


def test_the_question_is_due_after_a_wait_under_the_number_of_what_it_asks_about() -> None:
    story = lost()
    due = due_command(story.definition, story["b"])
    assert due is not None
    assert (due.name, due.number, due.attempt) == ("b.ask", story.number("b"), 1)
    assert due.due_at == NOON + timedelta(seconds=1)
    assert (story["b"].status, story["b"].attempt) == (StepStatus.EXECUTING, 1)


def test_done_is_as_good_as_the_lost_reply() -> None:
    story = lost()
    assert story.done("b", result={"id": 7}) == ["StepCompleted b", "SagaCompleted"]
    assert story["b"].result == {"id": 7}


def test_no_effect_turns_the_saga_back() -> None:
    assert lost(inbox=False).rejected("b") == ["StepFailed b", "SagaCompensating", "UndoDispatched a"]


@pytest.mark.parametrize("inbox", [True, False])
def test_nothing_so_far_lets_it_be_tried_again_under_the_same_key(inbox: bool) -> None:
    story = lost(inbox=inbox)
    number = story.number("b")
    assert story.unseen("b") == ["StepRescheduled b"]
    assert (story.number("b"), story["b"].attempt, story["b"].probe) == (number, 2, 0)
    assert story["b"].inbox is inbox
    assert story.lost("b", inbox=inbox) == ["ProbeDispatched b"]


def test_nothing_so_far_of_the_last_attempt_is_undone_where_a_tombstone_stops_what_may_still_come() -> None:
    story = lost(retry=Retry(max_attempts=1))
    assert story.unseen("b") == ["StepOutcomeUnknown b", "SagaCompensating", "UndoDispatched b"]


def test_nothing_so_far_of_the_last_attempt_is_asked_about_again_without_an_inbox() -> None:
    story = lost(inbox=False, retry=Retry(max_attempts=1))
    assert story.unseen("b") == ["ProbeDispatched b"]
    assert story.unseen("b") == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN
    assert story.progress.state is SagaState.PENDING


@pytest.mark.parametrize("inbox", [True, False])
def test_who_never_tells_is_left_to_a_person(inbox: bool) -> None:
    story = lost(inbox=inbox)
    assert story.lost("b", inbox=False) == ["ProbeDispatched b"]
    assert (story["b"].probe, story["b"].inbox) == (2, inbox)
    assert story.lost("b", inbox=False) == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN


def test_a_participant_may_ask_to_be_asked_later() -> None:
    story = lost()
    story.lost("b", after=90)
    assert story["b"].due_at == NOON + timedelta(seconds=90)


def promised(story: Story, within: float = 86_400.0) -> list[str]:
    return story.tell(m.Later(story.number("b"), within))


@pytest.mark.parametrize("inbox", [True, False])
def test_a_promise_that_a_probe_tells_of_is_awaited_until_its_own_limit(inbox: bool) -> None:
    story = lost(inbox=inbox)
    story.lost("b")  # it is the last time that may be asked
    assert promised(story) == ["ReplyAwaited b"]
    step = story["b"]
    assert (step.waiting, step.due_at, step.inbox) == (Waiting.REPLY, NOON + timedelta(days=1), inbox)
    due = due_command(story.definition, step)
    assert due is not None
    assert (due.name, due.waits) == ("b.do", True)
    assert story.done("b") == ["StepCompleted b", "SagaCompleted"]


def test_a_promise_that_a_probe_told_of_and_that_is_not_kept_costs_a_question() -> None:
    story = lost(inbox=False)
    promised(story)
    assert story.tell(m.TimeUp(story.number("b"))) == ["ProbeDispatched b"]
    promised(story)
    assert story.tell(m.TimeUp(story.number("b"))) == ["StepOutcomeUnknown b", "StepHeld b"]
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN


def test_a_rollback_waits_for_a_promise_only_where_no_inbox_could_break_it() -> None:
    story = lost()
    story.tell(m.Compensate())
    assert promised(story) == ["StepOutcomeUnknown b", "UndoDispatched b"]
    story = lost(inbox=False)
    story.tell(m.Compensate())
    assert promised(story) == ["ReplyAwaited b"]
    assert story.rejected("b") == ["StepFailed b", "UndoDispatched a"]


def test_a_rollback_asks_about_a_promise_that_a_probe_told_of() -> None:
    story = lost()
    promised(story)
    assert story.tell(m.Compensate()) == ["SagaCompensating", "ProbeDispatched b"]
    assert promised(story) == ["StepOutcomeUnknown b", "UndoDispatched b"]


def test_a_promised_undo_that_a_probe_tells_of_is_awaited() -> None:
    story = undoing()
    assert story.tell(m.Later(story.number("a"), 60.0)) == ["ReplyAwaited a"]
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]


def test_the_pivot_is_asked_about_like_any_step() -> None:
    story = lost(pivot=True)
    assert story.done("b") == ["StepCompleted b", "SagaCompleted"]
    assert lost(pivot=True).rejected("b")[:2] == ["StepFailed b", "SagaCompensating"]


def test_an_attempt_that_answers_after_all_is_taken_and_the_question_is_dropped() -> None:
    story = lost()
    assert story.done("b", "b") == ["StepCompleted b", "SagaCompleted"]
    assert due_command(story.definition, story["b"]) is None


def test_one_attempts_no_is_not_the_answer_without_an_inbox() -> None:
    assert lost(inbox=False).rejected("b", inbox=False) == ["ProbeDispatched b"]


def test_a_rollback_asks_before_it_undoes_what_is_in_doubt() -> None:
    story = lost()
    assert story.tell(m.Compensate()) == ["SagaCompensating"]  # the question is under way already
    assert story.unseen("b") == ["StepOutcomeUnknown b", "UndoDispatched b"]
    story = lost()
    story.unseen("b")  # now another attempt is due
    assert story.tell(m.Compensate()) == ["SagaCompensating", "ProbeDispatched b"]
    assert story.done("b") == ["StepCompleted b", "UndoDispatched b"]


def test_a_rollback_of_who_does_not_tell_undoes_it_or_asks_a_person() -> None:
    for inbox, end in ((True, "UndoDispatched b"), (False, "StepHeld b")):
        story = lost(inbox=inbox)
        story.tell(m.Compensate())
        story.lost("b")
        assert story.lost("b") == ["StepOutcomeUnknown b", end]


def test_a_rollback_does_not_wait_for_a_probe_that_nobody_handles() -> None:
    story = lost(inbox=False)
    story.tell(m.Compensate())
    assert story.unserved("b") == ["StepOutcomeUnknown b", "StepHeld b"]


def test_a_probe_that_nobody_handles_asks_and_is_asked_again() -> None:
    story = lost()
    assert story.unserved("b") == ["StepHeld b"]
    assert story["b"].attention is Attention.NO_HANDLER
    assert story.tell(m.Retry("b")) == ["ProbeDispatched b"]


def test_an_operators_retry_asks_first_and_has_a_fresh_budget() -> None:
    story = lost(retry=Retry(max_attempts=1))
    story.lost("b")
    story.lost("b")
    assert story.tell(m.Retry("b")) == ["ProbeDispatched b"]
    assert (story["b"].probe, story["b"].due_at) == (1, NOON)
    assert story.unseen("b") == ["StepRescheduled b"]
    assert (story["b"].attempt, story["b"].budget) == (2, 2)


def test_an_operator_may_know_better_while_it_is_asked() -> None:
    assert lost().tell(m.Resolve("b", Verdict.DONE)) == ["StepCompleted b", "SagaCompleted"]


def test_an_undo_is_asked_about_too() -> None:
    assert undoing().done("a") == ["StepCompensated a", "SagaFailed"]
    assert undoing().unseen("a") == ["UndoRescheduled a"]
    assert undoing().rejected("a") == ["UndoDispatched a"]


def test_an_undo_of_which_nobody_tells_is_never_dropped() -> None:
    story = undoing()
    story.lost("a")
    assert story.lost("a") == ["UndoHeld a"]
    assert story["a"].attention is Attention.COMPENSATION_FAILED
    assert story.tell(m.Retry("a")) == ["ProbeDispatched a"]
    story = undoing(undo_retry=Retry(max_attempts=1))
    assert story.unseen("a") == ["UndoHeld a"]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (SagaStep("a", "a.do", probe=""), "must be a command's name"),
        (SagaStep("a", "a.do", probe="a.do"), "a command of its own"),
        (SagaStep("a", "a.do", "a.undo", undo_probe="a.undo"), "a command of its own"),
        (SagaStep("a", "a.do", undo_probe="a.ask"), "no undo that it could ask about"),
        (SagaStep("a", "a.do", CANNOT_UNDO, undo_probe="a.ask"), "no undo that it could ask about"),
        (SagaStep("a", "a.do", probe_retry=Retry(max_attempts=0)), "probe_retry needs max_attempts"),
    ],
)
def test_a_probe_that_cannot_be_is_refused(wrong: SagaStep, why: str) -> None:
    with pytest.raises(InvalidDefinition, match=why):
        SagaDefinition("trip", (wrong,))
