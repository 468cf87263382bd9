"""The rules of the core for sagas that grow, one message after the other; simulated, they suffer every fault."""

from typing import Any

import pytest

from sagas.core import events as e
from sagas.core import messages as m
from sagas.core.commands import changed
from sagas.core.decide import Refused, decide
from sagas.core.definition import FUNCTION, InvalidDefinition, Retry, SagaDefinition, SagaStep
from sagas.core.machine import fold
from sagas.core.progress import DEADLINE, Progress
from sagas.core.words import Attention, Verdict

from .story import NOON


class Story:
    """A function's saga, told what its runs say."""

    def __init__(self, saga_deadline: float | None = None) -> None:
        function = SagaStep(FUNCTION, "function trip", retry=Retry(max_attempts=2))
        self.definition = SagaDefinition("trip", (function,), saga_deadline, growing=True)
        self.progress = Progress.blank(self.definition)
        self.tell(m.Start({"order": 1}))

    def tell(self, message: m.Message) -> list[str]:
        """Tell it a message; return the names of the events that it decided."""
        events = decide(self.definition, self.progress, message, m.Now(NOON))
        self.progress = fold(self.progress, events)
        for event in events:
            if isinstance(event, e.SagaGrown):
                self.definition = self.definition.grown(event.steps)
        return [f"{type(event).__name__} {getattr(event, 'step', '')}".strip() for event in events]

    def number(self, name: str = FUNCTION) -> int:
        number = self.progress.steps[name].number
        assert number is not None
        return number

    def grow(self, *names: str, heard: tuple[str, ...] = (), **values: Any) -> list[str]:
        steps = tuple(
            {
                "step": {
                    "name": n,
                    "action": f"{n}.do",
                    "compensation": f"{n}.undo",
                    "needs": [FUNCTION],
                    **values,
                },
                "place": n,
            }
            for n in names
        )
        return self.tell(m.Grown(self.number(), steps, frozenset(heard)))


def test_a_run_that_did_not_know_of_a_verdict_is_followed_by_another() -> None:
    story = Story()
    assert story.grow("a", "b") == [
        "SagaGrown",
        "FunctionWaits function",
        "StepDispatched a",
        "StepDispatched b",
    ]
    assert story.tell(m.Completed(story.number("a"))) == ["StepCompleted a", "FunctionDispatched function"]
    assert story.tell(m.Completed(story.number("b"))) == ["StepCompleted b"]
    assert story.grow(heard=("a",)) == ["FunctionWaits function", "FunctionDispatched function"]
    assert story.tell(m.Returned(story.number(), 7)) == ["StepCompleted function", "SagaCompleted"]


def test_what_a_run_says_counts_once() -> None:
    story = Story()
    number = story.number()
    story.grow("a")
    for late in (m.Grown(number), m.Returned(number), m.Raised(number, "no"), m.Unserved(number, "bad")):
        assert story.tell(late) == []


def test_nobody_but_a_run_speaks_for_a_function() -> None:
    story = Story()
    assert story.tell(m.Completed(story.number(), "me")) == []
    assert story.tell(m.Rejected(story.number(), "me")) == []
    assert story.tell(m.Later(story.number(), 60)) == []


def test_a_run_that_is_lost_is_repeated_and_then_a_person_is_asked() -> None:
    story = Story()
    assert story.tell(m.Unknown(story.number(), "lost")) == ["StepRescheduled function"]
    assert story.tell(m.Unknown(story.number(), "lost")) == ["StepHeld function"]
    assert story.progress.attention is Attention.RETRIES_SPENT
    assert story.tell(m.Retry(FUNCTION)) == ["StepRescheduled function"]
    assert story.tell(m.Returned(story.number())) == ["StepCompleted function", "SagaCompleted"]


@pytest.mark.parametrize("reply", [m.Returned, m.Grown])
def test_a_run_that_cannot_be_true_asks_for_a_person(reply: Any) -> None:
    story = Story()
    if reply is m.Returned:
        story.grow("a", "b")
        story.tell(m.Completed(story.number("a")))
    assert story.tell(reply(story.number())) == ["StepHeld function"]
    assert story.progress.attention is Attention.MISCONFIGURED


def test_a_rejection_is_heard_unless_a_person_has_to_decide() -> None:
    story = Story()
    story.grow("a")
    assert story.tell(m.Rejected(story.number("a"), "no")) == ["StepFailed a", "FunctionDispatched function"]
    with pytest.raises(Refused, match="the function has heard of it"):
        story.tell(m.Skip("a"))
    story.grow("b", heard=("a",), hold=True)
    assert story.tell(m.Rejected(story.number("b"), "no")) == ["StepFailed b", "StepHeld b"]
    assert story.tell(m.Retry("b")) == ["StepDispatched b"]
    assert story.tell(m.Rejected(story.number("b"), "no")) == ["StepFailed b", "StepHeld b"]
    assert story.tell(m.Skip("b")) == ["StepSkipped b", "FunctionDispatched function"]


def test_a_rollback_does_not_wait_for_a_run() -> None:
    story = Story()
    story.grow("a")
    story.tell(m.Completed(story.number("a")))
    claimed = m.Now(NOON, 1.0, frozenset([story.number()]))
    events = decide(story.definition, story.progress, m.Compensate("enough"), claimed)
    assert [type(event) for event in events] == [e.SagaCompensating, e.StepWithdrawn, e.UndoDispatched]


def test_behind_a_pivot_a_function_that_gives_up_waits_for_a_person() -> None:
    story = Story()
    story.grow("a", pivot=True)
    story.tell(m.Completed(story.number("a")))
    assert story.tell(m.Raised(story.number(), "enough")) == ["StepFailed function", "StepHeld function"]
    assert story.tell(m.Retry(FUNCTION)) == ["FunctionDispatched function"]
    with pytest.raises(InvalidDefinition, match="not retriable"):
        story.grow("b", heard=("a",), needs=["a"])


def test_a_function_is_not_skipped_and_ended_by_hand_only_when_nothing_is_under_way() -> None:
    story = Story()
    with pytest.raises(Refused, match="retry it, or end it with resolve"):
        story.tell(m.Skip(FUNCTION))
    story.grow("a", "b")
    story.tell(m.Completed(story.number("a")))
    story.tell(m.Unserved(story.number(), "it differs", Attention.MISCONFIGURED))
    with pytest.raises(Refused, match="b had no verdict yet"):
        story.tell(m.Resolve(FUNCTION, Verdict.DONE))
    story.tell(m.Completed(story.number("b")))
    assert story.tell(m.Resolve(FUNCTION, Verdict.DONE, 7)) == ["StepCompleted function", "SagaCompleted"]


def test_a_deadline_is_over_once_a_pivot_is_passed_that_the_function_asked_for() -> None:
    story = Story(saga_deadline=60.0)
    before = story.progress
    story.grow("a", pivot=True)
    assert [due.number for _, due in changed(story.definition, before, story.progress) if due] == [
        story.number("a")
    ]
    before = story.progress
    story.tell(m.Completed(story.number("a")))
    assert (DEADLINE, None) in [*changed(story.definition, before, story.progress)]


def test_a_deadline_that_awaited_the_pivots_answer_is_not_forgotten_if_that_is_a_no() -> None:
    story = Story(saga_deadline=60.0)
    story.grow("a", pivot=True)
    held = m.Now(NOON, claimed=frozenset({story.number("a")}))
    events = decide(story.definition, story.progress, m.TimeUp(DEADLINE), held)
    story.progress = fold(story.progress, events)
    assert story.progress.expired
    assert story.tell(m.Rejected(story.number("a"), "no"))[:2] == ["StepFailed a", "SagaCompensating a"]


def test_new_names_reach_the_steps_that_a_function_asked_for() -> None:
    story = Story()
    story.grow("a")
    names = {"a.undo": "a.back"}
    draft_events = decide(story.definition, story.progress, m.Remap(names), m.Now(NOON))
    after = fold(story.progress, draft_events).steps["a"].grown
    assert after is not None
    assert after["step"]["compensation"] == "a.back"


def test_a_late_effect_of_a_refused_step_holds_nothing_up() -> None:
    story = Story()
    story.grow("a")
    number = story.number("a")
    story.tell(m.Rejected(number, "no", inbox=False))
    story.tell(m.Completed(number, inbox=False))
    assert story.progress.attention is Attention.LATE_EFFECT
    assert story.tell(m.Resolve("a", Verdict.WAIVED)) == ["LateEffectSettled a"]
    assert story.progress.attention is None
