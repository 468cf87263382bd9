"""A queue that is paused: nothing on it is begun, in any process, until an operator resumes it."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from sagas import health, jobs, orchestrator
from sagas.clock import database_now
from sagas.engine import Pump, Resident, claims, hold_unserved, pauses
from sagas.models import Due, OperatorAction, PausedQueue, Process, Saga, Step
from sagas.orchestrator import pausing
from sagas.orchestrator.pausing import QueueAnswer
from sagas.signals import committed
from tests.sagas import shop
from tests.sagas.conftest import QUEUES
from tests.sagas.running import assert_rows_are_the_fold, at_once, rest, run

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[..., orchestrator.Asked]


def pause(asked: Ask, queue: str = "pay", **more: Any) -> QueueAnswer:
    return orchestrator.act_on_queue(queue, "pause", asked(**more))


def resume(asked: Ask, queue: str = "pay", per_second: float | None = None, **more: Any) -> Any:
    return orchestrator.act_on_queue(queue, "resume", asked(**more), per_second)


def then(first: Callable[[], Any], behave: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Do something first, and then what a service does."""

    def behaves(sent: Any) -> Any:
        first()
        return behave(sent)

    return behaves


@pytest.fixture
def at_once_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have workers ask each time."""
    monkeypatch.setattr(pauses, "BELIEVED", 0)


def why(saga: Saga) -> str:
    saga.refresh_from_db()
    return str(orchestrator.snapshot(saga)["why"]["text"])


def test_nothing_on_it_is_begun_until_it_is_resumed(
    errand: Any, pump: Pump, world: shop.World, asked: Ask
) -> None:
    pause(asked)
    saga = errand()
    run(pump)
    assert world.names == ["FetchService.Fetch"], "its step was not taken on with the reply of the one before"
    assert Due.objects.get().attempt == 1
    resume(asked)
    assert rest(Pump(QUEUES, "another"), saga).state == "completed"
    assert world.count["PayService.Pay"] == 1
    assert_rows_are_the_fold(saga)


def test_an_undo_waits_as_an_action_does(
    errand: Any, pump: Pump, world: shop.World, asked: Ask, at_once_heard: None
) -> None:
    world.behaviour["PostService.Post"] = then(lambda: pause(asked, "fetch"), shop.reject())
    saga = errand()
    run(pump)
    saga.refresh_from_db()
    assert saga.state == "compensating"
    assert world.names[-1] == "PayService.Refund"
    resume(asked, "fetch")
    assert rest(pump, saga).state == "failed"
    assert world.count["FetchService.Return"] == 1


def test_what_was_read_is_believed_for_a_moment_and_no_longer(
    errand: Any, pump: Pump, world: shop.World, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(pump)  # which reads that none is
    pause(asked, "fetch")
    saga = errand()
    monkeypatch.setattr(pauses, "BELIEVED", 0)
    run(pump)
    assert world.names == []
    monkeypatch.setattr(pauses, "BELIEVED", 3600)
    resume(asked, "fetch")
    assert rest(pump, saga).state == "completed", "who has heard of a pause asks each time whether it is over"


def test_it_is_heard_of_in_the_middle_of_a_saga(
    errand: Any, pump: Pump, world: shop.World, asked: Ask, at_once_heard: None
) -> None:
    world.behaviour["FetchService.Fetch"] = lambda _: pause(asked).queue
    errand()
    run(pump)
    assert world.names == ["FetchService.Fetch"]


def test_what_runs_goes_on_and_its_reply_is_taken(
    errand: Any, pump: Pump, world: shop.World, asked: Ask
) -> None:
    world.behaviour["PayService.Pay"] = lambda _: pause(asked).queue
    assert rest(pump, errand()).state == "completed"


def test_other_queues_go_on(errand: Any, pump: Pump, world: shop.World, asked: Ask) -> None:
    pause(asked, "post")
    errand(branches=True, join=())
    run(pump)
    assert sorted(world.names) == ["FetchService.Fetch", "PayService.Pay"]


def test_a_lost_lease_is_tried_again_once_it_is_resumed(
    errand: Any, pump: Pump, world: shop.World, asked: Ask
) -> None:
    saga = errand()
    assert claims.claim(["fetch"], 1, "dead")
    pause(asked, "fetch")
    Due.objects.update(lease_until=database_now() - timedelta(seconds=1))
    claims.reap()
    Due.objects.update(due_at=database_now())
    run(pump)
    assert world.names == []
    resume(asked, "fetch")
    assert rest(Pump(QUEUES, "another"), saga).state == "completed"


def test_a_saga_says_whose_pause_it_waits_for(errand: Any, pump: Pump, asked: Ask) -> None:
    pause(asked, reason="their database moves.")
    saga = errand()
    run(pump)
    told = why(saga)
    assert "PayService.Pay of pay has been due since" in told
    assert "olga has paused its queue, pay, at 2" in told
    assert told.endswith("their database moves. Nothing on it is begun until it is resumed.")
    step = orchestrator.snapshot(saga)["steps"][1]
    assert step["queue_paused"]["operator"] == "olga"
    resume(asked)
    assert "on queue pay. No worker" in why(saga)


def test_one_that_asks_for_a_person_says_so_as_well(errand: Any, asked: Ask) -> None:
    saga = errand(hold=True, branches=True, join=())
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    pause(asked)
    assert "It is held for your decision" in why(saga)
    assert "olga has paused its queue, pay" in why(saga)


def test_so_does_one_that_is_to_be_tried_again(
    errand: Any, pump: Pump, world: shop.World, asked: Ask, at_once_heard: None
) -> None:
    saga = errand()
    world.behaviour["FetchService.Fetch"] = then(lambda: pause(asked, "fetch"), shop.fail())
    run(pump)
    Step.objects.filter(name="fetch").update(due_at=database_now() + timedelta(minutes=1))
    assert "attempt 2 of 3 begins at" in why(saga)
    assert "But olga has paused its queue, fetch" in why(saga)


def test_a_verb_says_before_that_what_it_leads_to_waits(errand: Any, pump: Pump, asked: Ask) -> None:
    saga = errand(hold=True)
    orchestrator.step_failed(saga.pk, "fetch", "sold out")
    pause(asked, "fetch")
    plan = orchestrator.preview(saga.pk, "retry", asked(step="fetch"))
    told = "is called when its queue, fetch, which an operator has paused, is resumed, for fetch, under a new key"
    assert told in plan.sentences[0]
    assert [(call["command"], call["queue_paused"]) for call in (*plan.calls, *plan.then)] == [
        ("FetchService.Fetch", True),
        ("PayService.Pay", False),
        ("PostService.Post", False),
    ]
    resume(asked, "fetch")
    plan = orchestrator.preview(saga.pk, "retry", asked(step="fetch"))
    assert plan.sentences[0].startswith("FetchService.Fetch is called for fetch")


def test_nobody_asks_for_attention_for_what_waits_there(errand: Any, asked: Ask, settings: Any) -> None:
    settings.SAGAS = {**settings.SAGAS, "UNSERVED": 0.001}
    errand()
    Due.objects.update(queue="nowhere", due_at=database_now() - timedelta(hours=1))
    pause(asked, "nowhere")
    assert hold_unserved() == 0
    resume(asked, "nowhere")
    settings.SAGAS = {**settings.SAGAS, "UNSERVED": 60}
    assert hold_unserved() == 0, "its workers have as long to come back as ever"
    OperatorAction.objects.update(at=database_now() - timedelta(hours=1))
    assert hold_unserved() == 1


def test_the_clock_rings_for_it_no_more(errand: Any, asked: Ask) -> None:
    errand()
    assert jobs.ring_for_due() == 1
    pause(asked, "fetch")
    assert jobs.ring_for_due() == 0


def test_what_waits_there_is_no_alarm(errand: Any, asked: Ask) -> None:
    errand()
    assert health.health()["queues_unserved"] == ["fetch"]
    pause(asked, "fetch")
    found = health.health()
    assert (found["queues_unserved"], found["oldest_due_seconds"]) == ([], None)
    assert [each.queue for each in found["queues_paused"]] == ["fetch"]


def test_whoever_serves_it_is_called_when_it_is_resumed(asked: Ask) -> None:
    called: list[set[str]] = []

    def hear(queues: set[str], **_: Any) -> None:
        called.append(queues)

    pause(asked)
    committed.connect(hear)
    try:
        resume(asked)
    finally:
        committed.disconnect(hear)
    assert called == [{"pay"}]


def test_a_saga_that_is_called_leaves_that_step_to_the_workers(world: shop.World, asked: Ask) -> None:
    pause(asked)
    here = Resident(QUEUES)
    assert here.lease("fetch", timezone.now(), 10) is not None
    assert here.lease("pay", timezone.now(), 10) is None


# --- slowly


@pytest.fixture
def waiting(errand: Any, asked: Ask) -> list[Saga]:
    """Four sagas that are due on a queue that is paused, the longest due first."""
    pause(asked, "fetch")
    sagas = [errand() for _ in range(4)]
    for place, saga in enumerate(reversed(sagas)):
        due = database_now() - timedelta(minutes=1 + place)
        Due.objects.filter(saga=saga).update(due_at=due)
        Step.objects.filter(saga=saga, name="fetch").update(due_at=due)
    return sagas


def test_slowly_what_is_due_comes_one_after_the_other(waiting: list[Saga], asked: Ask) -> None:
    later = database_now() + timedelta(hours=1)
    Due.objects.filter(saga=waiting[3]).update(due_at=later)
    Step.objects.filter(saga=waiting[3], name="fetch").update(due_at=later)
    resume(asked, "fetch", per_second=0.5)
    turns = [Due.objects.get(saga=saga).due_at for saga in waiting]
    between = [(b - a).total_seconds() for a, b in pairwise(turns)]
    assert between[:2] == [2.0, 2.0]
    assert between[2] > 3000, "what comes later by itself stays where it is"
    assert "on queue fetch its turn comes at" in why(waiting[2])


def test_of_many_as_of_few(
    errand: Any, asked: Ask, monkeypatch: pytest.MonkeyPatch, waiting: list[Saga]
) -> None:
    monkeypatch.setattr(pausing, "CHUNK", 3)
    resume(asked, "fetch", per_second=0.01)
    turns = [Due.objects.get(saga=saga).due_at for saga in waiting]
    assert all(50 < (b - a).total_seconds() <= 100 for a, b in pairwise(turns))


def test_a_saga_that_came_late_runs_to_its_end(
    waiting: list[Saga], asked: Ask, pump: Pump, world: shop.World
) -> None:
    resume(asked, "fetch", per_second=0.01)
    run(pump)
    assert world.count["FetchService.Fetch"] == 1
    for saga in waiting:
        assert rest(pump, saga).state == "completed"
        assert_rows_are_the_fold(saga)


def test_a_pace_that_was_a_mistake_is_taken_back(waiting: list[Saga], asked: Ask) -> None:
    by_then = database_now()
    resume(asked, "fetch", per_second=0.01)
    pause(asked, "fetch")
    text = " ".join(orchestrator.preview_queue("fetch", "resume", asked()).sentences)
    assert "the longest due first: 4 now" in text
    assert "3 calls are still put off by who resumed it slowly before" in text
    resume(asked, "fetch", per_second=1)
    turns = [Due.objects.get(saga=saga).due_at for saga in waiting]
    assert [round((b - a).total_seconds(), 2) for a, b in pairwise(turns)] == [1, 1, 1], "in their old order"
    pause(asked, "fetch")
    resume(asked, "fetch")
    assert all(Due.objects.get(saga=saga).due_at < database_now() for saga in waiting)
    assert Due.objects.get(saga=waiting[3]).due_at < by_then, "it is due when it was"


def test_what_is_to_be_tried_later_stays_later(errand: Any, asked: Ask) -> None:
    errand()
    later = database_now() + timedelta(minutes=5)
    Due.objects.update(due_at=later)
    Step.objects.filter(name="fetch").update(due_at=later)
    pause(asked, "fetch")
    resume(asked, "fetch", per_second=1)
    assert Due.objects.get().due_at == later


@pytest.mark.parametrize("pace", [0, -1, 0.001, 1001, float("inf"), float("nan")])
def test_a_pace_that_is_none_is_refused(waiting: list[Saga], asked: Ask, pace: float) -> None:
    with pytest.raises(orchestrator.Invalid, match=r"per_second: must be from 0.01 to 1000"):
        resume(asked, "fetch", per_second=pace)
    assert PausedQueue.names() == {"fetch"}


def test_a_queue_is_not_paused_slowly(asked: Ask) -> None:
    with pytest.raises(orchestrator.Invalid, match="is not taken by pause"):
        orchestrator.act_on_queue("pay", "pause", asked(), 5)


# --- who, and why


def test_it_is_told_in_the_audit_trail(asked: Ask) -> None:
    pause(asked, reason="their database moves")
    resume(asked, per_second=5, reason="it has moved")
    last, first = OperatorAction.objects.all()
    assert (first.verb, first.request, first.reason) == (
        "pause_queue",
        {"queue": "pay"},
        "their database moves",
    )
    assert (last.verb, last.request) == ("resume_queue", {"queue": "pay", "per_second": 5})
    assert {(each.saga_id, each.operator_name, each.via) for each in (first, last)} == {
        (None, "olga", "desk")
    }
    assert first.answer["queue"]["paused"]["reason"] == "their database moves"
    assert last.answer["queue"]["paused"] is None


def test_the_same_action_again_gives_the_same_answer(asked: Ask) -> None:
    first = pause(asked, action_id="a")
    again = pause(asked, action_id="a")
    assert (again.repeated, again.queue) == (True, first.queue)
    resume(asked)
    assert pause(asked, action_id="a").repeated, "it was done, and is not done again"
    assert not PausedQueue.objects.exists()
    with pytest.raises(orchestrator.Invalid, match="already used, to pause queue pay"):
        pause(asked, "fetch", action_id="a")


def test_who_comes_second_is_told_who_was_first(asked: Ask) -> None:
    pause(asked, reason="their database moves")
    with pytest.raises(
        orchestrator.Refused, match=r"paused already: olga paused it at 2.* UTC: their database moves"
    ):
        pause(asked)
    resume(asked)
    with pytest.raises(orchestrator.Refused, match="pay is not paused"):
        resume(asked)


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_the_same_action_by_two_doors_at_once_is_done_once(
    asked: Ask, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    if verb == "resume":
        pause(asked)
    stored = pausing._stored
    monkeypatch.setattr(pausing, "_stored", lambda *_: None)
    first = orchestrator.act_on_queue("pay", verb, asked(action_id="a"))
    late = iter([None])  # it had not been recorded when the second one looked
    monkeypatch.setattr(pausing, "_stored", lambda *told: next(late, stored(*told)))
    again = orchestrator.act_on_queue("pay", verb, asked(action_id="a"))
    assert (again.repeated, again.queue) == (True, first.queue)


def test_a_pause_can_be_ended_though_nobody_knows_the_queue_any_more(errand: Any, asked: Ask) -> None:
    errand()
    Due.objects.update(queue="nowhere")
    pause(asked, "nowhere")
    Due.objects.all().delete()
    assert resume(asked, "nowhere").queue["paused"] is None
    assert not PausedQueue.objects.exists()


def test_in_the_same_moment_as_well(asked: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    look = pausing.queue_named
    seen = look("pay")
    pause(asked, reason="their database moves")
    stale = iter([seen])
    monkeypatch.setattr(pausing, "queue_named", lambda name: next(stale, None) or look(name))
    with pytest.raises(orchestrator.Refused, match="paused already: olga"):
        pause(asked)
    was = look("pay")
    resume(asked)
    monkeypatch.setattr(pausing, "queue_named", lambda _: was)
    with pytest.raises(orchestrator.Refused, match="somebody resumed it in this moment"):
        resume(asked)


def test_another_pause_than_was_seen_stays(asked: Ask) -> None:
    number = pause(asked).queue["paused"]["number"]
    resume(asked)
    pause(asked, reason="again")
    with pytest.raises(
        orchestrator.Refused, match=r"another pause than you saw: olga paused it at .*: again"
    ):
        resume(asked, version=number)
    assert resume(asked, version=PausedQueue.objects.get().pk).queue["paused"] is None


def test_it_has_a_permission_of_its_own(asked: Ask) -> None:
    otto = get_user_model().objects.create_user("otto")
    otto.user_permissions.set(Permission.objects.filter(codename__in=["view_saga", "pause_saga"]))
    with pytest.raises(orchestrator.Forbidden, match=r"it needs the permission sagas.pause_queue"):
        pause(asked, operator=otto)
    otto.user_permissions.add(Permission.objects.get(codename="pause_queue"))
    assert pause(asked, operator=get_user_model().objects.get(pk=otto.pk)).verb == "pause"
    with pytest.raises(orchestrator.Forbidden, match="Nobody is logged in"):
        pause(asked, operator=None)


@pytest.mark.parametrize(
    ("queue", "verb", "more", "told"),
    [
        ("pay", "pause", {"reason": " "}, "reason: is required"),
        ("pay", "pause", {"reason": "x" * 2001}, "reason: must be at most 2000"),
        ("pay", "pause", {"reason": "a\0"}, "reason: cannot be stored"),
        ("pay", "pause", {"action_id": ""}, "action_id: must be a text"),
        ("pay", "pause", {"version": 1}, "pause: is not taken by pause"),
        ("pay", "skip", {}, "'skip' is not for queues; there are pause, resume"),
        ("paie", "pause", {}, r"no queue 'paie'; there are .*fetch.*pay"),
        ("waits", "pause", {}, "waits is no participant's"),
    ],
)
def test_what_is_asked_wrongly_is_refused(
    asked: Ask, world: shop.World, queue: str, verb: str, more: Any, told: str
) -> None:
    with pytest.raises((orchestrator.OrchestratorError, orchestrator.Refused), match=told):
        orchestrator.act_on_queue(queue, verb, asked(**more))
    assert not PausedQueue.objects.exists()
    assert not OperatorAction.objects.exists()


# --- what is said before


def test_a_pause_says_what_it_will_do(errand: Any, asked: Ask) -> None:
    for _ in range(3):
        errand()
    claims.claim(["fetch"], 1, "busy")
    Due.objects.filter(saga=errand().pk).update(due_at=database_now() + timedelta(hours=1))
    plan = orchestrator.preview_queue("fetch", "pause", asked(reason=""))
    text = " ".join(plan.sentences)
    assert (
        "no worker begins anything on fetch any more, until it is resumed: no action, no undo, no probe"
        in text
    )
    assert "no probe of FetchService." in text
    assert "1 call is under way: that goes on" in text
    assert "2 calls are due there now, and 1 that would come later" in text
    assert "Deadlines and timers go on" in text
    assert "a step whose own deadline passes while it waits here is tried once" in text
    assert not PausedQueue.objects.exists()
    assert "hooks and subscribers hear later" in " ".join(
        orchestrator.preview_queue("events", "pause", asked()).sentences
    )


def test_so_does_resuming_it(waiting: list[Saga], asked: Ask) -> None:
    Due.objects.filter(saga=waiting[0]).update(paused=True)
    text = " ".join(orchestrator.preview_queue("fetch", "resume", asked()).sentences)
    assert "the longest due first: 3 now" in text
    assert "1 call is of sagas that are paused themselves: that stays so" in text
    assert "No worker serves it at the moment" in text
    text = " ".join(orchestrator.preview_queue("fetch", "resume", asked(), 0.5).sentences)
    assert "0.5 a second, the longest due first: 3 now, the last of them after 4 s" in text
    assert PausedQueue.names() == {"fetch"}


# --- how queues stand


def test_queues_say_how_they_stand(
    waiting: list[Saga], asked: Ask, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now()
    told = {"kind": Process.WORKER, "pid": 1, "started_at": now, "seen_at": now}
    Process.objects.create(name="w", queues=["fetch", "far"], commands=["FarService.Go"], **told)
    with django_assert_max_num_queries(4):
        found = {queue.name: queue.document() for queue in orchestrator.queues()}
    assert found["fetch"]["due"] == 4
    assert found["fetch"]["workers"] == ["w"]
    assert found["fetch"]["paused"]["operator"] == "olga"
    assert found["far"]["commands"] == ["FarService.Go"]
    assert "PayService.Refund" in found["pay"]["commands"]
    assert found["pay"]["oldest_due_at"] is None


def test_however_much_is_decided_at_once(
    errand: Any, asked: Ask, pump: Pump, world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once(pump, monkeypatch)
    pause(asked, "post")
    sagas = [errand() for _ in range(10)]
    run(pump)
    assert world.count["PayService.Pay"] == 10
    assert world.count["PostService.Post"] == 0
    resume(asked, "post")
    assert {rest(Pump(QUEUES, "another"), saga).state for saga in sagas} == {"completed"}
