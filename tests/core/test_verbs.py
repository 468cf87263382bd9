"""Each of an operator's verbs: where it applies, what it decides, and why it is refused elsewhere."""

import re
from collections.abc import Callable

import pytest

from sagas.core import messages as m
from sagas.core.decide import Refused
from sagas.core.definition import CANNOT_UNDO, Retry
from sagas.core.words import Attention, SagaState, StepStatus, Verdict

from .story import NOON, Story, step

ONCE = Retry(max_attempts=1)
TWICE = Retry(max_attempts=2)
T = StepStatus


def refuses(story: Story, verb: m.Verb, reason: str, *claimed: str) -> None:
    """The verb is refused with that reason, and nothing has changed."""
    before = story.progress
    with pytest.raises(Refused, match=re.escape(reason)):
        story.tell(verb, *claimed)
    assert story.progress is before


def fresh() -> Story:
    return Story(step("a"), step("b"))


def completed() -> Story:
    story = Story(step("a"))
    story.done("a")
    return story


def failed() -> Story:
    story = Story(step("a"))
    story.rejected("a")
    return story


def held() -> Story:
    """The second step was rejected, and waits for a person."""
    story = Story(step("a"), step("b", hold=True), step("c"))
    story.done("a")
    story.rejected("b")
    return story


def spent() -> Story:
    """The second step's outcome is unknown, its retries are spent, and it waits for a person."""
    story = Story(step("a"), step("b", hold=True, retry=ONCE), step("c"))
    story.done("a")
    story.lost("b")
    return story


def stuck(reply: str = "lost") -> Story:
    """The first step's undo failed for good."""
    story = Story(step("a", undo_retry=ONCE), step("b"))
    story.done("a")
    story.rejected("b")
    getattr(story, reply)("a")
    assert story["a"].attention is Attention.COMPENSATION_FAILED
    return story


def irrevocable() -> Story:
    """A rollback stopped at the first step, which cannot be undone."""
    story = Story(step("a", compensation=CANNOT_UNDO), step("b"))
    story.done("a")
    story.rejected("b")
    return story


def too_late() -> Story:
    """A failed saga, whose second step had its effect too late."""
    story = Story(step("a"), step("b", retry=ONCE))
    story.done("a")
    number = story.number("b")
    story.lost("b")
    story.done("b")
    story.done("a")
    story.tell(m.Completed(number, inbox=False))
    return story


def denied() -> Story:
    """A pending saga, whose second step had its effect after an operator said that it had none."""
    story = spent()
    number = story.number("b")
    story.tell(m.Resolve("b", Verdict.NONE))
    story.tell(m.Completed(number))
    assert story["b"].attention is Attention.LATE_EFFECT
    return story


ON_STEPS: list[Callable[[str], m.Verb]] = [
    m.Retry,
    m.Skip,
    m.Approve,
    m.Reject,
    lambda name: m.Resolve(name, Verdict.DONE),
]
ON_SAGAS: list[m.Verb] = [m.Compensate(), m.Edit({}), m.Pause(), m.Resume()]


@pytest.mark.parametrize(
    "verb", [*ON_SAGAS, *(make("a") for make in ON_STEPS)], ids=lambda verb: type(verb).__name__
)
@pytest.mark.parametrize("end", [completed, failed])
def test_no_verb_moves_a_terminal_saga(end: Callable[[], Story], verb: m.Verb) -> None:
    story = end()
    refuses(story, verb, f"The saga is {story.progress.state}; that is final.")


@pytest.mark.parametrize("make", ON_STEPS)
def test_a_step_that_is_not_there_is_named_with_those_that_are(make: Callable[[str], m.Verb]) -> None:
    refuses(fresh(), make("z"), "This saga has no step 'z'; it has a, b.")


# retry


def test_retry_in_back_off_is_due_now_with_a_fresh_budget_and_the_same_key() -> None:
    story = Story(step("a", retry=TWICE))
    number = story.number("a")
    story.lost("a")
    assert story.tell(m.Retry("a")) == ["StepRescheduled a"]
    now = story["a"]
    assert (now.number, now.generation, now.due_at) == (number, 1, NOON)
    assert (now.attempt, now.budget, now.unresolved) == (2, 3, True)


def test_retry_of_an_unknown_outcome_keeps_the_key() -> None:
    story = spent()
    number = story.number("b")
    assert story.tell(m.Retry("b")) == ["StepRescheduled b"]
    now = story["b"]
    assert (now.number, now.generation, now.attempt, now.budget) == (number, 1, 2, 2)
    assert now.attention is None
    assert now.unresolved


def test_retry_of_a_rejection_is_a_new_command() -> None:
    story = held()
    number = story["b"].action_number
    assert story.tell(m.Retry("b")) == ["StepDispatched b"]
    now = story["b"]
    assert (now.generation, now.attempt, now.attention) == (2, 1, None)
    assert now.number != number
    assert story.done("b") == ["StepCompleted b", "StepDispatched c"]


def test_retry_of_a_missing_handler_keeps_the_key() -> None:
    story = fresh()
    number = story.number("a")
    story.unserved("a")
    assert story.tell(m.Retry("a")) == ["StepRescheduled a"]
    assert story.number("a") == number
    assert not story["a"].unresolved


def test_retry_of_an_unknown_undo_keeps_the_key() -> None:
    story = stuck("lost")
    number = story.number("a")
    assert story.tell(m.Retry("a")) == ["UndoRescheduled a"]
    assert (story.number("a"), story["a"].attempt, story["a"].budget) == (number, 2, 2)
    assert story["a"].attention is None


def test_retry_of_a_rejected_undo_is_a_new_command() -> None:
    story = stuck("rejected")
    assert story.tell(m.Retry("a")) == ["UndoDispatched a"]
    assert (story["a"].undo_generation, story["a"].attempt, story["a"].budget) == (2, 1, 1)


def test_retry_of_an_undo_in_back_off_is_due_now() -> None:
    story = Story(step("a", undo_retry=TWICE), step("b"))
    story.done("a")
    story.rejected("b")
    story.rejected("a")
    number = story.number("a")
    assert story.tell(m.Retry("a")) == ["UndoRescheduled a"]
    assert (story.number("a"), story["a"].due_at, story["a"].attempt, story["a"].budget) == (
        number,
        NOON,
        2,
        3,
    )


def test_retry_is_refused_where_nothing_waits_to_be_tried() -> None:
    story = fresh()
    refuses(story, m.Retry("a"), "a is executing; only a step in back-off or at attention can be retried.")
    refuses(story, m.Retry("b"), "b is pending; only a step in back-off or at attention can be retried.")


def test_retry_is_refused_while_a_worker_holds_the_command() -> None:
    story = fresh()
    story.lost("a")
    refuses(
        story,
        m.Retry("a"),
        "The action of a is being executed right now; wait for its reply or time-out.",
        "a",
    )
    story = Story(step("a"), step("b"))
    story.done("a")
    story.rejected("b")
    refuses(story, m.Retry("a"), "The undo of a is being executed right now", "a")


def test_retry_is_refused_where_only_a_person_can_settle() -> None:
    refuses(
        irrevocable(),
        m.Retry("a"),
        "a cannot be undone, so there is nothing to retry; settle it with resolve.",
    )
    refuses(denied(), m.Retry("b"), "b had its effect too late; compensate it, or resolve it as waived.")


def test_retry_of_an_action_is_refused_in_a_rollback() -> None:
    story = Story(step("a", needs=()), step("b", needs=()))
    story.lost("b", inbox=False)
    story.rejected("a")
    refuses(story, m.Retry("b"), "The saga is rolling back, so b is not tried again; settle it with resolve.")


# compensate


def test_compensate_rolls_back_now() -> None:
    story = fresh()
    story.done("a")
    assert story.tell(m.Compensate("the customer called")) == [
        "SagaCompensating",
        "StepWithdrawn b",
        "UndoDispatched a",
    ]
    assert story.progress.error == "the customer called"


def test_compensate_awaits_what_a_worker_holds() -> None:
    story = fresh()
    assert story.tell(m.Compensate(), "a") == ["SagaCompensating"]
    assert story.done("a") == ["StepCompleted a", "UndoDispatched a"]


def test_compensate_answers_what_was_held() -> None:
    story = held()
    assert story.tell(m.Compensate()) == ["SagaCompensating", "UndoDispatched a"]
    assert story.progress.attention is None


def test_compensate_undoes_an_unknown_outcome() -> None:
    story = spent()
    assert story.tell(m.Compensate()) == ["SagaCompensating", "StepOutcomeUnknown b", "UndoDispatched b"]


def test_compensate_is_refused_behind_the_pivot() -> None:
    story = Story(step("a"), step("p", pivot=True), step("b", retriable=True))
    story.done("a")
    story.done("p")
    refuses(story, m.Compensate(), "The point of no return, p, is passed; the saga only goes forward.")


def test_compensate_is_refused_twice() -> None:
    refuses(stuck(), m.Compensate(), "The saga is already rolling back.")


# skip


def test_skip_goes_on_without_a_step_that_was_rejected() -> None:
    story = held()
    assert story.tell(m.Skip("b")) == ["StepSkipped b", "StepDispatched c"]
    assert (story["b"].status, story["b"].result, story["b"].attention) == (T.SKIPPED, None, None)


def test_skip_before_its_turn() -> None:
    story = fresh()
    assert story.tell(m.Skip("b")) == ["StepSkipped b"]
    assert story.done("a") == ["StepCompleted a", "SagaCompleted"]


def test_skip_of_what_is_due_but_unclaimed() -> None:
    story = fresh()
    assert story.tell(m.Skip("a")) == ["StepSkipped a", "StepDispatched b"]
    assert story["a"].open is None


def test_a_skipped_step_has_nothing_to_undo() -> None:
    story = held()
    story.tell(m.Skip("b"))
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoDispatched a"]
    assert story["b"].status is T.SKIPPED


def test_skip_is_refused_of_what_a_worker_holds() -> None:
    refuses(fresh(), m.Skip("a"), "The action of a is being executed right now", "a")


@pytest.mark.parametrize("retry", [ONCE, TWICE])
def test_skip_is_refused_of_what_may_have_had_its_effect(retry: Retry) -> None:
    story = Story(step("a", hold=True, retry=retry))
    story.lost("a")
    refuses(story, m.Skip("a"), "a may have had its effect; say what became of it with resolve.")


def test_skip_is_refused_of_what_has_happened() -> None:
    story = fresh()
    story.done("a")
    refuses(story, m.Skip("a"), "a is completed; only a step that has not happened can be skipped.")
    refuses(denied(), m.Skip("b"), "b had its effect too late; compensate it, or resolve it as waived.")


def test_skip_is_refused_in_a_rollback() -> None:
    refuses(stuck(), m.Skip("b"), "The saga is rolling back; a step can only be skipped on the way forward.")


# resolve


def test_resolve_done_completes_the_step_with_the_operators_result() -> None:
    story = spent()
    assert story.tell(m.Resolve("b", Verdict.DONE, {"id": 7})) == ["StepCompleted b", "StepDispatched c"]
    assert story["b"].result == {"id": 7}
    assert story.rejected("c") == ["StepFailed c", "SagaCompensating", "UndoDispatched b"]  # its undo is owed


def test_resolve_none_fails_the_step() -> None:
    story = Story(step("a"), step("b"))
    story.done("a")
    story.lost("b")
    verb = m.Resolve("b", Verdict.NONE, reason="the bank says no")
    assert story.tell(verb) == ["StepFailed b", "SagaCompensating", "UndoDispatched a"]
    assert story.progress.error == "the bank says no"


def test_resolve_none_of_a_held_step_asks_what_to_do_now() -> None:
    story = spent()
    assert story.tell(m.Resolve("b", Verdict.NONE)) == ["StepFailed b", "StepHeld b"]
    assert story["b"].attention is Attention.HELD


def test_resolve_done_of_a_rejected_step_completes_it_after_all() -> None:
    assert held().tell(m.Resolve("b", Verdict.DONE)) == ["StepCompleted b", "StepDispatched c"]


@pytest.mark.parametrize(
    ("verdict", "decided"),
    [
        (Verdict.DONE, ["StepCompleted b", "UndoDispatched b"]),
        (Verdict.NONE, ["StepFailed b", "SagaFailed"]),
    ],
)
def test_resolve_of_an_unknown_action_in_a_rollback(verdict: Verdict, decided: list[str]) -> None:
    story = Story(step("a", needs=()), step("b", needs=()))
    story.lost("b", inbox=False)
    story.rejected("a")
    assert story["b"].attention is Attention.OUTCOME_UNKNOWN
    assert story.tell(m.Resolve("b", verdict)) == decided


@pytest.mark.parametrize(
    ("verdict", "decided", "status"),
    [
        (Verdict.DONE, "StepCompensated a", T.COMPENSATED),
        (Verdict.WAIVED, "StepLeftStanding a", T.COMPLETED),
    ],
)
@pytest.mark.parametrize("given", [stuck, irrevocable])
def test_resolve_of_an_undo_ends_it(
    given: Callable[[], Story], verdict: Verdict, decided: str, status: T
) -> None:
    story = given()
    assert story.tell(m.Resolve("a", verdict)) == [decided, "SagaFailed"]
    assert story["a"].status is status
    assert story["a"].standing is (verdict is Verdict.WAIVED)


def test_a_waived_undo_is_not_begun_again() -> None:
    story = Story(step("a"), step("b", undo_retry=ONCE), step("c"))
    story.done("a")
    story.done("b")
    story.rejected("c")
    story.lost("b")
    assert story.tell(m.Resolve("b", Verdict.WAIVED)) == ["StepLeftStanding b", "UndoDispatched a"]
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]


def test_resolve_waives_a_late_effect_of_a_terminal_saga() -> None:
    story = too_late()
    refuses(story, m.Resolve("b", Verdict.NONE), "b is known to have had its effect")
    assert story.tell(m.Resolve("b", Verdict.WAIVED)) == ["LateEffectSettled b"]
    assert (story.progress.state, story.progress.attention) == (SagaState.FAILED, None)


def test_a_settled_late_effect_leaves_a_rejected_step_held_as_it_was() -> None:
    story = denied()
    assert story.tell(m.Resolve("b", Verdict.WAIVED)) == ["LateEffectSettled b", "StepHeld b"]
    assert story["b"].attention is Attention.HELD


def test_resolve_is_refused_where_it_says_nothing_new() -> None:
    refuses(
        held(),
        m.Resolve("b", Verdict.NONE),
        "b is already known to have failed; retry it, skip it, or roll back.",
    )
    refuses(
        spent(),
        m.Resolve("b", Verdict.WAIVED),
        "Only an undo can be waived; resolve an action as done or none.",
    )
    reason = "An undo is resolved as done (it is undone) or waived (it stays)."
    refuses(stuck(), m.Resolve("a", Verdict.NONE), reason)
    refuses(irrevocable(), m.Resolve("a", Verdict.NONE), reason)


@pytest.mark.parametrize("verdict", Verdict)
def test_resolve_is_refused_where_nobody_is_asked(verdict: Verdict) -> None:
    refuses(
        fresh(),
        m.Resolve("a", verdict),
        "a is executing; only a step at attention, or unknown, can be resolved.",
    )


def test_resolve_is_refused_while_a_worker_holds_the_command() -> None:
    story = fresh()
    story.lost("a")
    refuses(story, m.Resolve("a", Verdict.DONE), "The action of a is being executed right now", "a")


# edit


def test_edit_replaces_the_data_of_what_is_not_sent_yet() -> None:
    story = fresh()
    assert story.tell(m.Edit({"order": 2})) == ["DataEdited"]
    assert story.progress.data == {"order": 2}
    assert story["a"].input is None


def test_a_command_that_was_sent_keeps_its_input_until_it_is_closed() -> None:
    story = fresh()
    story.lost("a")
    story.tell(m.Edit({"order": 2}))
    story.tell(m.Edit({"order": 3}))
    assert story["a"].input == {"order": 1}
    story.lost("a")
    assert story["a"].input == {"order": 1}
    story.done("a")
    assert story["a"].input is None
    assert story["b"].input is None


def test_an_undo_that_was_sent_keeps_its_input() -> None:
    story = stuck("lost")
    story.tell(m.Edit({"order": 2}))
    assert story["a"].input == {"order": 1}


def test_a_new_generation_gets_the_new_data() -> None:
    story = held()
    story.tell(m.Edit({"order": 2}))
    story.tell(m.Retry("b"))
    assert story["b"].input is None


def test_edit_mends_a_command_that_never_reached_its_participant() -> None:
    story = fresh()
    story.unserved("a", code=Attention.MISCONFIGURED)
    story.tell(m.Retry("a"))
    story.unserved("a", code=Attention.MISCONFIGURED)
    story.tell(m.Edit({"order": 2}))
    story.tell(m.Retry("a"))
    assert story["a"].input is None


def test_edit_reaches_the_next_undo_after_a_rejected_one() -> None:
    story = Story(step("a"), step("b"))
    story.done("a")
    story.rejected("b")
    story.rejected("a")
    story.tell(m.Edit({"order": 2}))
    assert (story["a"].undo_generation, story["a"].input) == (2, None)


def test_edit_is_refused_while_a_worker_holds_anything() -> None:
    story = Story(step("a", needs=()), step("b", needs=()))
    refuses(
        story, m.Edit({}), "b is being executed right now; edit when it has answered, or pause first.", "b"
    )
    refuses(story, m.Edit({}), "a, b is being executed right now", "a", "b")


# pause, resume


def test_pause_and_resume_change_nothing_else() -> None:
    story = fresh()
    before = story.progress.steps
    assert story.tell(m.Pause()) == ["SagaPaused"]
    assert story.progress.paused
    refuses(story, m.Pause(), "The saga is already paused.")
    assert story.progress.steps is before
    assert story.tell(m.Resume()) == ["SagaResumed"]
    assert not story.progress.paused
    refuses(story, m.Resume(), "The saga is not paused.")


def test_a_paused_saga_takes_replies_and_verbs() -> None:
    story = fresh()
    story.tell(m.Pause())
    assert story.done("a") == ["StepCompleted a", "StepDispatched b"]
    assert story.tell(m.Compensate()) == ["SagaCompensating", "StepWithdrawn b", "UndoDispatched a"]
    assert story.progress.paused


def test_the_pause_ends_with_the_saga() -> None:
    for end in ("done", "rejected"):
        story = Story(step("a"))
        story.tell(m.Pause())
        getattr(story, end)("a")
        assert story.progress.finished_at
        assert not story.progress.paused


# approve, reject


@pytest.mark.parametrize("verb", [m.Approve("a"), m.Reject("a", "no")])
def test_an_answer_is_refused_where_nobody_waits_for_it(verb: m.Verb) -> None:
    refuses(fresh(), verb, "a is executing; it is not waiting for an approval.")


def test_a_rollback_waits_for_a_pivot_that_is_being_executed() -> None:
    story = Story(step("a"), step("b", pivot=True))
    story.done("a")
    refuses(story, m.Compensate(), "The point of no return, b, is being executed right now", "b")
    assert story.tell(m.Compensate())[0] == "SagaCompensating"
