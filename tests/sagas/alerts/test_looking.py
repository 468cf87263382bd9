"""What asks for a person becomes an alert, is told, told again, and is over."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sagas.alerts import look, looking, tell
from sagas.models import Alert, Batch, Due, Notice, Process, Saga
from sagas.orchestrator import Asked, Course, act_on_alert, act_on_batch, batch_plan, start_batch
from tests.sagas.alerts.conftest import Time
from tests.sagas.alerts.listening import faults, texts

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("alive")]

Stuck = Callable[..., Saga]
TITLE = "pay of Errand: held for a decision"


def look_and_tell() -> None:
    look()
    tell()


def the_alert() -> Alert:
    return Alert.objects.get(resolved_at=None)


def test_where_all_is_well_there_is_nothing(told: Any, time: Time) -> None:
    look_and_tell()
    assert not Alert.objects.exists()
    assert not told


def test_sagas_that_need_a_person_for_one_reason_are_one_alert(told: Any, time: Time, stuck: Stuck) -> None:
    stuck()
    look()
    stuck()
    look()
    alert = the_alert()
    assert (alert.kind, alert.title, alert.count) == ("attention", TITLE, 2)
    assert alert.about == {"attention": "held", "type": "Errand", "step": "pay"}
    assert alert.hint == "retry, skip or roll back"


def test_it_is_told_once_it_has_been_there_for_a_while(told: Any, time: Time, stuck: Stuck) -> None:
    stuck()
    look_and_tell()
    time.passes(29)
    look_and_tell()
    assert not told
    stuck()
    time.passes(1)
    look_and_tell()
    look_and_tell()
    [text] = texts()
    assert text.startswith(f"{TITLE} (2), since ")
    assert text.endswith("; retry, skip or roll back")
    assert told[0]["alerts"][0]["what"] == "begun"
    assert told[0]["text"].endswith("https://desk.example/sagas/?attention=held&step=pay&type=Errand")


def test_what_is_over_before_it_was_told_never_is(
    told: Any, time: Time, stuck: Stuck, mend: Callable[[Saga], None]
) -> None:
    saga = stuck()
    look_and_tell()
    mend(saga)
    look_and_tell()
    time.passes(300)
    look_and_tell()
    assert Alert.objects.get().resolved_at == time.now
    assert not told


@pytest.mark.parametrize(("again", "times"), [(600, 3), (0, 1)])
def test_it_is_told_again_as_long_as_it_is_there(
    told: Any, time: Time, stuck: Stuck, settings: Any, again: float, times: int
) -> None:
    settings.SAGAS = {**settings.SAGAS, "ALERT_AGAIN": again}
    stuck()
    for _ in range(22):
        look_and_tell()
        time.passes(60)
    assert len(texts()) == times
    assert all(text.startswith("Still: ") for text in texts()[1:])


def test_it_is_over_once_it_has_been_gone_for_a_while(
    told: Any, time: Time, stuck: Stuck, mend: Callable[[Saga], None]
) -> None:
    saga = stuck()
    look_and_tell()
    time.passes(30)
    look_and_tell()
    mend(saga)
    look_and_tell()
    assert the_alert().gone_at == time.now
    time.passes(299)
    look_and_tell()
    assert the_alert()
    time.passes(1)
    look_and_tell()
    assert Alert.objects.get().resolved_at == time.now
    assert texts()[1].startswith(f"Over: {TITLE}")


def test_what_comes_back_at_once_was_never_gone(
    told: Any, time: Time, stuck: Stuck, mend: Callable[[Saga], None]
) -> None:
    mend(stuck())
    saga = stuck()
    look()
    mend(saga)
    look()
    stuck()
    time.passes(290)
    look()
    time.passes(20)
    look()
    assert the_alert().gone_at is None


def test_what_comes_back_later_is_another_one_and_says_so(
    told: Any, time: Time, stuck: Stuck, mend: Callable[[Saga], None]
) -> None:
    saga = stuck()
    look_and_tell()
    mend(saga)
    look_and_tell()
    time.passes(300)
    look_and_tell()
    stuck()
    look_and_tell()
    time.passes(30)
    look_and_tell()
    assert Alert.objects.count() == 2
    assert the_alert().earlier == 1
    assert "; 2 times within a day; " in texts()[-1]


def test_who_only_hears_of_new_ones_hears_no_end(
    told: Any, time: Time, stuck: Stuck, settings: Any, mend: Callable[[Saga], None]
) -> None:
    channels = settings.SAGAS["ALERTS"]
    settings.SAGAS = {
        **settings.SAGAS,
        "ALERT_AFTER": 0,
        "ALERTS": {"pager": {**channels["pager"], "over": False}},
    }
    saga = stuck()
    look_and_tell()
    mend(saga)
    look_and_tell()
    time.passes(300)
    look_and_tell()
    assert len(texts()) == 1
    assert not Alert.objects.filter(resolved_at=None).exists()


def test_a_channel_hears_of_the_kinds_that_it_asks_for(
    told: Any, time: Time, stuck: Stuck, settings: Any
) -> None:
    pager = settings.SAGAS["ALERTS"]["pager"]
    settings.SAGAS = {"ALERT_AFTER": 0, "ALERTS": {"pager": {**pager, "kinds": ["clock"]}}}
    Process.objects.filter(kind=Process.CLOCK).delete()
    stuck()
    look_and_tell()
    assert Alert.objects.count() == 2
    assert [text.partition(":")[0] for text in texts()] == ["No clock is alive"]


def test_nothing_that_a_saga_carries_is_told(told: Any, time: Time, errand: Any, stuck: Stuck) -> None:
    stuck(customer="Ms Doe")
    look_and_tell()
    time.passes(30)
    look_and_tell()
    document = json.dumps(told)
    assert "4000-1234" not in document
    assert "Doe" not in document


def test_who_is_on_it_is_not_told_again(told: Any, time: Time, stuck: Stuck, asked: Any) -> None:
    stuck()
    look_and_tell()
    time.passes(30)
    look_and_tell()
    act_on_alert(the_alert().pk, "take", asked())
    for _ in range(50):
        time.passes(3600)
        look_and_tell()
    assert len(texts()) == 1
    assert the_alert().taken_name == "olga"


def test_who_took_it_for_an_hour_has_it_for_an_hour(told: Any, time: Time, stuck: Stuck, asked: Any) -> None:
    stuck()
    look_and_tell()
    time.passes(30)
    look_and_tell()
    act_on_alert(the_alert().pk, "take", asked(), hours=1)
    time.passes(3500)
    look_and_tell()
    assert the_alert().taken_name == "olga"
    time.passes(200)
    look_and_tell()
    look_and_tell()
    assert (the_alert().taken_name, the_alert().taken_at, the_alert().version) == ("", None, 2)
    assert texts()[1].startswith("Still: ")


def test_without_workers_there_is_one_alert_and_not_one_for_each_queue(
    told: Any, time: Time, errand: Any
) -> None:
    errand()
    Process.objects.filter(kind=Process.WORKER).delete()
    Due.objects.update(due_at=time.now - timedelta(seconds=100))
    look()
    assert [alert.kind for alert in Alert.objects.all()] == ["workers"]


def test_a_queue_that_nobody_serves_and_one_that_is_behind(told: Any, time: Time, errand: Any) -> None:
    errand()
    Due.objects.update(due_at=time.now - timedelta(seconds=50))
    look()
    assert not Alert.objects.exists()
    Due.objects.update(due_at=time.now - timedelta(seconds=70))
    look()
    assert (the_alert().kind, the_alert().about) == ("behind", {"queue": "fetch"})
    Process.objects.filter(kind=Process.WORKER).update(queues=["pay"])
    look()
    assert {alert.kind for alert in Alert.objects.filter(gone_at=None)} == {"unserved"}


def test_a_batch_that_pauses_itself_is_one_and_one_that_a_person_paused_is_none(
    told: Any, time: Time, stuck: Stuck, asked: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))
    stuck()
    batch = start_batch("retry", Saga.objects.at_attention(), asked(), Course(), filters={}).batch
    act_on_batch(batch.pk, "pause", asked())
    look()
    assert the_alert().kind == "attention"
    Batch.objects.update(note="Too many went wrong.")
    look()
    found = Alert.objects.get(kind="batch")
    assert (found.about, found.title) == ({"batch": batch.pk}, f"Batch {batch.pk} has paused itself")


def test_a_channel_that_takes_nothing_is_told_by_the_others(
    told: Any, time: Time, stuck: Stuck, settings: Any
) -> None:
    pager = settings.SAGAS["ALERTS"]["pager"]
    other = {"webhook": "http://127.0.0.1:1/", "private": True}
    settings.SAGAS = {"ALERT_AFTER": 0, "ALERTS": {"chat": other, "pager": pager}}
    stuck()
    for _ in range(5):
        look_and_tell()
        time.passes(60)
    assert any(text.startswith("The channel chat does not take what it is told") for text in texts())


def test_somebody_else_may_look_in_the_same_moment(
    told: Any, time: Time, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck()
    seen = looking.conditions()

    def meanwhile() -> Any:
        if not Alert.objects.exists():
            monkeypatch.setattr(looking, "conditions", lambda: seen)
            look()
        return seen

    rows = Alert.objects.filter(resolved_at=None)
    monkeypatch.setattr(looking, "conditions", meanwhile)
    look()
    assert rows.count() == 1
    # And who has read it as untold, while another has it told, has it told no second time.
    time.passes(30)
    before = the_alert()
    look()
    looking._have_told(before, 1, time.now)
    assert Notice.objects.count() == 1


def test_an_alert_that_was_opened_meanwhile_is_no_fault(
    told: Any, time: Time, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck()
    [condition] = looking.conditions().found
    assert looking._open(condition, time.now)
    assert looking._open(condition, time.now) == {}
    assert Alert.objects.count() == 1


def test_more_that_asks_costs_no_more_queries_to_find(told: Any, time: Time, stuck: Stuck) -> None:
    stuck()
    look()
    with CaptureQueriesContext(connection) as one:
        look()
    stuck(branches=True)
    Process.objects.filter(kind=Process.CLOCK).delete()
    look()
    with CaptureQueriesContext(connection) as more:
        look()
    assert len(more) == len(one)


def test_a_fault_of_a_channel_leaves_the_alert_as_it_is(
    told: Any, time: Time, stuck: Stuck, settings: Any
) -> None:
    settings.SAGAS = {**settings.SAGAS, "ALERT_AFTER": 0}
    faults.append(RuntimeError("no signal"))
    stuck()
    look_and_tell()
    notice = Notice.objects.get()
    assert (notice.attempt, notice.error, notice.sent_at) == (1, "RuntimeError: no signal", None)
    faults.clear()
    time.passes(10)
    look_and_tell()
    assert len(texts()) == 1
