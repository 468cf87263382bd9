"""Steps that another saga answers, and what undoes that saga once it is completed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given

from sagas.core import messages as m
from sagas.core.built_in import child
from sagas.core.decide import Refused
from sagas.core.definition import CANNOT_UNDO, SagaDefinition, SagaStep
from sagas.core.ids import uuid7
from sagas.core.progress import Progress, StepProgress
from sagas.core.undoing import obstacle, reverse
from sagas.core.waits import Child, NoData, child_data
from sagas.core.words import Attention, SagaState, StepStatus, Verdict, Waiting

from .story import Story, step
from .strategies import UNDO, definitions, graphs

HOUR = timedelta(hours=1)


def begun(**options: Any) -> Story:
    """A saga that has done a step and whose child is under way."""
    within = options["deadline"].total_seconds() if "deadline" in options else None
    story = Story(step("a"), child("c", "Trip", **options), step("b"))
    story.done("a")
    assert story.tell(m.Later(story.number("c"), within)) == ["ReplyAwaited c"]
    return story


def refuses(story: Story, verb: m.Verb, reason: str) -> None:
    with pytest.raises(Refused, match=re.escape(reason)):
        story.tell(verb)


# Where its data stands


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"n": 1}, {"n": 1}),
        ("box", {"n": 2}),
        ("boxes.1", {"n": 3}),
        ("results.pack.box", {"n": 4}),
    ],
)
def test_the_data_of_a_child_is_told_or_found(told: Any, found: Any) -> None:
    data = {"box": {"n": 2}, "boxes": [0, {"n": 3}], "results": {"pack": {"box": {"n": 4}}}}
    assert child_data(Child("Trip", told), data) == found


@pytest.mark.parametrize(("path", "problem"), [("nowhere", "is missing"), ("n", "must be an object")])
def test_data_that_is_not_there_is_said_to_be_missing(path: str, problem: str) -> None:
    with pytest.raises(NoData, match=problem):
        child_data(Child("Trip", path), {"n": 1})


@pytest.mark.parametrize("data", [{"n": 1}, "somewhere.else"])
def test_a_child_is_pinned_as_data(data: Any) -> None:
    pinned = SagaDefinition("trip", (child("c", "Trip", data=data, deadline=HOUR),))
    assert SagaDefinition.from_document(pinned.document()) == pinned
    assert pinned.digest != SagaDefinition("trip", (child("c", "Other", data=data, deadline=HOUR),)).digest


# Waiting for it


def test_a_child_under_way_is_waited_for_with_nothing_due() -> None:
    story = begun()
    assert (story["c"].waiting, story["c"].scheduled, story["c"].due_at) == (Waiting.REPLY, False, None)
    assert story.progress.waiting is not None
    assert story.progress.waiting["until"] is None
    assert story.tell(m.Completed(story.number("c"))) == ["StepCompleted c", "StepDispatched b"]


def test_a_child_whose_time_is_up_is_looked_at_again_and_that_costs_no_attempt() -> None:
    story = begun(deadline=HOUR)
    left = story["c"].budget - story["c"].attempt
    number = story.number("c")
    assert story.tell(m.TimeUp(number)) == ["StepRescheduled c"]
    assert (story["c"].budget - story["c"].attempt, story.number("c")) == (left, number)
    assert story.tell(m.Later(number, None)) == ["ReplyAwaited c"]
    assert story.tell(m.Rejected(number, "too late"))[:2] == ["StepFailed c", "SagaCompensating"]


def test_an_undo_is_looked_at_again_as_well() -> None:
    story = begun()
    story.tell(m.Compensate("enough"))
    number = story.number("c")
    assert story.tell(m.Later(number, 5.0)) == ["ReplyAwaited c"]
    assert story.tell(m.TimeUp(number)) == ["UndoRescheduled c"]
    assert story.tell(m.Completed(number)) == ["StepCompensated c", "UndoDispatched a"]


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        (m.Retry("c"), "c waits for its child saga; there is nothing to retry meanwhile."),
        (m.Skip("c"), "c's child saga is under way; roll that back, and the step is rejected."),
        (m.Resolve("c", Verdict.NONE), "c's child saga is under way; roll that back"),
    ],
)
def test_no_verb_loses_a_child(verb: m.Verb, reason: str) -> None:
    refuses(begun(), verb, reason)


def test_a_step_may_be_settled_as_done_and_owes_its_undo() -> None:
    story = begun()
    assert story.tell(m.Resolve("c", Verdict.DONE, {})) == ["StepCompleted c", "StepDispatched b"]
    assert "UndoDispatched c" in story.tell(m.Compensate())


# Undoing it


def test_a_rollback_does_not_wait_for_a_child_but_tells_it() -> None:
    assert begun().tell(m.Compensate("enough")) == [
        "SagaCompensating",
        "StepOutcomeUnknown c",
        "UndoDispatched c",
    ]


def test_a_child_that_may_stand_is_left_alone() -> None:
    events = begun(compensation=None).tell(m.Compensate())
    assert events[2:4] == ["StepLeftStanding c", "UndoDispatched a"]


def test_a_child_that_is_not_to_be_undone_asks_and_is_not_waited_for() -> None:
    story = begun(compensation=CANNOT_UNDO)
    story.tell(m.Compensate())
    assert (story["c"].attention, story["c"].waiting) == (Attention.CANNOT_UNDO, None)


def test_a_child_that_cannot_be_undone_asks_with_the_reason_and_may_be_tried_again() -> None:
    story = begun()
    story.tell(m.Compensate())
    number = story.number("c")
    assert story.tell(m.Unserved(number, "its pivot is passed", Attention.CANNOT_UNDO)) == ["UndoHeld c"]
    assert (story["c"].attention, story["c"].error) == (Attention.CANNOT_UNDO, "its pivot is passed")
    assert story.tell(m.Retry("c")) == ["UndoRescheduled c"]
    story.tell(m.Unserved(number, "its pivot is passed", Attention.CANNOT_UNDO))
    assert story.tell(m.Completed(number)) == ["StepCompensated c", "UndoDispatched a"]


@pytest.mark.parametrize(
    ("verdict", "event"), [(Verdict.DONE, "StepCompensated c"), (Verdict.WAIVED, "StepLeftStanding c")]
)
def test_a_child_that_cannot_be_undone_is_settled_as_an_undo(verdict: Verdict, event: str) -> None:
    story = begun()
    story.tell(m.Compensate())
    story.tell(m.Unserved(story.number("c"), "its pivot is passed", Attention.CANNOT_UNDO))
    assert story.tell(m.Resolve("c", verdict)) == [event, "UndoDispatched a"]


def test_what_undoes_a_childs_child_may_be_settled_on_its_way_forward() -> None:
    """In a saga that undoes another one, undoing a child is an action."""
    story = Story(SagaStep("c", "sagas.UndoChild", hold=True, undoes="key"))
    story.tell(m.Unserved(story.number("c"), "its pivot is passed", Attention.CANNOT_UNDO))
    assert story["c"].attention is Attention.CANNOT_UNDO
    assert story.tell(m.Resolve("c", Verdict.DONE)) == ["StepCompleted c", "SagaCompleted"]


# What undoes a saga that is completed


def completed(definition: SagaDefinition) -> Progress:
    """Return where a saga stands that has done everything."""
    done = {
        name: StepProgress(name, StepStatus.COMPLETED, generation=1, result={"by": name})
        for name in definition.names
    }
    return Progress(done, SagaState.COMPLETED)


@given(definitions(graphs(compensations=(UNDO, UNDO, None), pivots=False)))
def test_each_effect_is_undone_behind_all_that_stands_on_it(definition: SagaDefinition) -> None:
    saga_id = uuid7()
    undoing = reverse(definition, completed(definition), saga_id)
    owed = {step.name for step in definition.steps if step.compensation}
    assert obstacle(definition, completed(definition)) is None
    assert set(undoing.names if undoing else ()) == owed
    for name in owed:
        assert undoing is not None
        step = undoing.step(name)
        assert (step.action, step.undoes) == (UNDO, f"{saga_id}:{name}:do:1")
        above = {other for other in owed if name in definition.ancestors(other)}
        assert undoing.ancestors(name) == above
        assert step.input is not None
        assert step.input["original_result"] == {"by": name}
        assert step.input["results"].keys() == definition.ancestors(name)


@given(definitions(graphs(compensations=(UNDO, None, CANNOT_UNDO))))
def test_what_cannot_be_undone_is_found_before_anything_is(definition: SagaDefinition) -> None:
    final = [step.name for step in definition.steps if step.compensation == CANNOT_UNDO]
    reason = obstacle(definition, completed(definition))
    if definition.pivot is not None:
        assert reason == f"its point of no return, {definition.pivot.name}, is passed"
    else:
        assert bool(reason) == bool(final)


def test_what_was_skipped_or_let_stand_is_not_undone() -> None:
    definition = SagaDefinition("trip", (step("a"), step("b"), step("c")))
    progress = completed(definition)
    steps = {
        **progress.steps,
        "a": progress.steps["a"]._replace(standing=True),
        "b": progress.steps["b"]._replace(status=StepStatus.SKIPPED),
    }
    undoing = reverse(definition, progress._replace(steps=steps), uuid7())
    assert undoing is not None
    assert undoing.names == ("c",)


def test_what_stands_on_a_step_by_very_many_ways_is_found_once() -> None:
    """Two branches, joined, forty times over: a million million ways, and a hundred and twenty steps on them."""
    steps = [step("join-0")]
    for n in range(40):
        branches = [SagaStep(f"{side}-{n}", "Tell", needs=(f"join-{n}",)) for side in ("left", "right")]
        undo = UNDO if n == 39 else None
        steps += [*branches, SagaStep(f"join-{n + 1}", "Do", undo, needs=(f"left-{n}", f"right-{n}"))]
    definition = SagaDefinition("lattice", tuple(steps))
    undoing = reverse(definition, completed(definition), uuid7())
    assert undoing is not None
    assert undoing.step("join-0").needs == ("join-40",)
