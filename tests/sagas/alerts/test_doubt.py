"""What is not seen need not be gone, what flickers is one matter, and what was not told is told yet."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from sagas import health
from sagas.alerts import conditions, look, looking, tell, telling
from sagas.clock import database_now
from sagas.core.words import AlertKind
from sagas.models import Alert, Batch, Due, Notice, PausedQueue, Process, Saga
from sagas.orchestrator import Course, act_on_alert, act_on_batch, batch_plan, needing, start_batch
from tests.sagas import functions, shop
from tests.sagas.alerts.conftest import Time
from tests.sagas.alerts.listening import LISTEN, faults, texts
from tests.sagas.running import run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("alive")]

Stuck = Callable[..., Saga]


def look_and_tell() -> None:
    look()
    tell()


@pytest.fixture
def at_once(told: Any, settings: Any) -> None:
    settings.SAGAS = {**settings.SAGAS, "ALERT_AFTER": 0}


def gone(kind: AlertKind) -> bool:
    return Alert.objects.get(kind=kind).gone_at is not None


def undeliverable(saga: Saga, due_at: Any) -> None:
    Due.objects.create(
        kind=Due.DELIVERY, saga=saga, queue="events", name="hook", event="ErrandCompleted", attempt=5,
        error="broke", due_at=due_at,
    )  # fmt: skip


@pytest.mark.usefixtures("at_once")
class TestDeliveries:
    """Of which only those are seen that are to be tried later."""

    def test_what_keeps_failing_is_one(self, time: Time, stuck: Stuck) -> None:
        undeliverable(stuck(), time.now + timedelta(minutes=3))
        look()
        alert = Alert.objects.get(kind="undelivered")
        assert alert.about == {"called": "Errand.on_saga_completed"}
        assert alert.title == "Deliveries to Errand.on_saga_completed keep failing"
        Due.objects.filter(kind=Due.DELIVERY).delete()
        look()
        assert gone(AlertKind.UNDELIVERED)

    def test_what_is_due_and_not_tried_may_fail_yet(self, time: Time, stuck: Stuck) -> None:
        undeliverable(stuck(), time.now + timedelta(minutes=3))
        look()
        Due.objects.filter(kind=Due.DELIVERY).update(due_at=time.now - timedelta(seconds=70))
        look()
        assert not gone(AlertKind.UNDELIVERED)

    def test_on_a_paused_queue_it_may_fail_yet(self, time: Time, stuck: Stuck) -> None:
        undeliverable(stuck(), time.now + timedelta(minutes=3))
        look()
        PausedQueue.objects.create(queue="events", since=time.now, operator_name="olga", reason="x")
        Due.objects.filter(kind=Due.DELIVERY).update(due_at=time.now - timedelta(seconds=30))
        look()
        assert not gone(AlertKind.UNDELIVERED)


@pytest.mark.usefixtures("at_once")
def test_that_all_workers_die_does_not_mean_that_they_keep_up(time: Time, errand: Any) -> None:
    errand()
    Due.objects.update(due_at=time.now - timedelta(seconds=70))
    look()
    Process.objects.filter(kind=Process.WORKER).delete()
    look()
    assert not gone(AlertKind.BEHIND)
    assert not gone(AlertKind.WORKERS)


@pytest.mark.usefixtures("at_once")
def test_a_group_that_there_are_too_many_others_to_see_is_not_gone(
    time: Time, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck()
    look()
    monkeypatch.setattr(needing, "GROUPED", 0)
    monkeypatch.setattr("sagas.orchestrator.GROUPED", 0)
    look()
    assert not gone(AlertKind.ATTENTION)


@pytest.mark.usefixtures("at_once")
def test_what_cannot_be_looked_for_is_not_gone_and_no_others_affair(
    time: Time, stuck: Stuck, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck()
    look_and_tell()
    monkeypatch.setattr("sagas.orchestrator.attention_groups", lambda: 1 / 0)
    Process.objects.filter(kind=Process.CLOCK).delete()
    look_and_tell()
    assert not gone(AlertKind.ATTENTION)
    assert texts()[-1].startswith("No clock is alive: retries, timers, deadlines and batches wait, since ")


@pytest.mark.usefixtures("at_once")
def test_one_stuck_saga_is_seen_beside_hundreds_of_a_functions_names(
    time: Time, stuck: Stuck, world: shop.World, pump: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needing, "GROUPED", 4)
    monkeypatch.setattr("sagas.orchestrator.GROUPED", 4)
    world.behaviour["PayService.Pay"] = shop.reject("no")
    with functions.doing(lambda saga, data: functions.pay(saga, f"card {data['card']}")):
        for card in range(5):
            functions.held_errands.start({"item": "book", "card": card})
        run(pump)
    stuck()
    look()
    assert {alert.about["type"]: alert.count for alert in Alert.objects.all()} == {
        "HeldErrands": 5,
        "Errand": 1,
    }


@pytest.mark.usefixtures("at_once")
def test_time_in_which_nobody_could_see_does_not_count_as_gone(time: Time, errand: Any) -> None:
    errand()
    Due.objects.update(due_at=time.now - timedelta(seconds=70))
    look()
    Due.objects.update(due_at=time.now + timedelta(hours=5))
    look()
    assert gone(AlertKind.BEHIND)
    workers = list(Process.objects.filter(kind=Process.WORKER))
    Process.objects.filter(kind=Process.WORKER).delete()
    look()
    time.passes(600)
    look()
    Process.objects.bulk_create(workers)
    look()
    assert Alert.objects.get(kind="behind").resolved_at is None


def test_a_second_moment_of_it_wakes_nobody(told: Any, time: Time) -> None:
    workers = list(Process.objects.filter(kind=Process.WORKER))
    for _ in range(4):
        Process.objects.filter(kind=Process.WORKER).delete()
        look_and_tell()
        time.passes(5)
        Process.objects.bulk_create(workers)
        look_and_tell()
        time.passes(60)
    assert texts() == []


@pytest.mark.usefixtures("at_once")
def test_the_clock_set_back_makes_nothing_over(
    time: Time, stuck: Stuck, mend: Callable[[Saga], None]
) -> None:
    saga = stuck()
    look()
    mend(saga)
    look()
    time.passes(-7200)
    look()
    look()
    assert Alert.objects.get().resolved_at is None


def test_who_took_it_before_anybody_was_told_hears_of_ten_times_as_many(
    told: Any, time: Time, stuck: Stuck, asked: Any
) -> None:
    stuck()
    look_and_tell()
    act_on_alert(Alert.objects.get().pk, "take", asked())
    for _ in range(9):
        stuck()
    look_and_tell()
    [text] = texts()
    assert "(10)" in text


@pytest.mark.usefixtures("at_once")
def test_what_is_on_its_way_does_not_stand_for_what_came_since(time: Time, stuck: Stuck) -> None:
    stuck()
    look()
    assert telling._claim("pager")  # and is being sent at this moment
    for _ in range(9):
        stuck()
    look_and_tell()
    [text] = texts()
    assert "(10)" in text


@pytest.mark.usefixtures("at_once")
def test_a_batch_that_waits_and_is_paused_by_a_person_did_not_pause_itself(
    time: Time, stuck: Stuck, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_plan, "SETTLED", timedelta(0))
    stuck()
    batch = start_batch("retry", Saga.objects.at_attention(), asked(), Course(), filters={}).batch
    Batch.objects.update(note="Its next saga cannot be acted on at the moment.")
    act_on_batch(batch.pk, "pause", asked())
    look()
    assert not Alert.objects.filter(kind="batch").exists()


def test_a_worker_that_keeps_dying_is_one_matter_and_told_once(told: Any, time: Time) -> None:
    workers = list(Process.objects.filter(kind=Process.WORKER))
    for _ in range(40):
        Process.objects.filter(kind=Process.WORKER).delete()
        for _ in range(5):
            look_and_tell()
            time.passes(5)
        Process.objects.bulk_create(workers)
        for _ in range(4):
            look_and_tell()
            time.passes(5)
    assert Alert.objects.count() == 1
    assert len(texts()) == 1


def test_without_a_channel_nobody_was_told_and_who_comes_later_is(
    told: Any, time: Time, stuck: Stuck, settings: Any
) -> None:
    ours = settings.SAGAS
    settings.SAGAS = {}
    stuck()
    for _ in range(3):
        look_and_tell()
        time.passes(3600)
    assert Alert.objects.get().told == 0
    settings.SAGAS = ours
    look_and_tell()
    [text] = texts()
    assert text.startswith("pay of Errand")


@pytest.mark.usefixtures("at_once")
def test_who_has_not_heard_the_last_is_not_told_a_second_time(
    time: Time, stuck: Stuck, settings: Any
) -> None:
    faults.append(RuntimeError("no signal"))
    stuck()
    for _ in range(12):
        look_and_tell()
        time.passes(3600)
    assert Notice.objects.filter(alert__kind="attention").count() == 1
    faults.clear()
    look_and_tell()
    assert [text for text in texts() if text.startswith("Still")] == []


@pytest.mark.usefixtures("at_once")
def test_ten_times_as_many_are_told_again_even_to_who_is_on_it(time: Time, stuck: Stuck, asked: Any) -> None:
    stuck()
    look_and_tell()
    act_on_alert(Alert.objects.get().pk, "take", asked())
    for _ in range(9):
        stuck()
    look_and_tell()
    look_and_tell()
    assert len(texts()) == 2
    assert "(10)" in texts()[1]
    assert "olga is on it" in texts()[1]
    assert Alert.objects.get().taken_name == "olga"


@pytest.mark.usefixtures("at_once")
def test_taking_it_withdraws_what_is_not_told_yet(time: Time, stuck: Stuck, asked: Any) -> None:
    faults.append(RuntimeError("no signal"))
    stuck()
    look_and_tell()
    act_on_alert(Alert.objects.get().pk, "take", asked())
    faults.clear()
    time.passes(3600)
    look_and_tell()
    assert texts() == []


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("leave", ["deactivated", "deleted"])
def test_who_is_gone_is_not_on_it_any_more(time: Time, stuck: Stuck, asked: Any, leave: str) -> None:
    mia = get_user_model().objects.create_user("mia")
    mia.user_permissions.add(Permission.objects.get(codename="take_alert"))
    mia = get_user_model().objects.get(pk=mia.pk)
    stuck()
    look_and_tell()
    act_on_alert(Alert.objects.get().pk, "take", asked(operator=mia))
    look_and_tell()
    assert Alert.objects.get().taken_name == "mia"
    if leave == "deleted":
        mia.delete()
    else:
        get_user_model().objects.filter(pk=mia.pk).update(is_active=False)
    look_and_tell()
    look_and_tell()
    assert Alert.objects.get().taken_name == ""
    assert texts()[-1].startswith("Still: ")


@pytest.mark.usefixtures("at_once")
def test_whoever_has_the_shell_stays_on_it(time: Time, stuck: Stuck, asked: Any) -> None:
    stuck()
    look_and_tell()
    act_on_alert(Alert.objects.get().pk, "take", asked(operator=None, via="command"))
    time.passes(7200)
    look_and_tell()
    assert Alert.objects.get().taken_name.startswith("shell")
    assert len(texts()) == 1


def test_when_the_clock_was_set_back_it_is_told_all_the_same(told: Any, time: Time, stuck: Stuck) -> None:
    stuck()
    look_and_tell()
    time.passes(-7200)
    look_and_tell()
    assert len(texts()) == 1


@pytest.mark.usefixtures("at_once")
def test_what_is_put_off_until_after_the_clock_was_set_back_goes_out(time: Time, stuck: Stuck) -> None:
    faults.append(RuntimeError("no signal"))
    stuck()
    look_and_tell()
    faults.clear()
    time.passes(-7200)
    look_and_tell()
    assert len(texts()) == 1


@pytest.mark.usefixtures("at_once")
def test_one_that_another_has_seen_back_is_not_over(time: Time, stuck: Stuck) -> None:
    stuck()
    look()
    Alert.objects.update(gone_at=time.now - timedelta(minutes=6))
    stale = Alert.objects.get()
    Alert.objects.update(gone_at=None)
    looking._gone(stale, time.now)
    assert Alert.objects.get().resolved_at is None


@pytest.mark.usefixtures("at_once")
def test_names_that_a_function_made_as_it_ran_are_not_told(
    time: Time, world: shop.World, pump: Any, settings: Any
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject("no")

    def body(saga: Any, data: Any) -> Any:
        return functions.pay(saga, f"refund card {data['card']}")

    with functions.doing(body):
        for card in ("4111-0001", "4111-0002"):
            functions.held_errands.start({"item": "book", "card": card})
        run(pump)
    assert Saga.objects.at_attention().count() == 2
    look_and_tell()
    alert = Alert.objects.get()
    assert (alert.title, alert.count) == ("HeldErrands: held for a decision", 2)
    assert alert.about == {"attention": "held", "type": "HeldErrands"}
    assert "4111" not in texts()[0]


def test_what_the_setting_says_is_long(told: Any, time: Time, errand: Any, settings: Any) -> None:
    settings.SAGAS = {**settings.SAGAS, "BEHIND": 10}
    errand()
    Due.objects.update(due_at=database_now() - timedelta(seconds=15))
    assert [found.kind for found in conditions.conditions().found] == ["behind"]


@pytest.mark.usefixtures("at_once")
def test_that_redis_is_away_is_one(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_redis", lambda: {"full": False, "redis": False})
    look_and_tell()
    assert texts()[0].startswith("Redis does not answer")


def test_a_function_that_is_asynchronous_is_awaited(
    told: Any, time: Time, stuck: Stuck, settings: Any
) -> None:
    settings.SAGAS = {"ALERT_AFTER": 0, "ALERTS": {"pager": {"call": f"{LISTEN}_later"}}}
    stuck()
    look_and_tell()
    assert len(texts()) == 1
