"""Steps that wait: for a moment, for people, for a reply from outside; and sagas that begin later, or have to end."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sagas.core import messages as m
from sagas.core.built_in import approval, timer
from sagas.core.commands import own_wake
from sagas.core.decide import Refused, decide
from sagas.core.definition import InvalidDefinition, Retry, SagaDefinition, SagaStep
from sagas.core.ids import uuid7
from sagas.core.machine import fold
from sagas.core.preview import preview
from sagas.core.progress import BEGINNING, DEADLINE, Progress
from sagas.core.waits import Approval, Timer, moment, shown, wake_at
from sagas.core.words import Attention, SagaState, StepStatus, Verdict, Waiting

from .story import NOON, Story, step

HOUR = timedelta(hours=1)
ONCE = Retry(max_attempts=1)
S, T = SagaState, StepStatus


def asking(**values: Any) -> Story:
    """A saga that has done a step and waits for an approval."""
    story = Story(step("a"), approval("ok", by="group:managers", **values), step("b"))
    story.done("a")
    return story


def time_up(story: Story, name: str, *claimed: str) -> list[str]:
    return story.tell(m.TimeUp(story.number(name)), *claimed)


def refuses(story: Story, verb: m.Verb, reason: str, *claimed: str) -> None:
    before = story.progress
    with pytest.raises(Refused, match=re.escape(reason)):
        story.tell(verb, *claimed)
    assert story.progress is before


# Timers


def test_a_timer_waits_and_the_saga_goes_on_when_its_time_is_up() -> None:
    story = Story(timer("rest", wait=HOUR), step("b"))
    assert story["rest"].waiting is Waiting.TIMER
    assert story["rest"].due_at == NOON + HOUR
    assert story.progress.waiting == {
        "kind": "timer",
        "step": "rest",
        "since": NOON.isoformat(),
        "until": (NOON + HOUR).isoformat(),
    }
    assert time_up(story, "rest") == ["StepCompleted rest", "StepDispatched b"]
    assert story.progress.waiting is None
    assert story.done("b") == ["StepCompleted b", "SagaCompleted"]


@pytest.mark.parametrize(
    ("until", "due"),
    [
        (NOON + HOUR, NOON + HOUR),
        ("when.exactly", datetime(2026, 2, 1, tzinfo=UTC)),
        (NOON - HOUR, NOON),  # what has gone by goes on at once
    ],
)
def test_a_timer_waits_until_a_moment_or_where_the_data_says(until: Any, due: datetime) -> None:
    pinned = SagaDefinition("trip", (timer("rest", until=until),))
    data = {"when": {"exactly": "2026-02-01T01:00:00+01:00"}}
    events = decide(pinned, Progress.blank(pinned), m.Start(data), m.Now(NOON))
    assert fold(Progress.blank(pinned), events).steps["rest"].due_at == due


def test_a_timer_has_nothing_to_undo_and_is_withdrawn_when_the_saga_turns_back() -> None:
    story = Story(step("a"), timer("rest", wait=HOUR), step("b"))
    story.done("a")
    assert story.tell(m.Compensate()) == ["SagaCompensating", "StepWithdrawn rest", "UndoDispatched a"]
    assert story.progress.waiting is None
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]


def test_a_wake_that_a_worker_holds_is_awaited_and_then_withdrawn() -> None:
    story = Story(timer("rest", wait=HOUR), step("b"))
    assert story.tell(m.Compensate(), "rest") == ["SagaCompensating"]
    assert time_up(story, "rest") == ["StepWithdrawn rest", "SagaFailed"]


def test_nobody_answers_once_the_saga_has_turned_back() -> None:
    story = asking(deadline=HOUR)
    story.tell(m.Compensate(), "ok")
    refuses(story, m.Approve("ok", "mia", "", "7"), "an approval would come too late")
    refuses(story, m.Reject("ok", "no", "mia"), "an approval would come too late")
    assert time_up(story, "ok") == ["StepWithdrawn ok", "UndoDispatched a"]


def test_skipping_a_timer_goes_on_now() -> None:
    story = Story(timer("rest", wait=HOUR), step("b"))
    assert story.tell(m.Skip("rest")) == ["StepSkipped rest", "StepDispatched b"]


def test_a_timer_can_be_cut_short_from_outside_and_takes_nothing_else() -> None:
    story = Story(timer("rest", wait=HOUR), step("b"))
    assert story.lost("rest") == story.unserved("rest") == []
    assert story.done("rest") == ["StepCompleted rest", "StepDispatched b"]


def test_a_time_that_is_told_twice_is_up_once() -> None:
    story = Story(timer("rest", wait=HOUR), step("b"))
    number = story.number("rest")
    story.tell(m.TimeUp(number))
    assert story.tell(m.TimeUp(number)) == []


def test_an_edit_does_not_move_a_timer_that_is_dispatched_and_keeps_one_that_is_not_sound() -> None:
    story = Story(timer("rest", wait=HOUR), timer("more", until="at"), step("b"))
    refuses(
        story, m.Edit({"at": "soon"}), "more waits until data.at, which must be a moment with a time zone"
    )
    refuses(story, m.Edit({}), "more waits until data.at, which is missing")
    story.tell(m.Edit({"at": NOON.isoformat()}))
    assert story["rest"].due_at == NOON + HOUR


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda: timer("t"), "exactly one of wait and until"),
        (lambda: timer("t", wait=1, until=NOON), "exactly one of wait and until"),
        (lambda: timer("t", wait=-1), "wait must be a timedelta or seconds"),
        (lambda: timer("t", until=datetime(2026, 1, 1)), "with a time zone"),
        (lambda: approval("t", by="managers"), "by must be 'group:name' or 'perm:app.codename'"),
        (lambda: approval("t", by="group:x", people=0), "people must be 1 or more"),
        (lambda: approval("t", by="group:x", otherwise="yes"), "otherwise must be"),
        (lambda: approval("t", by="group:x", otherwise="approve"), "needs a deadline"),
        (lambda: approval("t", by="group:x", deadline=0), "deadline must be"),
        (lambda: approval("t", by="group:x", show=(1,)), "show must be paths"),
        (lambda: step("t", deadline=0), "deadline must be more than 0 seconds"),
    ],
)
def test_a_wait_that_makes_no_sense_is_refused_with_the_reason(made: Any, problem: str) -> None:
    with pytest.raises(InvalidDefinition, match=f"step t: .*{re.escape(problem)}"):
        SagaDefinition("trip", (made(),))


def test_waits_are_pinned_as_plain_values_and_read_back() -> None:
    pinned = SagaDefinition(
        "trip",
        (
            timer("t", wait=HOUR),
            timer("u", until="data.at"),
            approval(
                "v", by="perm:shop.refund", people=2, show=("amount",), deadline=HOUR, otherwise="reject"
            ),
            approval("w", by="group:managers", show="{amount} to {customer.name}"),
            step("x", deadline=HOUR),
        ),
        deadline=60.0,
    )
    again = SagaDefinition.from_document(pinned.document())
    assert again == pinned
    assert again.digest == pinned.digest
    assert "deadline" not in SagaDefinition("trip", (step("x"),)).document()


def test_moments_are_read_with_their_zone_only() -> None:
    assert moment("2026-01-01T13:00:00+01:00") == NOON
    assert moment("2026-01-01T13:00:00+01:00").isoformat() == NOON.isoformat(), "it is told in UTC"
    last = "9999-12-31T23:59:59-12:00"  # in UTC it is a day that no database gives back
    for wrong in ("2026-01-01T13:00:00", "soon", 12, None, last):
        with pytest.raises(ValueError, match="must be a moment with a time zone"):
            moment(wrong)
    with pytest.raises(ValueError, match="is missing"):
        wake_at(Timer(path="a.b"), {"a": 1}, NOON)


# Approvals


def test_an_approval_waits_for_as_long_as_it_takes_with_nothing_due() -> None:
    story = asking()
    assert (story["ok"].waiting, story["ok"].scheduled, story["ok"].due_at) == (Waiting.APPROVAL, False, None)
    assert (story["ok"].approver, story.progress.waiting and story.progress.waiting["until"]) == (
        "group:managers",
        None,
    )
    said = m.Approve("ok", by="mia", comment="fine", person="7")
    assert story.tell(said) == ["StepCompleted ok", "StepDispatched b"]
    assert story["ok"].result == {"approved": True, "by": ["mia"], "comment": "fine"}
    assert story["ok"].asked is story["ok"].approver is None


def test_two_people_are_two_different_people() -> None:
    story = asking(people=2)
    assert story.tell(m.Approve("ok", "mia", "yes", "7")) == ["ApprovalGiven ok"]
    refuses(
        story, m.Approve("ok", "mia renamed", "yes", "7"), "mia has approved ok already; it takes another"
    )
    story.tell(m.Approve("ok", "bo", "me too", "8"))
    assert story["ok"].result == {"approved": True, "by": ["mia", "bo"], "comment": "yes\nme too"}


def test_one_no_is_enough_and_rolls_back() -> None:
    story = asking(people=2)
    story.tell(m.Approve("ok", "mia", "", "7"))
    assert story.tell(m.Reject("ok", "too much", "bo")) == [
        "StepFailed ok",
        "SagaCompensating",
        "UndoDispatched a",
    ]
    assert story.progress.error == "rejected by bo: too much"


def test_a_no_can_wait_for_an_operator_who_may_have_it_asked_again() -> None:
    story = asking(hold=True)
    assert story.tell(m.Reject("ok", "not yet", "bo")) == ["StepFailed ok", "StepHeld ok"]
    assert story.tell(m.Retry("ok")) == ["StepDispatched ok"]
    assert (story["ok"].waiting, story["ok"].generation) == (Waiting.APPROVAL, 2)


@pytest.mark.parametrize(
    ("otherwise", "decided"),
    [
        ("approve", ["StepCompleted ok", "StepDispatched b"]),
        ("reject", ["StepFailed ok", "SagaCompensating", "UndoDispatched a"]),
        (None, ["StepHeld ok"]),
    ],
)
def test_nobody_answering_in_time_is_an_answer(otherwise: str | None, decided: list[str]) -> None:
    story = asking(deadline=HOUR, otherwise=otherwise)
    assert story["ok"].due_at == NOON + HOUR
    assert time_up(story, "ok") == decided


def test_what_nobody_answered_in_time_can_still_be_answered_or_asked_again() -> None:
    story = asking(deadline=HOUR)
    time_up(story, "ok")
    assert story.progress.attention is Attention.EXPECTATION_MISSED
    assert story.progress.waiting is None
    assert story.tell(m.Retry("ok"), at=NOON + 2 * HOUR) == ["StepRescheduled ok"]
    assert (story["ok"].waiting, story["ok"].due_at) == (Waiting.APPROVAL, NOON + 3 * HOUR)
    time_up(story, "ok")
    assert story.tell(m.Approve("ok", "mia", "", "7")) == ["StepCompleted ok", "StepDispatched b"]


def test_code_cannot_answer_what_people_are_asked() -> None:
    story = asking()
    assert story.done("ok") == story.rejected("ok") == story.lost("ok") == story.unserved("ok") == []


def test_what_waits_for_an_approval_is_withdrawn_skipped_and_not_settled_by_hand() -> None:
    refuses(asking(), m.Resolve("ok", Verdict.DONE), "answer it with approve or reject")
    refuses(asking(), m.Retry("ok"), "ok waits for an approval; there is nothing to retry")
    refuses(asking(), m.Approve("a"), "a is completed; it is not waiting for an approval")
    assert asking().tell(m.Skip("ok")) == ["StepSkipped ok", "StepDispatched b"]
    assert asking().tell(m.Compensate()) == ["SagaCompensating", "StepWithdrawn ok", "UndoDispatched a"]


def test_a_person_may_answer_while_a_worker_is_about_to_say_that_the_time_is_up() -> None:
    story = asking(deadline=HOUR)
    number = story.number("ok")
    assert story.tell(m.Approve("ok", "mia", "", "7"), "ok") == ["StepCompleted ok", "StepDispatched b"]
    assert story.tell(m.TimeUp(number)) == []


def test_people_see_what_the_data_said_and_nothing_is_made_of_it() -> None:
    data = {"amount": 12, "customer": {"name": "<b>Eve</b>"}, "items": [{"sku": "a"}]}
    text = Approval(
        "group:x", show="{amount} to {customer.name} for {items.0.sku}, {nothing.there} {amount!r}"
    )
    assert shown(text, data) == "12 to <b>Eve</b> for a, – {amount!r}"
    assert shown(Approval("group:x", show=("amount", "nope")), data) == {"amount": 12, "nope": None}


def test_an_approval_sees_the_results_of_earlier_steps() -> None:
    story = Story(step("a"), approval("ok", by="group:x", show=("order", "results.a.risk")))
    story.done("a", result={"risk": "high"})
    asked = story["ok"].asked
    assert asked is not None
    assert asked["show"] == {"order": 1, "results.a.risk": "high"}


def test_a_preview_stops_at_people_and_passes_timers() -> None:
    story = asking()
    seen = preview(story.definition, story.progress, m.Pause(), m.Now(NOON), uuid7())
    assert (seen.asks, seen.ends) == (("ok",), None)
    passing = Story(timer("rest", wait=HOUR), step("b"))
    seen = preview(passing.definition, passing.progress, m.Pause(), m.Now(NOON), uuid7())
    assert seen.ends is S.COMPLETED


def test_of_several_waits_an_approval_is_told_then_what_ends_first() -> None:
    story = Story(timer("t", wait=60), timer("u", wait=30, needs=()), approval("ok", by="group:x", needs=()))
    assert story.progress.waiting is not None
    assert story.progress.waiting["step"] == "ok"
    story.tell(m.Approve("ok", "mia"))
    assert story.progress.waiting["step"] == "u"


# Replies from outside


def later(story: Story, name: str, *claimed: str, inbox: bool = True) -> list[str]:
    return story.tell(m.Later(story.number(name), 3600.0, inbox), *claimed)


def test_a_promise_is_awaited_and_then_kept() -> None:
    story = Story(step("a"), step("b"))
    assert later(story, "a", "a") == ["ReplyAwaited a"]
    assert (story["a"].waiting, story["a"].due_at, story["a"].scheduled) == (Waiting.REPLY, NOON + HOUR, True)
    assert story.done("a", result=1) == ["StepCompleted a", "StepDispatched b"]
    assert story["a"].result == 1


def test_a_promise_that_is_not_kept_is_an_unknown_outcome_and_is_tried_again_under_its_key() -> None:
    story = Story(step("a"), step("b"))
    later(story, "a")
    number = story.number("a")
    assert time_up(story, "a") == ["StepRescheduled a"]
    assert (story.number("a"), story["a"].attempt, story["a"].waiting) == (number, 2, None)
    assert story.tell(m.TimeUp(number)) == []  # the second attempt is being made
    assert story.done("a") == ["StepCompleted a", "StepDispatched b"]


def test_a_promise_broken_for_the_last_time_is_undone_like_a_completed_step() -> None:
    story = Story(step("a", retry=ONCE))
    later(story, "a")
    assert time_up(story, "a") == ["StepOutcomeUnknown a", "SagaCompensating", "UndoDispatched a"]


def test_an_undo_may_be_answered_later_too() -> None:
    story = Story(step("a"), step("b"))
    story.done("a")
    story.tell(m.Compensate())
    assert later(story, "a") == ["ReplyAwaited a"]
    assert story.progress.waiting is not None
    assert time_up(story, "a") == ["UndoRescheduled a"]
    later(story, "a")
    assert story.done("a") == ["StepCompensated a", "SagaFailed"]


@pytest.mark.parametrize(
    ("inbox", "decided"),
    [
        (True, ["SagaCompensating", "StepOutcomeUnknown a", "UndoDispatched a"]),
        (False, ["SagaCompensating"]),  # only its reply, or the end of its time, can tell
    ],
)
def test_rolling_back_does_not_wait_for_a_promise_whose_effect_the_undo_meets(
    inbox: bool, decided: list[str]
) -> None:
    story = Story(step("a"))
    later(story, "a", inbox=inbox)
    assert story.tell(m.Compensate()) == decided


@pytest.mark.parametrize(
    ("inbox", "decided"),
    [(True, ["StepOutcomeUnknown a", "UndoDispatched a"]), (False, ["ReplyAwaited a"])],
)
def test_a_promise_made_when_the_saga_has_turned_back(inbox: bool, decided: list[str]) -> None:
    story = Story(step("a"))
    story.tell(m.Compensate(), "a")
    assert later(story, "a", inbox=inbox) == decided


def test_a_promise_is_settled_by_hand_and_not_skipped() -> None:
    story = Story(step("a"), step("b"))
    later(story, "a")
    refuses(story, m.Skip("a"), "may have had its effect")
    refuses(story, m.Retry("a"), "a waits for a reply from outside")
    assert story.tell(m.Resolve("a", Verdict.DONE)) == ["StepCompleted a", "StepDispatched b"]


# Beginning later, and having to end


def delayed(*steps: SagaStep, deadline: float | None = None) -> Story:
    story = Story(step("x"))
    story.definition = SagaDefinition("trip", steps, deadline)
    story.progress = Progress.blank(story.definition)
    story.tell(m.Start({"order": 1}, NOON + HOUR))
    return story


def test_a_saga_that_begins_later_has_dispatched_nothing_before() -> None:
    story = delayed(step("a"))
    assert story.progress.state is S.STARTED
    assert story.progress.waiting == {
        "kind": "timer",
        "step": None,
        "since": NOON.isoformat(),
        "until": (NOON + HOUR).isoformat(),
    }
    wake = own_wake(story.definition, story.progress)
    assert wake is not None
    assert (wake.number, wake.due_at) == (BEGINNING, NOON + HOUR)
    assert story.tell(m.TimeUp(BEGINNING), at=NOON + HOUR) == ["SagaBegan", "StepDispatched a"]
    assert story.tell(m.TimeUp(BEGINNING)) == []
    assert own_wake(story.definition, story.progress) is None


def test_a_moment_that_has_gone_by_begins_at_once() -> None:
    pinned = SagaDefinition("trip", (step("a"),))
    events = decide(pinned, Progress.blank(pinned), m.Start({}, NOON - HOUR), m.Now(NOON))
    assert [type(event).__name__ for event in events] == ["SagaStarted", "StepDispatched"]


def test_rolling_back_before_the_beginning_ends_it_with_nothing_done() -> None:
    story = delayed(step("a"))
    assert story.tell(m.Compensate()) == ["SagaCompensating", "SagaFailed"]
    assert own_wake(story.definition, story.progress) is None
    assert story.progress.waiting is None


def test_skipping_a_step_before_the_beginning_does_not_begin() -> None:
    story = delayed(step("a"), step("b"))
    assert story.tell(m.Skip("a")) == ["StepSkipped a"]
    assert story.tell(m.TimeUp(BEGINNING)) == ["SagaBegan", "StepDispatched b"]


def limited(*steps: SagaStep) -> Story:
    story = delayed(*steps, deadline=60.0)
    story.tell(m.TimeUp(BEGINNING))
    return story


def test_a_deadline_counts_from_the_beginning_and_rolls_back() -> None:
    story = limited(step("a"), step("b"))
    wake = own_wake(story.definition, story.progress)
    assert wake is not None
    assert (wake.number, wake.due_at) == (DEADLINE, NOON + timedelta(minutes=1))
    story.done("a")
    assert story.tell(m.TimeUp(DEADLINE)) == [
        "SagaExpired",
        "SagaCompensating",
        "StepWithdrawn b",
        "UndoDispatched a",
    ]
    assert story.progress.error == "its deadline passed"
    assert own_wake(story.definition, story.progress) is None


def test_behind_the_point_of_no_return_a_deadline_changes_nothing() -> None:
    story = limited(step("a", pivot=True), step("b", retriable=True))
    story.done("a")
    assert own_wake(story.definition, story.progress) is None
    assert story.tell(m.TimeUp(DEADLINE)) == []


@pytest.mark.parametrize(
    ("answer", "decided"),
    [
        (Story.done, ["StepCompleted a", "StepDispatched b"]),
        (Story.rejected, ["StepFailed a", "SagaCompensating", "SagaFailed"]),
        (Story.lost, ["StepOutcomeUnknown a", "SagaCompensating", "UndoDispatched a"]),
    ],
)
def test_a_deadline_awaits_the_answer_of_a_point_of_no_return_that_is_being_made(
    answer: Any, decided: list[str]
) -> None:
    story = limited(step("a", pivot=True), step("b", retriable=True))
    assert story.tell(m.TimeUp(DEADLINE), "a") == ["SagaExpired"]
    assert story.tell(m.TimeUp(DEADLINE), "a") == []
    assert answer(story, "a") == decided


def test_no_attempt_begins_behind_a_steps_deadline() -> None:
    story = Story(step("a", deadline=10, retry=Retry(max_attempts=9, first=4.0, factor=1.0)))
    assert story.tell(m.Unknown(2, "lost"), at=NOON + timedelta(seconds=5)) == ["StepRescheduled a"]
    assert story.tell(m.Unknown(2, "lost"), at=NOON + timedelta(seconds=6)) == [
        "StepOutcomeUnknown a",
        "SagaCompensating",
        "UndoDispatched a",
    ]
