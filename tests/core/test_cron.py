"""Which moments an expression names, when clocks are put forward and back, too."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagas.core import cron
from sagas.core.cron import Cron, InvalidExpression

BERLIN = ZoneInfo("Europe/Berlin")


def ticks(expression: str, after: str, count: int) -> list[str]:
    schedule, at, found = Cron(expression, BERLIN), datetime.fromisoformat(after).replace(tzinfo=BERLIN), []
    for _ in range(count):
        at = schedule.next(at)
        found.append(at.astimezone(BERLIN).strftime("%d %H:%M %Z"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("0 3 * * *", "2026-01-01T03:00", ["02 03:00 CET", "03 03:00 CET"]),
        ("0 9 * * MON-FRI", "2026-01-02T12:00", ["05 09:00 CET", "06 09:00 CET"]),
        ("0 0 29 2 *", "2026-01-01T00:00", ["29 00:00 CET"]),
        # 29 March: from 02:00 to 03:00 there is nothing
        ("30 2 * * *", "2026-03-28T12:00", ["29 03:00 CEST", "30 02:30 CEST"]),
        ("*/30 * * * *", "2026-03-29T01:15", ["29 01:30 CET", "29 03:00 CEST"]),
        # 25 October: from 02:00 to 03:00 comes twice
        ("30 2 * * *", "2026-10-24T12:00", ["25 02:30 CEST", "26 02:30 CET"]),
        ("0 * * * *", "2026-10-25T01:30", ["25 02:00 CEST", "25 02:00 CET", "25 03:00 CET"]),
    ],
)
def test_ticks(expression: str, after: str, expected: list[str]) -> None:
    assert ticks(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    "wrong", ["", "* * * *", "* * * * * *", "@daily", "61 * * * *", "0 0 30 2 *", "0 3 * * FOO", 5]
)
def test_what_names_no_moments_is_refused_with_what_would_be_right(wrong: str) -> None:
    with pytest.raises(InvalidExpression, match='"0 3 \\* \\* \\*" is every day at three'):
        Cron(wrong, BERLIN)


#: Two moments around one of the changes of the clocks.
SPANS = st.sampled_from([datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC)]).flatmap(
    lambda start: st.tuples(*[st.integers(0, 3 * 86_400).map(lambda s: start + timedelta(seconds=s))] * 2)
)
EXPRESSIONS = st.sampled_from(
    ["30 2 * * *", "0,30 1-3 * * *", "*/15 * * * *", "15 */2 * * *", "0 3 * * *", "*/20 2 * * *"]
)


@given(EXPRESSIONS, SPANS)
def test_the_latest_tick_is_the_last_of_those_that_come_one_after_the_other(
    expression: str, span: tuple[datetime, datetime]
) -> None:
    after, until = sorted(span)
    schedule, at, found = Cron(expression, BERLIN), after, []
    while (at := schedule.next(at)) <= until:
        assert not found or at > found[-1]
        found.append(at)
    assert schedule.latest(after, until) == (found[-1] if found else None)
    if found:
        assert schedule.missed(after, found[-1]) == len(found) - 1


def test_years_without_a_clock_cost_little() -> None:
    every_minute = Cron("* * * * *", BERLIN)
    after, until = datetime(2000, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
    assert every_minute.latest(after, until) == until.replace(second=0)
    assert every_minute.missed(after, until) == cron.COUNTED
