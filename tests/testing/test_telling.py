"""A trace tells what happened, and what happens again and again only once."""

from datetime import timedelta

from sagas.testing.play import Line
from sagas.testing.telling import told


def line(minute: int, what: str, became: str = "", **more: bool) -> Line:
    return Line(timedelta(minutes=minute), "charge", what, became, **more)


def round_of(minute: int) -> list[Line]:
    return [
        line(minute, "an operator: retry"),
        line(minute, "Refund", "failed: no"),
        line(minute, "Refund", "failed: no"),
        line(minute + 1, "a person is asked"),
    ]


def test_what_goes_round_and_round_is_told_once_with_its_count() -> None:
    lines = [line(0, "Charge", "completed"), *(each for n in range(10) for each in round_of(n))]
    assert list(told([*lines, line(20, "an operator: retry")])) == [
        "     0:00  charge  Charge              completed",
        "     0:00  charge  an operator: retry",
        "     0:00  charge  Refund              failed: no  (× 2)",
        "     1:00  charge  a person is asked",
        "    10:00  … and so on: these 3 lines 10 times in all",
        "    20:00  charge  an operator: retry",
    ]


def test_what_happens_twice_or_otherwise_is_told_as_it_was() -> None:
    twice = [*round_of(0), *round_of(5)]
    assert len(list(told(twice))) == 6
    otherwise = [*round_of(0), *round_of(1), *round_of(2)[:2], line(3, "Refund", "completed")]
    assert not any("and so on" in each for each in told(otherwise))


def test_what_went_wrong_on_purpose_is_told_each_time() -> None:
    marked = [line(n, what, marked=True) for n in range(5) for what in ("Charge", "Refund")]
    assert len(list(told(marked))) == 10


def test_a_call_that_changed_something_is_told_each_time() -> None:
    lines = [line(n, what) for n in range(5) for what in ("Charge", "Refund")]
    for each in lines:
        each.notes.append("+ Refund 1")
    assert len(list(told(lines))) == 20
