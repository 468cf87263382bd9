"""What a definition refuses, what its graph answers, and how it is pinned as data."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core.built_in import child
from sagas.core.definition import (
    ACTION_RETRY,
    CANNOT_UNDO,
    UNDO_RETRY,
    InvalidDefinition,
    Retry,
    SagaDefinition,
    SagaStep,
)
from sagas.core.problems import problems

from .story import step
from .strategies import definitions

INVALID: dict[str, tuple[list[SagaStep], str]] = {
    "no steps": ([], "it has no steps; define_steps must return at least one SagaStep."),
    "a name twice": ([step("a"), step("b"), step("a")], "step names must be unique; used twice: a."),
    "no name": ([step("")], "a step's name must be a text of 1 to 100 characters, not ''."),
    "a long name": ([step("x" * 101)], "a step's name must be a text of 1 to 100 characters"),
    "a number for a name": ([SagaStep(7, "a.do")], "a text of 1 to 100 characters, not 7."),  # type: ignore[arg-type]
    "no action": ([step("a", action="")], "step a has no action; name the command that it sends."),
    "a function for an action": (
        [step("a", action=print)],
        "step a: action must be a command's name, not a function; register it with @command and name that.",
    ),
    "a function for a compensation": (
        [step("a", compensation=print)],
        "step a: compensation must be a command's name, not a function; register it with @command and name that.",
    ),
    "an empty compensation": (
        [step("a", compensation="")],
        "step a: compensation must be a command's name, None or CANNOT_UNDO.",
    ),
    "no time": (
        [step("a", timeout=0)],
        "step a: timeout must be more than 0 seconds, up to a hundred years, not 0.",
    ),
    "time that is not a number": (
        [step("a", timeout=float("nan"))],
        "timeout must be more than 0 seconds, up to a hundred years, not nan.",
    ),
    "a time without an end": (
        [step("a", timeout=1e300)],
        "timeout must be more than 0 seconds, up to a hundred years, not 1e+300.",
    ),
    "a deadline that is no date": (
        [step("a", deadline=1e300)],
        "deadline must be more than 0 seconds, up to a hundred years, not 1e+300.",
    ),
    "a wait without an end": (
        [step("a", retry=Retry(cap=float("inf")))],
        "factor ≥ 1 and cap ≥ 0, up to a hundred years.",
    ),
    "no attempt": ([step("a", retry=Retry(max_attempts=0))], "step a: retry needs max_attempts ≥ 1"),
    "a number for a retry": ([step("a", retry=3)], "step a: retry must be a Retry(…), not 3."),
    "a number for an undo's retry": (
        [step("a", undo_retry=3)],
        "step a: undo_retry must be a Retry(…), not 3.",
    ),
    "nothing for a probe's retry": (
        [step("a", probe_retry=None)],
        "step a: probe_retry must be a Retry(…), not None.",
    ),
    "a retry of texts": (
        [step("a", retry=Retry(max_attempts="3"))],  # type: ignore[arg-type]
        "step a: retry needs max_attempts ≥ 1",
    ),
    "a wait below 0": ([step("a", undo_retry=Retry(first=-1))], "step a: undo_retry needs max_attempts ≥ 1"),
    "waits that shrink": ([step("a", retry=Retry(factor=0.5))], "step a: retry needs max_attempts ≥ 1"),
    "a cap below 0": ([step("a", retry=Retry(cap=-1))], "step a: retry needs max_attempts ≥ 1"),
    "a child of no type": ([child("a", "")], "step a: a child is named by its saga type, a text of 1 to 100"),
    "a child with a list for data": (
        [child("a", "Trip", data=[])],  # type: ignore[arg-type]
        "step a: data must be an object, or where in the saga's data one stands, not [].",
    ),
    "a child whose data stands nowhere": ([child("a", "Trip", data="")], "one stands, not ''."),
    "a child whose data cannot be stored": (
        [child("a", "Trip", data={"at": timedelta(1)})],
        "step a: data cannot be stored: data.at is a timedelta; write it as text.",
    ),
    "an unknown need": ([step("a", needs=("z",))], "step a needs z, which is not a step of this saga."),
    "a need of itself": ([step("a", needs=("a",))], "its steps need each other in a circle: a → a."),
    "a circle": (
        [step("a", needs=("c",)), step("b", needs=("a",)), step("c", needs=("b",))],
        "its steps need each other in a circle: a → c → b → a.",
    ),
    "two pivots": ([step("a", pivot=True), step("b", pivot=True)], "it has more than one pivot: a, b."),
    "a step beside the pivot": (
        [step("a", pivot=True), step("b", needs=())],
        "step b stands beside the pivot a; it must come before or after it.",
    ),
    "a step behind the pivot that may fail": (
        [step("a", pivot=True), step("b")],
        "step b comes after the pivot a and is not retriable; set retriable=True.",
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_a_definition_that_could_not_run_says_why(case: str) -> None:
    steps, reason = INVALID[case]
    with pytest.raises(InvalidDefinition) as refusal:
        SagaDefinition("trip", tuple(steps))
    assert str(refusal.value).startswith("trip: ")
    assert reason in str(refusal.value)


def test_every_malformed_step_is_told_at_once() -> None:
    fine = SagaDefinition("trip", (step("a"), step("b")))
    object.__setattr__(fine, "steps", (step("a", action=""), step("b", timeout=-1)))
    assert len(list(problems(fine))) == 2


def test_a_step_needs_the_one_before_unless_it_says_otherwise() -> None:
    saga = SagaDefinition(
        "trip", (step("a"), step("b"), step("c", needs=()), step("d"), step("e", needs=("a", "d")))
    )
    assert [saga.needs(name) for name in saga.names] == [(), ("a",), (), ("c",), ("a", "d")]
    assert saga.dependents("a") == ("b", "e")
    assert saga.dependents("e") == ()


def test_a_need_may_be_named_without_a_tuple() -> None:
    assert step("b", needs="abc").needs == ("abc",)
    assert step("b", needs=["a"]).needs == ("a",)


def test_a_step_is_found_by_its_name() -> None:
    saga = SagaDefinition("trip", (step("a"), step("b", pivot=True)))
    assert saga.step("b").action == "b.do"
    assert saga.pivot is saga.step("b")
    with pytest.raises(KeyError):
        saga.step("z")


def test_a_saga_need_not_have_a_pivot() -> None:
    assert SagaDefinition("trip", (step("a"),)).pivot is None


def test_steps_may_be_defined_in_any_order() -> None:
    saga = SagaDefinition("trip", (step("c", needs=("b",)), step("b", needs=("a",)), step("a", needs=())))
    assert saga.names == ("c", "b", "a")
    assert saga.order == ("a", "b", "c")


@given(definitions())
def test_in_order_each_step_comes_behind_all_that_it_needs(saga: SagaDefinition) -> None:
    assert sorted(saga.order) == sorted(saga.names)
    for name in saga.names:
        assert all(saga.order.index(need) < saga.order.index(name) for need in saga.needs(name))
        assert all(name in saga.needs(other) for other in saga.dependents(name))


@given(definitions())
def test_a_definition_survives_being_stored(saga: SagaDefinition) -> None:
    stored = json.loads(json.dumps(saga.document()))
    again = SagaDefinition.from_document(stored)
    assert again == saga
    assert again.digest == saga.digest
    assert again.document() == saga.document()


def test_every_field_survives_being_stored() -> None:
    full = SagaStep(
        "a",
        "a.do",
        CANNOT_UNDO,
        needs=(),
        pivot=True,
        retriable=True,
        hold=True,
        timeout=1.5,
        retry=Retry(1, 2.0, 3.0, 4.0),
        undo_retry=Retry(9, 8.0, 7.0, 6.0),
        input={"nested": {"list": [1, None, "x"]}},
        undoes="saga:a:do:1",
    )
    saga = SagaDefinition("trip", (full,))
    assert SagaDefinition.from_document(json.loads(json.dumps(saga.document()))).step("a") == full


def test_a_document_leaves_defaults_out() -> None:
    saga = SagaDefinition("trip", (SagaStep("a", "a.do"),))
    assert saga.document() == {"saga_type": "trip", "steps": [{"name": "a", "action": "a.do"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"action": "other"},
        {"compensation": None},
        {"needs": ()},
        {"pivot": True},
        {"retriable": True},
        {"hold": True},
        {"timeout": 1.0},
        {"retry": Retry(7)},
        {"undo_retry": Retry(7)},
        {"input": {"a": 1}},
        {"undoes": "key"},
    ],
)
def test_another_definition_has_another_digest(change: dict[str, Any]) -> None:
    first = SagaDefinition("trip", (step("a"), step("b")))
    other = SagaDefinition("trip", (step("a"), step("b", **change)))
    assert first.digest != other.digest
    assert first.digest == SagaDefinition("trip", (step("a"), step("b"))).digest
    assert first.digest != SagaDefinition("tour", (step("a"), step("b"))).digest


def test_a_timeout_may_be_given_as_a_timedelta() -> None:
    assert step("a", timeout=timedelta(minutes=2)).timeout == 120.0
    assert step("a").timeout == 300.0


def test_an_action_has_five_attempts_and_an_undo_ten() -> None:
    assert (ACTION_RETRY.max_attempts, UNDO_RETRY.max_attempts) == (5, 10)
    assert (step("a").retry, step("a").undo_retry) == (ACTION_RETRY, UNDO_RETRY)


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (10_000, 60)])
def test_waits_double_from_a_second_to_a_minute(failures: int, seconds: int) -> None:
    assert Retry().delay(failures, 1.0) == timedelta(seconds=seconds)


@given(st.integers(1, 1_000), st.floats(0, 1))
def test_a_wait_is_drawn_between_nothing_and_its_ceiling(failures: int, jitter: float) -> None:
    assert (
        timedelta()
        <= Retry().delay(failures, jitter)
        <= Retry().delay(failures, 1.0)
        <= timedelta(seconds=60)
    )
    assert Retry().delay(failures, 0.0) == timedelta()


def test_a_long_chain_defined_backwards_is_no_circle() -> None:
    last = 1_500
    steps = [SagaStep(f"s{i}", "a.do", needs=(f"s{i - 1}",) if i else ()) for i in reversed(range(last))]
    assert SagaDefinition("trip", tuple(steps)).order[0] == "s0"


def test_the_hundredth_retry_does_not_overflow() -> None:
    steep = Retry(first=1.0, factor=1e6, cap=60.0)
    assert [steep.delay(n, 1.0).total_seconds() for n in (1, 2, 100, 100_000)] == [1.0, 60.0, 60.0, 60.0]


def test_a_timeout_in_whole_seconds_or_as_a_timedelta_is_the_same_timeout() -> None:
    pins = {
        SagaDefinition("trip", (SagaStep("a", "a.do", timeout=t),)).digest
        for t in (60, 60.0, timedelta(minutes=1))
    }
    assert len(pins) == 1


@pytest.mark.parametrize("timeout", ["60", None, 0, -1, float("nan")])
def test_a_timeout_that_is_none_is_refused(timeout: Any) -> None:
    with pytest.raises(InvalidDefinition, match="timeout must be more than 0 seconds"):
        SagaDefinition("trip", (SagaStep("a", "a.do", timeout=timeout),))
