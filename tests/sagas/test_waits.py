"""Waiting, on real rows: timers, promises and approvals cost nothing meanwhile, and nobody may answer for another."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from sagas import Later, Unavailable, orchestrator, registry, worker
from sagas.clock import database_now
from sagas.core.words import StepStatus
from sagas.engine import Pump, claims, hold_unserved, reap
from sagas.models import Due, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Asked, ledger
from sagas.orchestrator.start import definition_for
from sagas.registry import WAITS_QUEUE
from tests.sagas import waits
from tests.sagas.plans import due_rows_read
from tests.sagas.running import assert_rows_are_the_fold
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = ("filing", "events", WAITS_QUEUE)
Person = Callable[[str], Any]


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    yield
    waits.answers.clear()


@pytest.fixture
def pump() -> Pump:
    """A worker that serves the filing service, and what everybody serves."""
    return Pump(QUEUES, "test-worker")


@pytest.fixture
def person(db: None) -> Person:
    """Make a user who is in the group of the managers, and may answer approvals."""

    def make(name: str, *, manager: bool = True) -> Any:
        user = get_user_model().objects.create_user(name)
        user.user_permissions.add(Permission.objects.get(codename="approve_saga"))
        if manager:
            user.groups.add(Group.objects.get_or_create(name="managers")[0])
        return user

    return make


def begin(*steps: str, start: dict[str, Any] | None = None, **data: Any) -> Saga:
    return waits.Permit().start({"steps": list(steps), "amount": 12, **data}, **start or {})


def run(pump: Pump, saga: Saga) -> Saga:
    pump.run(30)
    saga.refresh_from_db()
    assert_rows_are_the_fold(saga)
    return saga


def time_passes(saga: Saga) -> None:
    """Let what waits be due now."""
    assert Due.objects.filter(saga=saga).update(due_at=Now())


def answer(user: Any, saga: Saga, verb: str = "approve", step: str = "ok", reason: str = "fine") -> Any:
    return orchestrator.act(saga.pk, verb, Asked(operator=user, via="desk", reason=reason, step=step))


# Timers


def test_a_timer_costs_a_row_that_no_claim_takes_until_its_time_is_up(pump: Pump) -> None:
    saga = run(pump, begin("rest", "hand"))
    assert saga.state == "pending"
    assert saga.waiting is not None
    assert (saga.waiting["kind"], saga.waiting["step"]) == ("timer", "rest")
    assert Due.objects.get().queue == WAITS_QUEUE
    time_passes(saga)
    assert run(pump, saga).state == "completed"
    assert saga.waiting is None


@pytest.mark.parametrize("late", [2, 300], ids=["an answer took long", "the clock was set"])
def test_a_timer_is_not_over_before_its_time_whatever_we_take_the_time_for(
    late: int, pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = database_now() + timedelta(seconds=0.2)
    saga = run(pump, begin("until", "hand", contract={"begins": moment.isoformat()}))
    assert saga.state == "pending"
    behind = timedelta(seconds=late)
    monkeypatch.setattr(ledger, "about_now", lambda: database_now() - behind)
    until(lambda: run(pump, saga).state == "completed")
    done = saga.events.get(type="StepCompleted", step="until")
    assert moment <= done.at < moment + behind


def test_a_timer_whose_moment_has_gone_by_goes_on_at_once(pump: Pump) -> None:
    saga = begin("until", "hand", contract={"begins": "2020-01-01T00:00:00Z"})
    assert run(pump, saga).state == "completed"


@pytest.mark.parametrize(
    ("contract", "problem"),
    [
        ({}, "data.contract.begins: is missing; it must be a moment"),
        ({"begins": "soon"}, "data.contract.begins: must be a moment with a time zone"),
        ({"begins": "9999-12-31T23:59:59-12:00"}, "data.contract.begins: must be a moment with a time zone"),
        (
            {"begins": "9000-01-01T00:00:00+00:00"},
            "data.contract.begins: must be a moment before the year 9000",
        ),
        ({"begins": "0001-01-01T00:00:00+12:00"}, "data.contract.begins: must be a moment with a time zone"),
    ],
)
def test_a_start_whose_data_does_not_say_until_when_is_refused(contract: Any, problem: str) -> None:
    with pytest.raises(orchestrator.Invalid, match=f"{problem}.*step until waits until then"):
        begin("until", contract=contract)
    assert not Saga.objects.exists()


def test_the_timer_of_a_paused_saga_acts_when_it_is_resumed(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("rest", "hand"))
    orchestrator.act(saga.pk, "pause", asked())
    time_passes(saga)
    assert run(pump, saga).state == "pending"
    orchestrator.act(saga.pk, "resume", asked())
    assert run(pump, saga).state == "completed"


def test_every_worker_serves_what_waits_whichever_queues_it_is_told_to() -> None:
    assert worker.served_by(["filing"]) == ["filing", WAITS_QUEUE]
    assert worker.served_by([]) == list(registry.queues())


def test_a_worker_that_dies_with_a_wake_in_its_hands_loses_nothing(pump: Pump) -> None:
    saga = run(pump, begin("rest", "hand"))
    time_passes(saga)
    assert claims.claim([WAITS_QUEUE], 5, "doomed")
    Due.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert reap() == 1
    assert run(pump, saga).state == "completed"


def test_rolling_back_withdraws_what_waits(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("file", "rest", "hand"))
    orchestrator.act(saga.pk, "compensate", asked())
    assert run(pump, saga).state == "failed"
    assert not Due.objects.exists()
    assert Step.objects.get(name="rest").status == StepStatus.PENDING


# Replies from outside


def test_a_promise_gives_up_its_lease_and_is_kept_from_outside(pump: Pump) -> None:
    waits.answers["FilingService.File"] = waits.later()
    saga = run(pump, begin("file", "hand"))
    assert saga.waiting is not None
    assert (saga.waiting["kind"], saga.waiting["step"]) == ("reply", "file")
    assert Due.objects.get().lease_token is None
    step, _ = orchestrator.snapshot(saga)["steps"]
    assert step["timeout_at"] == saga.waiting["until"] is not None
    assert waits.Permit().handle_step_completed(saga.pk, "file", {"number": 7})
    assert run(pump, saga).state == "completed"
    assert Step.objects.get(name="file").result == {"number": 7}


def test_a_promise_can_be_broken_from_outside(pump: Pump) -> None:
    waits.answers["FilingService.File"] = waits.later()
    saga = run(pump, begin("file", "hand"))
    assert waits.Permit().handle_step_failed(saga.pk, "file", "illegible")
    assert run(pump, saga).state == "failed"
    assert saga.error == "illegible"


def test_a_promise_that_nobody_keeps_is_tried_again_under_its_key(pump: Pump) -> None:
    keys = waits.promising("FilingService.File")
    saga = run(pump, begin("file", "hand"))
    for _ in range(2):
        time_passes(saga)
        run(pump, saga)
    assert saga.state == "failed"
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert not waits.Permit().handle_step_completed(saga.pk, "file")
    assert LateReply.objects.count() == 1


def test_a_promise_is_answered_by_its_key_however_often_it_is_told(pump: Pump, asked: Any) -> None:
    keys = waits.promising("FilingService.File")
    saga = run(pump, begin("file", "hand", hold=True))
    assert waits.Permit().handle_step_failed(saga.pk, "file", "illegible", key=keys[0])
    orchestrator.act(saga.pk, "retry", asked(step="file"))
    run(pump, saga)
    assert len(set(keys)) == 2
    assert not waits.Permit().handle_step_failed(saga.pk, "file", "illegible", key=keys[0]), "told once more"
    with pytest.raises(orchestrator.Invalid, match="must be that of an action of file"):
        waits.Permit().handle_step_completed(saga.pk, "file", key=keys[0].replace("file", "hand"))
    with pytest.raises(orchestrator.Invalid, match="must be that of an undo of file"):
        waits.Permit().handle_compensation_completed(saga.pk, "file", key=keys[0])
    assert waits.Permit().handle_step_completed(saga.pk, "file", {"number": 7}, key=keys[1])
    assert run(pump, saga).state == "completed"


def test_an_effect_is_found_late_by_a_key_that_its_step_has_forgotten(pump: Pump, asked: Any) -> None:
    keys = waits.promising("FilingService.File")
    saga = run(pump, begin("file", "hand", hold=True))
    assert waits.Permit().handle_step_failed(saga.pk, "file", "illegible")
    orchestrator.act(saga.pk, "retry", asked(step="file"))
    run(pump, saga)
    Step.objects.filter(saga=saga, name="file").update(former=None)  # as a version before left it
    waits.Permit().handle_step_completed(saga.pk, "file", {"number": 7}, key=keys[0])
    assert Step.objects.get(name="file").former == {"2": {"generation": 1, "late": True}}


def test_an_undo_may_promise_too(pump: Pump, asked: Any) -> None:
    waits.answers["FilingService.Withdraw"] = waits.later()
    saga = run(pump, begin("file", "rest"))
    orchestrator.act(saga.pk, "compensate", asked())
    assert run(pump, saga).waiting is not None
    assert waits.Permit().handle_compensation_completed(saga.pk, "file")
    assert run(pump, saga).state == "failed"


@pytest.mark.parametrize("within", [0, -1, True, "soon", float("nan"), float("inf")])
def test_a_promise_says_within_what_time(within: Any) -> None:
    with pytest.raises(ValueError, match="takes a timedelta or seconds, more than 0"):
        Later(within=within)


@pytest.mark.parametrize("wait", [-1, True, "soon", float("nan")])
def test_who_is_unavailable_says_for_how_long(wait: Any) -> None:
    assert Unavailable("busy", retry_after=timedelta(minutes=1)).retry_after == 60.0
    with pytest.raises(ValueError, match="takes a timedelta or seconds, 0 or more"):
        Unavailable("busy", retry_after=wait)


# Beginning later, and having to end


def test_a_start_in_the_future_does_nothing_before(pump: Pump) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    saga = run(pump, begin("hand", start={"at": at}))
    assert (saga.state, saga.waiting and saga.waiting["step"]) == ("started", None)
    assert orchestrator.snapshot(saga)["why"]["text"].startswith("It begins at ")
    time_passes(saga)
    assert run(pump, saga).state == "completed"


def test_a_start_in_the_future_can_be_taken_back(pump: Pump, asked: Any) -> None:
    saga = begin("file", start={"at": datetime.now(UTC) + timedelta(days=1)})
    orchestrator.act(saga.pk, "compensate", asked())
    assert run(pump, saga).state == "failed"
    assert not Due.objects.exists()
    assert Step.objects.get().attempt == 0


def test_a_moment_without_a_zone_is_no_time_to_start() -> None:
    with pytest.raises(orchestrator.Invalid, match="at: must be a datetime with a time zone"):
        begin("hand", start={"at": datetime(2026, 1, 1)})


def test_a_deadline_rolls_back_what_is_not_done_by_then(pump: Pump) -> None:
    saga = run(pump, begin("file", "rest", "hand", deadline=60))
    assert Due.objects.count() == 2
    assert not orchestrator.snapshot(saga)["overdue"]
    Due.objects.filter(step="").update(due_at=Now())
    assert run(pump, saga).state == "failed"
    assert saga.error == "its deadline passed"
    assert saga.expired
    assert not Due.objects.exists()


def test_a_deadline_that_is_not_reached_leaves_nothing_behind(pump: Pump) -> None:
    saga = run(pump, begin("file", "hand", deadline=60))
    assert saga.state == "completed"
    assert not Due.objects.exists()


def test_each_step_of_a_saga_with_time_outs_is_limited_except_those_that_wait() -> None:
    pinned = definition_for(waits.Hurry(), {})
    assert [step.deadline for step in pinned.steps] == [300.0, None, None]


# Approvals


def test_an_approval_is_given_by_whom_it_asks_and_has_nothing_due(pump: Pump, person: Person) -> None:
    saga = run(pump, begin("file", "ok", "hand"))
    assert not Due.objects.exists()
    mia = person("mia")
    answer(mia, saga)
    assert run(pump, saga).state == "completed"
    assert Step.objects.get(name="ok").result == {"approved": True, "by": ["mia"], "comment": "fine"}
    deed = OperatorAction.objects.get()
    assert (deed.verb, deed.step, deed.operator_name, deed.reason) == ("approve", "ok", "mia", "fine")


def test_nobody_else_may_answer_and_is_told_who_may(person: Person, pump: Pump) -> None:
    saga = run(pump, begin("ok"))
    with pytest.raises(orchestrator.Forbidden, match="Only the group managers may approve ok; eve may not"):
        answer(person("eve", manager=False), saga)
    bare = get_user_model().objects.create_user("bare")
    with pytest.raises(orchestrator.Forbidden, match=r"needs the permission sagas\.approve_saga"):
        answer(bare, saga)
    with pytest.raises(orchestrator.Forbidden, match="the group managers may approve ok: say who you are"):
        orchestrator.act(saga.pk, "approve", Asked(operator=None, via="command", reason="x", step="ok"))
    with pytest.raises(orchestrator.Forbidden, match="Only the group managers may reject"):
        orchestrator.preview(
            saga.pk, "reject", Asked(operator=person("ed", manager=False), via="api", reason="", step="ok")
        )


def test_who_started_it_may_not_approve_it_unless_the_author_says_so(person: Person, pump: Pump) -> None:
    mia = person("mia")
    saga = run(pump, begin("ok", start={"started_by": mia}))
    with pytest.raises(orchestrator.Forbidden, match="mia started this saga, and may not approve ok"):
        answer(mia, saga)
    assert orchestrator.approvals_for(mia).items == []
    assert answer(mia, saga, "reject").saga["state"] == "failed"
    own = run(pump, begin("ok", start={"started_by": mia}, ask={"self_approval": True}))
    assert [each.saga_id for each in orchestrator.approvals_for(mia).items] == [own.pk]
    assert answer(mia, own).saga["state"] == "completed"


def test_whoever_restarts_a_saga_has_started_it(person: Person, pump: Pump) -> None:
    mia, bo = person("mia"), person("bo")
    bo.user_permissions.add(Permission.objects.get(codename="restart_saga"))
    saga = run(pump, begin("ok", start={"started_by": mia}))
    answer(bo, saga, "reject")
    bo = get_user_model().objects.get(pk=bo.pk)
    again = orchestrator.act(saga.pk, "restart", Asked(operator=bo, via="desk", reason="x")).created
    assert Saga.objects.get(pk=again).started_by == bo
    new = run(pump, Saga.objects.get(pk=again))
    for own in (mia, bo):
        with pytest.raises(orchestrator.Forbidden, match=f"{own} started this saga, and may not approve ok"):
            answer(own, new)
        assert orchestrator.approvals_for(own).items == []
        assert orchestrator.bars([own], [new.pk])
    assert answer(person("ada"), new).saga["state"] == "completed"


def test_two_people_have_to_be_two(person: Person, pump: Pump) -> None:
    saga = run(pump, begin("ok", "hand", ask={"people": 2}))
    mia, bo = person("mia"), person("bo")
    plan = orchestrator.preview(saga.pk, "approve", Asked(operator=mia, via="desk", reason="", step="ok"))
    assert plan.sentences[0] == "ok takes 2 people; so far nobody approved."
    answer(mia, saga)
    assert run(pump, saga).state == "pending"
    with pytest.raises(orchestrator.Conflict, match="mia has approved ok already; it takes another person"):
        answer(mia, saga)
    assert orchestrator.approvals_for(mia).items == []
    (left,) = orchestrator.approvals_for(bo).items
    assert left.given == ({"by": "mia", "comment": "fine"},)
    answer(bo, saga)
    assert run(pump, saga).state == "completed"


@pytest.mark.parametrize(("otherwise", "state"), [("approve", "completed"), ("reject", "failed")])
def test_the_deadline_answers_for_those_who_did_not(pump: Pump, otherwise: str, state: str) -> None:
    saga = run(pump, begin("ok", "hand", ask={"deadline": 60, "otherwise": otherwise}))
    time_passes(saga)
    assert run(pump, saga).state == state


def test_what_nobody_answered_in_time_comes_first_in_the_inbox(pump: Pump, person: Person) -> None:
    mia = person("mia")
    missed = run(pump, begin("ok", "hand", ask={"deadline": 60}))
    time_passes(missed)
    assert run(pump, missed).attention == "expectation_missed"
    soon = run(pump, begin("ok", ask={"deadline": 3600}))
    assert [(each.saga_id, each.missed) for each in orchestrator.approvals_for(mia).items] == [
        (missed.pk, True),
        (soon.pk, False),
    ]
    answer(mia, missed)
    assert [each.saga_id for each in orchestrator.approvals_for(mia).items] == [soon.pk]


def test_what_was_missed_and_rolled_back_asks_nobody(pump: Pump, person: Person, asked: Any) -> None:
    missed = run(pump, begin("ok", "hand", ask={"deadline": 60}))
    time_passes(missed)
    orchestrator.act(run(pump, missed).pk, "compensate", asked())
    assert orchestrator.approvals_for(person("mia")).items == []


def test_a_permission_may_be_asked_for_instead_of_a_group(person: Person, pump: Pump) -> None:
    saga = run(pump, begin("ok", ask={"by": "perm:sagas.prune_saga"}))
    eve = person("eve", manager=False)
    with pytest.raises(orchestrator.Forbidden, match=r"Only whoever has the permission sagas\.prune_saga"):
        answer(eve, saga)
    other = run(pump, begin("ok", ask={"by": "perm:sagas.approve_saga"}))
    (found,) = orchestrator.approvals_for(eve).items
    assert found.saga_id == other.pk
    assert answer(eve, other).saga["state"] == "completed"


def test_open_approvals_come_by_their_end_and_by_the_page(person: Person, pump: Pump) -> None:
    mia = person("mia")
    ends = [None, 300, 100, None, 200]
    sagas = [begin("ok", ask={"deadline": end}) for end in ends]
    begin("ok", ask={"by": "group:others"})
    first = orchestrator.approvals_for(mia, limit=3)
    second = orchestrator.approvals_for(mia, limit=3, after=first.next)
    assert second.next is None
    found = [each.saga_id for each in (*first.items, *second.items)]
    assert found == [sagas[place].pk for place in (2, 4, 1, 0, 3)]
    assert first.items[0].show == "12"
    assert orchestrator.approvals_count(mia) == 5
    assert orchestrator.approvals_count(mia, most=2) == 2
    assert orchestrator.approvals_for(person("eve", manager=False)).items == []


@pytest.mark.only_on("sqlite")
def test_what_waits_for_an_answer_is_found_by_an_index_that_has_nothing_else(person: Person) -> None:
    mia = person("mia")
    for _ in range(30):
        begin("ok")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # without it SQLite would not know how many there are
    with CaptureQueriesContext(connection) as queries:
        orchestrator.approvals_count(mia)
        orchestrator.approvals_for(mia)
    asked = [query["sql"] for query in queries if '"waiting" = ' in query["sql"]]
    assert len(asked) == 2
    for sql in asked:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            plan = [row[3] for row in cursor.fetchall()]
        assert any("step_approval_open" in line for line in plan), plan


def test_the_snapshot_says_who_may_answer_and_offers_it(pump: Pump, person: Person) -> None:
    person("mia")
    saga = run(pump, begin("ok", "hand"))
    told = orchestrator.snapshot(saga)
    assert told["why"]["kind"] == "waiting"
    assert told["why"]["text"].startswith("ok has been waiting for the approval of the group managers since ")
    assert [verb["verb"] for verb in told["why"]["verbs"]] == ["approve", "reject", "compensate"]


def test_the_command_line_starts_later_and_answers_as_somebody(
    person: Person, pump: Pump, capsys: pytest.CaptureFixture[str]
) -> None:
    person("mia").user_permissions.add(Permission.objects.get(codename="start_saga"))
    data = json.dumps({"steps": ["ok"], "amount": 1})
    call_command("saga", "start", "Permit", "--data", data, "--at", "2020-01-01T00:00:00Z", "--as", "mia")
    saga = Saga.objects.get()
    assert saga.started_by.get_username() == "mia"
    person("bo")
    call_command("saga", "approve", str(saga.pk), "--reason", "fine", "--as", "bo")
    assert Saga.objects.get().state == "completed"
    assert capsys.readouterr().out.split() == [str(saga.pk)] * 2


# What waits slows nothing


MANY = 400


@pytest.fixture
def _crowd() -> None:
    """Many sagas wait for their timers, and one has work due."""
    orchestrator.start_many("Permit", [{"steps": ["rest"]}] * MANY)
    begin("hand")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("_crowd")
def test_a_claim_reads_nothing_that_waits_on_postgresql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")  # as in a worker; see engine.planner
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claims._TAKE}", [list(QUEUES), 32, 32, 30.0, "me"])
        (found,) = cursor.fetchone()
        cursor.execute("SET enable_seqscan = on")
    assert due_rows_read(found[0]["Plan"]) < 10


@pytest.mark.only_on("sqlite")
@pytest.mark.usefixtures("_crowd")
def test_a_claim_reads_nothing_that_waits_on_sqlite() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert len(claims.claim(QUEUES, 32, "me")) == 1
    looks = [q["sql"] for q in queries if q["sql"].startswith("SELECT") and '"due_at" <=' in q["sql"]]
    assert len(looks) == len(QUEUES)
    with connection.cursor() as cursor:
        for look in looks:
            cursor.execute(f"EXPLAIN QUERY PLAN {look}")
            (plan,) = [row[-1] for row in cursor.fetchall()]
            assert "USING INDEX due_free (queue=? AND due_at<?)" in plan


@pytest.mark.usefixtures("_crowd")
def test_a_clock_looks_once_for_each_queue_however_much_waits() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert Due.oldest_by_queue().keys() == {"filing", WAITS_QUEUE}
    (asked,) = queries
    explain = "EXPLAIN ANALYZE" if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {asked['sql']}")
        plan = str(cursor.fetchall())
    assert plan.count("due_free") == 3
    assert "Seq Scan on sagas_due" not in plan
    assert "SCAN sagas_due" not in plan
    with CaptureQueriesContext(connection) as queries:
        assert hold_unserved() == 0
    assert len(queries) <= 4


@pytest.mark.usefixtures("_crowd")
def test_an_inbox_of_approvals_reads_open_approvals_only(person: Person) -> None:
    mia = person("mia")
    begin("ok")
    with CaptureQueriesContext(connection) as queries:
        assert len(orchestrator.approvals_for(mia).items) == 1
    assert len(queries) <= 5
    found = orchestrator.approvals._open_to(mia).explain()
    assert "step_approval_open" in found
    assert "step_at_attention" in found


@pytest.mark.parametrize("how", ["missed", "rejected"])
def test_nobody_gives_an_approval_by_settling_it(pump: Pump, person: Person, asked: Any, how: str) -> None:
    ask = {"people": 2, "deadline": 60.0} if how == "missed" else {"people": 2, "hold": True}
    saga = run(pump, begin("ok", "file", ask=ask))
    if how == "missed":
        time_passes(saga)
    else:
        answer(person("mia"), saga, verb="reject", reason="certainly not")
    assert run(pump, saga).attention
    forged = {"approved": True, "by": ["mia", "bo"], "comment": "fine"}
    with pytest.raises(orchestrator.Conflict, match="which nobody else can give"):
        orchestrator.act(saga.pk, "resolve", asked(step="ok", outcome="done", result=forged))
    assert "resolve" not in [v["verb"] for v in orchestrator.snapshot(saga)["verbs"] if v["applies"]]


def test_what_people_are_asked_about_is_not_changed_meanwhile(pump: Pump, person: Person, asked: Any) -> None:
    saga = run(pump, begin("ok", "file", ask={"people": 2, "show": "Refund {amount}"}))
    answer(person("mia"), saga)
    saga.refresh_from_db()
    edit = asked(data={**saga.data, "amount": 9999})
    for ask in (orchestrator.preview, orchestrator.act):
        with pytest.raises(orchestrator.Conflict, match="ok asks people about the data as it is"):
            ask(saga.pk, "edit", edit)
    answer(person("bo"), saga)
    assert run(pump, saga).state == "completed"
