"""The two tables are the whole law: every state, every status, every event."""

from itertools import product
from typing import get_args

import pytest

from sagas.core import events as e
from sagas.core.definition import SagaDefinition
from sagas.core.events import EVENT_TYPES
from sagas.core.machine import (
    LATE_EFFECTS,
    STEP_TRANSITIONS,
    TRANSITIONS,
    IllegalTransition,
    evolve,
    fold,
    next_state,
    next_status,
)
from sagas.core.progress import Progress, StepProgress
from sagas.core.words import FORWARD, TERMINAL, URGENCY, Attention, SagaState, StepStatus

from .examples import make
from .story import NOON, Story, step

EVENTS = list(EVENT_TYPES.values())
STEP_EVENTS = list(get_args(e.StepEvent))
#: A status in which the step allows the event, for each step event.
ALLOWING: dict[type[e.Event], StepStatus] = {
    event: status for status, event in reversed(list(STEP_TRANSITIONS))
}


def progress(state: SagaState, status: StepStatus = StepStatus.PENDING) -> Progress:
    blank = Progress.blank(SagaDefinition("trip", (step("a"), step("b"))))
    return blank._replace(
        state=state, version=3, sequence=9, steps={**blank.steps, "a": StepProgress("a", status)}
    )


@pytest.mark.parametrize(("state", "event"), list(product(SagaState, EVENTS)))
def test_the_table_of_states_is_the_whole_law(state: SagaState, event: type[e.Event]) -> None:
    late = event in LATE_EFFECTS and state in TERMINAL
    expected = state if late else TRANSITIONS.get((state, event))
    before = progress(state, ALLOWING.get(event, StepStatus.PENDING))
    copy = before._replace()
    if expected:
        after = evolve(before, make(event, version=4))
        assert after.state is expected is next_state(state, event)
        assert (after.version, after.sequence, after.updated_at) == (4, 10, NOON)
    else:
        with pytest.raises(
            IllegalTransition, match=f"{event.__name__} cannot happen to a saga that is {state}"
        ):
            evolve(before, make(event, version=4))
    assert before == copy


@pytest.mark.parametrize(("status", "event"), list(product(StepStatus, STEP_EVENTS)))
def test_the_table_of_statuses_is_the_whole_law(status: StepStatus, event: type[e.StepEvent]) -> None:
    expected = STEP_TRANSITIONS.get((status, event))
    state = next(
        state for state, allowed in TRANSITIONS if allowed is event and state is not SagaState.STARTED
    )
    before = progress(state, status)
    copy = before._replace()
    if expected:
        after = evolve(before, make(event))
        assert after.steps["a"].status is expected is next_status(status, event)
        assert after.steps["b"] is before.steps["b"]
    else:
        with pytest.raises(
            IllegalTransition, match=f"{event.__name__} cannot happen to a step that is {status}"
        ):
            evolve(before, make(event))
    assert before == copy


def test_a_finished_saga_has_no_way_out() -> None:
    assert not {state for state, _ in TRANSITIONS} & TERMINAL
    assert {TRANSITIONS[key] for key in TRANSITIONS} == {*SagaState}
    assert {*SagaState} == TERMINAL | FORWARD | {SagaState.COMPENSATING}


def test_every_event_can_happen() -> None:
    assert {event for _, event in TRANSITIONS} == {*EVENTS}
    assert {event for _, event in STEP_TRANSITIONS} == {*STEP_EVENTS}


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        (SagaState.STARTED, e.StepDispatched, SagaState.PENDING),
        (SagaState.STARTED, e.DeliveryDispatched, SagaState.PENDING),
        (SagaState.STARTED, e.FunctionDispatched, SagaState.PENDING),
        (SagaState.STARTED, e.SagaCompensating, SagaState.COMPENSATING),
        (SagaState.PENDING, e.SagaCompensating, SagaState.COMPENSATING),
        (SagaState.PENDING, e.SagaCompleted, SagaState.COMPLETED),
        (SagaState.COMPENSATING, e.SagaFailed, SagaState.FAILED),
    ],
)
def test_these_events_alone_move_a_saga(state: SagaState, event: type[e.Event], after: SagaState) -> None:
    assert TRANSITIONS[state, event] is after
    moving = {key for key, target in TRANSITIONS.items() if target is not key[0]}
    assert (state, event) in moving
    assert len(moving) == 8  # and the skip of a step of a saga that has dispatched nothing


def test_a_saga_shows_the_most_urgent_attention_of_its_steps() -> None:
    assert [*URGENCY] == [*Attention]
    before = progress(SagaState.PENDING)
    assert before.attention is None
    for urgent, calm in product(Attention, Attention):
        steps = {"a": StepProgress("a", attention=calm), "b": StepProgress("b", attention=urgent)}
        assert before._replace(steps=steps).attention is max(urgent, calm, key=[*Attention].index)


def test_late_effects_wait_until_something_can_have_had_an_effect() -> None:
    for event in LATE_EFFECTS:
        with pytest.raises(IllegalTransition):
            next_state(SagaState.STARTED, event)


def test_a_saga_starts_once() -> None:
    story = Story(step("a"))
    with pytest.raises(IllegalTransition):
        fold(story.progress, [make(e.SagaStarted)])


def test_nothing_is_left_of_a_closed_command() -> None:
    story = Story(step("a"), step("b"))
    story.lost("a")
    story.done("a", result={"id": 7})
    kept = story["a"]._asdict()
    assert {
        name: kept[name] for name in ("open", "scheduled", "due_at", "attention", "unresolved", "input")
    } == {
        **dict.fromkeys(("open", "due_at", "attention", "input")),
        "scheduled": False,
        "unresolved": False,
    }
    assert (kept["result"], kept["executed_at"], kept["error"]) == ({"id": 7}, NOON, None)
