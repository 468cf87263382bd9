"""Notices go out at least once, together, and a channel that fails costs the others nothing."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from sagas.alerts import channels, failing, tell, telling, try_out
from sagas.models import Alert, Notice
from tests.sagas.alerts import listening
from tests.sagas.alerts.conftest import Time
from tests.sagas.alerts.listening import LISTEN, texts

pytestmark = pytest.mark.django_db(transaction=True)


def notice(time: Time, number: int = 1, channel: str = "pager", **more: Any) -> Notice:
    alert = Alert.objects.create(
        key=f"key {number}",
        kind="behind",
        about={"queue": "pay"},
        title=f"matter {number}",
        hint="do something",
        opened_at=time.now,
    )
    values = {"what": Notice.BEGUN, "number": 1, "made_at": time.now, "due_at": time.now, **more}
    return Notice.objects.create(alert=alert, channel=channel, **values)


def test_what_is_due_on_a_channel_is_one_message(told: Any, time: Time) -> None:
    for number in range(telling.TOGETHER + 3):
        notice(time, number)
    tell()
    assert len(told) == 1
    assert told[0]["text"].count("\n") == telling.TOGETHER - 1
    tell()
    assert [len(message["alerts"]) for message in told] == [telling.TOGETHER, 3]
    tell()
    assert len(told) == 2


def test_a_channel_that_fails_is_tried_again_later_and_later(told: Any, time: Time) -> None:
    listening.faults.append(RuntimeError("no signal"))
    made = notice(time)
    waits = []
    for attempt in range(1, 9):
        tell()
        made.refresh_from_db()
        assert made.attempt == attempt
        waits.append((made.due_at - time.now).total_seconds())
        time.now = made.due_at
    assert all(
        0.5 * longest <= wait <= longest
        for wait, longest in zip(waits, [10, 20, 40, 80, 160, 300, 300, 300], strict=True)
    )
    assert failing() == ["pager"]
    listening.faults.clear()
    tell()
    assert len(texts()) == 1
    assert failing() == []


def test_a_channel_that_failed_for_good_is_failing_until_it_takes_something(told: Any, time: Time) -> None:
    listening.faults.append(RuntimeError("no signal"))
    notice(time, 1, attempt=5, made_at=time.now - timedelta(hours=25), error="no signal")
    tell()
    assert Notice.objects.get().given_up
    assert failing() == ["pager"]
    listening.faults.clear()
    notice(time, 2)
    tell()
    assert failing() == []


def test_a_trial_that_it_takes_ends_it_and_what_waits_goes_out(told: Any, time: Time) -> None:
    late = time.now + timedelta(minutes=5)
    notice(time, 1, attempt=5, error="no signal", due_at=late)
    notice(time, 2, attempt=5, error="no signal", given_up=True)
    assert failing() == ["pager"]
    try_out("pager")
    assert failing() == []
    tell()
    assert [alert["title"] for alert in told[-1]["alerts"]] == ["matter 1"]


def test_a_channel_that_is_set_up_no_more_is_not_failing(told: Any, time: Time) -> None:
    notice(time, 1, channel="gone", attempt=5, error="no signal")
    assert failing() == []


def test_what_failed_together_is_tried_together(told: Any, time: Time) -> None:
    listening.faults.append(RuntimeError("no signal"))
    for number in range(20):
        notice(time, number, attempt=number % 3)
    tell()
    assert Notice.objects.values("due_at").distinct().count() == 1
    listening.faults.clear()
    time.passes(300)
    tell()
    assert len(told) == 1


def _tell_whatever_is_due(time: Time, minutes: int) -> None:
    for _ in range(minutes * 6):
        tell()
        time.passes(10)


def test_one_that_is_always_refused_keeps_no_other_back(told: Any, time: Time) -> None:
    listening.refused.add("matter 7")
    for number in range(20):
        notice(time, number)
    _tell_whatever_is_due(time, 5)
    assert not told, "as long as nothing is taken at all, it may be the channel"
    time.now = Notice.objects.latest("due_at").due_at  # it comes together with those
    notice(time, 20)
    _tell_whatever_is_due(time, 60)
    taken = [alert["title"] for message in told for alert in message["alerts"]]
    assert sorted(taken) == sorted(f"matter {number}" for number in range(21) if number != 7)
    notice(time, 21)
    tell()
    assert [alert["title"] for alert in told[-1]["alerts"]] == ["matter 21"], "what is new goes first"
    assert Notice.objects.get(sent_at=None).alert.title == "matter 7"


def test_what_a_channel_that_was_down_takes_again_is_one_message(told: Any, time: Time) -> None:
    notice(time, 99)
    tell()
    time.passes(1)
    listening.faults.append(RuntimeError("no signal"))
    for number in range(20):
        notice(time, number)
    _tell_whatever_is_due(time, 30)
    listening.faults.clear()
    _tell_whatever_is_due(time, 6)
    assert [len(message["alerts"]) for message in told] == [1, 20]


def test_who_sends_holds_it_for_longer_than_a_channel_takes() -> None:
    assert telling.HELD.total_seconds() > 4 * channels.PATIENCE
    assert telling.HELD.total_seconds() > telling.PATIENCE


def test_what_a_channel_says_of_its_own_mistakes_is_noted(told: Any, time: Time, settings: Any) -> None:
    settings.ROOT_URLCONF = "a.module.that.is.nowhere"
    made = notice(time)
    tell()
    made.refresh_from_db()
    assert made.sent_at is not None, "it is told without a link"
    assert told[0]["alerts"][0]["url"] is None


def test_a_thread_that_hangs_for_an_hour_keeps_nobody_from_trying_another(
    told: Any, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    calls = []
    monkeypatch.setattr(listening, "listen", lambda message: calls.append(message) or ended.wait(30))
    monkeypatch.setattr(telling, "PATIENCE", 0.05)
    monkeypatch.setattr(telling, "FORGOTTEN", 0.0)
    notice(time)
    threads = []
    for _ in range(2):
        tell()
        threads.append(telling._sending["pager"][0])
        time.passes(3600)
    assert len(calls) == 2
    ended.set()
    for thread in threads:  # or it says in the middle of another test what came of its message
        thread.join(30)


def test_after_a_day_it_is_given_up(told: Any, time: Time) -> None:
    listening.faults.append(RuntimeError("no signal"))
    made = notice(time, made_at=time.now - timedelta(hours=23))
    tell()
    time.passes(7200)
    tell()
    made.refresh_from_db()
    assert (made.given_up, made.attempt) == (True, 1)
    listening.faults.clear()
    time.passes(3600)
    tell()
    assert not told


def test_who_dies_before_it_is_noted_has_it_told_twice_and_never_not_at_all(told: Any, time: Time) -> None:
    notice(time)
    assert telling._claim("pager")
    tell()
    assert not told  # it may be on its way
    time.passes(telling.HELD.total_seconds())
    tell()
    assert len(told) == 1


def test_two_that_tell_at_once_share_the_notices(told: Any, time: Time) -> None:
    notice(time)
    assert len(telling._claim("pager")) == 1
    assert telling._claim("pager") == []


def test_one_that_was_taken_meanwhile_is_left_to_who_took_it(told: Any, time: Time) -> None:
    held = [notice(time)]
    Notice.objects.update(attempt=2)  # another has it by now
    telling._put_off(held, "too slow")
    assert Notice.objects.get().error == ""


def test_a_failing_channel_costs_the_others_nothing(told: Any, time: Time, settings: Any) -> None:
    chat = {"webhook": "http://127.0.0.1:1/", "private": True}
    settings.SAGAS = {"ALERTS": {"chat": chat, "pager": {"call": LISTEN}}}
    notice(time, 1, "chat")
    notice(time, 2)
    tell()
    assert len(texts()) == 1
    assert "nobody listens at 127.0.0.1" in Notice.objects.get(channel="chat").error


def test_a_channel_that_hangs_is_left_behind(
    told: Any, time: Time, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    ended = threading.Event()
    calls = []
    monkeypatch.setattr(listening, "listen", lambda message: calls.append(message) or ended.wait(30))
    monkeypatch.setattr(telling, "PATIENCE", 0.05)
    both = {"pager": {"call": LISTEN}, "other": {"call": f"{listening.__name__}.hear"}}
    settings.SAGAS = {"ALERTS": both}
    made, other = notice(time), notice(time, 2, "other")
    tell()
    assert telling.sending()
    telling._sending["other"][0].join(30)
    made.refresh_from_db()
    other.refresh_from_db()
    assert made.error == "no answer within 0.05 s; it may yet come"
    assert other.sent_at is not None
    time.passes(3600)
    third = notice(time, 3)
    for attempt in (1, 2, 3):
        tell()  # by no second thread
        third.refresh_from_db()
        assert third.attempt == attempt
        time.passes(telling.HELD.total_seconds())
    assert len(calls) == 1
    assert failing() == ["pager"], "that it hangs is said"
    ended.set()
    telling._sending["pager"][0].join(30)
    made.refresh_from_db()
    assert made.sent_at is not None, "it took it in the end, and is not told again"
    assert not telling.sending()


def test_a_channel_that_only_another_version_knows_is_left_to_it(told: Any, time: Time) -> None:
    made = notice(time, channel="other")
    tell()
    made.refresh_from_db()
    assert (made.attempt, made.given_up) == (0, False)
