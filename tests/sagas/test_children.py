"""Child sagas, on real rows: started once, awaited, and undone with their parents, however far they have come."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from sagas import Later, Rejected, SagaStep, child, orchestrator, publish, registry
from sagas.core import messages as m
from sagas.core.words import Direction
from sagas.engine import Pump, reap
from sagas.engine.work import Sent, command_work
from sagas.models import Child, Due, LateReply, OperatorAction, Saga, Step
from sagas.orchestrator import Answered, Asked, UnderWay, children, loading
from sagas.registry import WAITS_QUEUE
from tests.sagas import kin
from tests.sagas.running import assert_rows_are_the_fold

pytestmark = pytest.mark.django_db(transaction=True)

QUEUES = ("kin", "default", "events", WAITS_QUEUE)


@pytest.fixture(autouse=True)
def _calm() -> Iterator[None]:
    yield
    kin.answers.clear()
    kin.standing.clear()
    kin.undone.clear()


@pytest.fixture
def pump() -> Pump:
    """A worker that serves all of it."""
    return Pump(QUEUES, "test-worker")


def begin(*steps: str, **data: Any) -> Saga:
    return kin.Kin().start({"name": "parent", "steps": list(steps), **data})


def of(*steps: str, **data: Any) -> dict[str, Any]:
    """Return the data of a child."""
    return {"name": "child", "steps": list(steps), **data}


def run(pump: Pump, saga: Saga) -> Saga:
    pump.run(30)
    saga.refresh_from_db()
    for each in Saga.objects.all():
        assert_rows_are_the_fold(each)
    return saga


def again(saga: Saga) -> None:
    """Let what waits be due now."""
    assert Due.objects.filter(saga=saga).update(due_at=Now())


def child_of(saga: Saga) -> Saga:
    return Saga.objects.get(origin=saga, origin_kind="child")


def step(saga: Saga, name: str = "child") -> Step:
    return Step.objects.get(saga=saga, name=name)


def effects() -> list[str]:
    return sorted(kin.standing.values())


def why(saga: Saga) -> str:
    saga.refresh_from_db()
    return str(orchestrator.snapshot(saga)["why"]["text"])


# Starting, and the way forward


def test_a_child_is_started_once_and_its_end_completes_the_step(pump: Pump) -> None:
    saga = run(pump, begin("plan", "child", "note", child=of("plan", "build")))
    its = child_of(saga)
    assert (saga.state, its.state) == ("completed", "completed")
    assert step(saga).result == {
        "saga_id": str(its.pk),
        "state": "completed",
        "results": {"plan": {"by": "child.plan"}, "build": {"by": "child.build"}},
    }
    assert effects() == ["child.build", "child.plan", "parent.note", "parent.plan"]
    assert its.idempotency_key == f"{saga.pk}:child:do:1"
    assert not LateReply.objects.exists()
    assert not Due.objects.exists()


def test_a_child_has_its_parents_correlation_id_and_who_started_that(pump: Pump, operator: Any) -> None:
    data = {"steps": ["child"], "child": of("ok")}
    saga = orchestrator.start("Kin", data, correlation_id="trip-7", started_by=operator).saga
    run(pump, saga)
    its = child_of(saga)
    assert (its.correlation_id, its.started_by) == ("trip-7", operator)
    with pytest.raises(orchestrator.Forbidden, match="started this saga, and may not approve"):
        orchestrator.act(its.pk, "approve", Asked(operator=operator, via="desk", reason="fine", step="ok"))


def test_a_parent_waits_for_its_child_without_anything_due(pump: Pump) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    its = child_of(saga)
    assert saga.waiting == {"kind": "reply", "step": "child", "since": saga.waiting["since"], "until": None}
    assert not Due.objects.filter(saga=saga).exists()
    assert f"child waits for saga {its.pk}, its child Kin, since" in why(saga)
    assert why(saga).endswith("That one is pending.")
    shown = orchestrator.snapshot(saga)
    assert (shown["steps"][0]["child"], shown["parent"]) == (str(its.pk), None)
    assert orchestrator.snapshot(its)["parent"] == str(saga.pk)


@pytest.mark.parametrize(
    "data", [{"name": "plain", "steps": ["note"]}, "results.plan.for_it", "deep.down", "list.1"]
)
def test_the_data_of_a_child_may_be_plain_values_or_stand_in_the_data_or_a_result(
    pump: Pump, data: Any
) -> None:
    its = of("note")
    kin.answers["parent.plan"] = lambda _: {"for_it": its}
    saga = begin("plan", "child", its=data, deep={"down": its}, list=[0, its])
    assert run(pump, saga).state == "completed"
    assert child_of(saga).data == (data if isinstance(data, dict) else its)


def test_a_child_that_fails_is_a_rejection_with_its_error(pump: Pump) -> None:
    kin.answers["child.build"] = kin.no("no bricks")
    saga = run(pump, begin("plan", "child", child=of("plan", "build")))
    assert (saga.state, saga.error) == ("failed", "no bricks")
    assert step(saga).status == "failed"
    assert effects() == []


def test_a_held_step_starts_another_child_when_it_is_retried(pump: Pump, asked: Any) -> None:
    kin.answers["child.plan"] = kin.no()
    saga = run(pump, begin("child", own={"hold": True}, child=of("plan")))
    assert saga.attention == "held"
    kin.answers.clear()
    orchestrator.act(saga.pk, "retry", asked(step="child"))
    assert run(pump, saga).state == "completed"
    keys = Saga.objects.filter(origin=saga).order_by("pk").values_list("idempotency_key", "state")
    assert list(keys) == [(f"{saga.pk}:child:do:1", "failed"), (f"{saga.pk}:child:do:2", "completed")]


def test_repeated_and_lost_calls_start_one_child(pump: Pump) -> None:
    """As if its worker had died after the child had begun: whoever calls again finds it."""
    saga = begin("child", child=of("ok"))
    pump.run(30)
    for _ in range(2):
        assert children.begin(command_of(saga, "child")) == UnderWay()
    assert Saga.objects.filter(origin=saga).count() == 1


def command_of(saga: Saga, name: str, way: Direction = Direction.DO) -> Any:
    """Return a step's command as its handler gets it."""
    held = loading.look(saga.pk)
    assert held is not None
    at, command = held.progress.steps[name], held.definition.step(name).command(way)
    generation = at.generation if way is Direction.DO else 1
    sent = Sent(name, way, command or "", at.number_of(way) or 0, generation, 1, 30.0, False)
    return command_work(held, sent, uuid4(), datetime.now(UTC)).command


def test_a_child_that_has_begun_is_found_though_its_type_is_gone(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    monkeypatch.setattr(registry, "saga_type", lambda name: None)
    assert children.begin(command_of(saga, "child")) == UnderWay()


def test_an_undo_that_comes_while_a_child_begins_closes_its_key(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    saga = begin("child", child=of("plan"))
    opening = children._opening

    def overtaken(*given: Any) -> Any:
        assert children.undo(command_of(saga, "child", Direction.UNDO)) is None
        return opening(*given)

    monkeypatch.setattr(children, "_opening", overtaken)
    with pytest.raises(Rejected, match="cancelled"):
        children.begin(command_of(saga, "child"))
    assert not Saga.objects.filter(origin=saga).exists()


@pytest.mark.parametrize(
    ("data", "attention", "error"),
    [
        ({"type": "Nobody"}, "misconfigured", "there is no saga type 'Nobody'; defined are: "),
        ({"child": None}, "misconfigured", "its data, child, must be an object"),
        ({"child": of("plan", "plan")}, "misconfigured", "step names must be unique"),
    ],
)
def test_a_child_that_its_author_has_to_mend_asks_and_undoes_nothing(
    pump: Pump, data: Any, attention: str, error: str
) -> None:
    saga = run(pump, begin("plan", "child", **data))
    assert (saga.state, saga.attention) == ("pending", attention)
    assert error in (step(saga).error or "")
    assert effects() == ["parent.plan"]


def test_a_child_whose_type_is_defined_by_now_goes_on_when_it_is_retried(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("plan", "child", child=None))
    data = {"name": "parent", "steps": ["plan", "child"], "child": of("note")}
    orchestrator.act(saga.pk, "edit", asked(data=data))
    orchestrator.act(saga.pk, "retry", asked(step="child"))
    assert run(pump, saga).state == "completed"


def test_data_that_the_childs_type_refuses_is_a_rejection(pump: Pump) -> None:
    saga = run(pump, begin("plan", "child", child=of("plan", number="many")))
    assert saga.state == "failed"
    assert "Kin refuses its data: data.number" in (saga.error or "")
    assert effects() == []
    assert not Saga.objects.filter(origin=saga).exists()


def test_a_family_without_end_is_refused(pump: Pump) -> None:
    data: dict[str, Any] = of("note")
    for _ in range(25):
        data = {"name": "child", "steps": ["child"], "child": data}
    saga = run(pump, kin.Kin().start(data))
    assert Saga.objects.count() == 20
    assert saga.state == "pending"
    assert Saga.objects.filter(attention="misconfigured").count() == 1


def test_two_levels_complete_one_by_one(pump: Pump) -> None:
    saga = run(
        pump, begin("child", "note", child=of("child", "plan", child={"name": "grand", "steps": ["build"]}))
    )
    assert saga.state == "completed"
    assert effects() == ["child.plan", "grand.build", "parent.note"]


# Replies


def test_the_end_that_comes_before_the_handlers_own_answer_counts_once(pump: Pump) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    its = child_of(saga)
    link = Child.objects.get()
    answer = Answered(saga.pk, m.Completed(link.number, {"by": "hand"}))
    orchestrator.deliver([answer])
    orchestrator.deliver([answer])
    saga.refresh_from_db()
    assert saga.state == "completed"
    assert LateReply.objects.filter(saga_id=saga.pk, number=link.number).count() == 1
    assert its.state == "pending"


def test_the_end_of_a_child_is_told_again_until_it_is_heard(pump: Pump, operator: Any) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    its = child_of(saga)
    orchestrator.act(its.pk, "approve", Asked(operator=operator, via="desk", reason="fine", step="ok"))
    told = Due.objects.get(saga=its, name="parent")
    # Its worker is lost before, and then after it has told.
    Due.objects.filter(pk=told.pk).update(
        lease_token=UUID(int=1), lease_until=Now(), claimed_at=Now(), timeout_at=Now(), worker="lost"
    )
    reap()
    children.ended(its.pk)
    assert run(pump, saga).state == "completed"
    assert LateReply.objects.filter(saga_id=saga.pk).count() == 1


# Operators


def test_a_child_that_is_rolled_back_by_hand_rejects_the_step(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("plan", "child", child=of("plan", "ok")))
    orchestrator.act(child_of(saga).pk, "compensate", asked(reason="wrong house"))
    assert run(pump, saga).state == "failed"
    assert saga.error == "rolled back by olga: wrong house"
    assert effects() == []


@pytest.mark.parametrize(
    ("verb", "more", "reason"),
    [
        ("retry", {}, "child waits for its child saga; there is nothing to retry"),
        ("skip", {}, "child's child saga is under way; roll that back"),
        ("resolve", {"outcome": "none"}, "child's child saga is under way; roll that back"),
    ],
)
def test_verbs_that_would_lose_a_child_are_refused(
    pump: Pump, asked: Any, verb: str, more: Any, reason: str
) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    with pytest.raises(orchestrator.Conflict, match=reason):
        orchestrator.act(saga.pk, verb, asked(step="child", **more))


def test_a_step_that_is_settled_by_hand_goes_on_and_its_child_is_undone_later(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan", "ok")))
    plan = orchestrator.preview(saga.pk, "resolve", asked(step="child", outcome="done"))
    assert "Its child saga goes on by itself" in " ".join(plan.sentences)
    orchestrator.act(saga.pk, "resolve", asked(step="child", outcome="done", result={}))
    orchestrator.act(saga.pk, "compensate", asked())
    assert run(pump, saga).state == "failed"
    assert child_of(saga).state == "failed"
    assert effects() == []


def test_a_rollback_says_in_words_that_it_undoes_the_child(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    plan = orchestrator.preview(saga.pk, "compensate", asked())
    assert any(s.startswith("The child saga of child is undone: it never begins") for s in plan.sentences)
    assert plan.ends == "failed"


def test_neither_a_child_nor_what_undoes_one_is_restarted(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", child=of("plan", "ok")))
    orchestrator.act(child_of(saga).pk, "compensate", asked())
    run(pump, saga)
    with pytest.raises(orchestrator.Conflict, match="It is a child saga"):
        orchestrator.act(child_of(saga).pk, "restart", asked())


# Deadlines


def test_at_the_steps_deadline_the_child_is_told_to_roll_back_and_its_end_awaited(pump: Pump) -> None:
    saga = run(pump, begin("plan", "child", own={"deadline": 3600}, child=of("plan", "ok")))
    its = child_of(saga)
    assert saga.waiting["until"] is not None
    kin.answers["KinService.Undo"] = lambda _: Later(within=3600)
    Step.objects.filter(saga=saga).update(dispatched_at="2020-01-01T00:00Z")
    again(saga)
    pump.run(30)
    its.refresh_from_db()
    saga.refresh_from_db()
    assert (its.state, its.error) == ("compensating", "rolled back with its parent: its time was over")
    assert (saga.state, saga.waiting["until"]) == ("pending", None)
    kin.answers.clear()
    orchestrator.compensation_completed(its.pk, "plan")
    pump.run(30)
    saga.refresh_from_db()
    assert (saga.state, saga.error) == ("failed", "rolled back with its parent: its time was over")


def test_a_step_without_a_deadline_is_not_limited_by_its_type() -> None:
    class Hasty:
        saga_type = "Hasty"
        default_timeout = 300.0

    steps = [SagaStep("do", "KinService.Do"), child("child", "Kin")]
    pinned = orchestrator.make_definition(Hasty, steps)
    assert [each.deadline for each in pinned.steps] == [300.0, None]


# Undoing


def back(saga: Saga) -> None:
    """Roll a saga back, as an operator does."""
    operator = get_user_model().objects.filter(username="eva").first()
    operator = operator or get_user_model().objects.create_superuser("eva", password="x")
    orchestrator.act(saga.pk, "compensate", Asked(operator=operator, via="desk", reason="no more"))


def test_a_child_that_has_not_begun_never_does(pump: Pump) -> None:
    saga = begin("child", child=of("plan"))
    assert children.undo(command_of(saga, "child", Direction.UNDO)) is None
    assert run(pump, saga).state == "failed"
    assert "cancelled: it was undone before it began" in (saga.error or "")
    assert not Saga.objects.filter(origin=saga).exists()


def test_a_child_under_way_is_rolled_back_as_its_parents_doing(pump: Pump) -> None:
    saga = run(pump, begin("plan", "child", child=of("plan", "build", "ok")))
    back(saga)
    assert run(pump, saga).state == "failed"
    its = child_of(saga)
    assert (its.state, its.error) == (
        "failed",
        "rolled back with its parent: rolled back by eva: no more",
    )
    assert effects() == []
    assert [each["name"] for each in kin.undone] == ["child.build", "child.plan", "parent.plan"]
    action = OperatorAction.objects.get(saga=its)
    assert (action.operator_name, action.verb, action.via) == (
        f"its parent, saga {saga.pk}",
        "compensate",
        "saga",
    )


def test_a_completed_child_is_undone_by_a_linked_saga_in_reverse_order(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan", "note", "build")))
    its = child_of(saga)
    back(saga)
    assert run(pump, saga).state == "failed"
    undo = Saga.objects.get(origin=its, origin_kind="undo")
    assert (child_of(saga).state, undo.state) == ("completed", "completed")
    assert effects() == ["child.note"]
    assert kin.undone == [
        {
            "name": "child.build",
            "result": {"by": "child.build"},
            "results": {"plan": {"by": "child.plan"}, "note": {"by": "child.note"}},
        },
        {"name": "child.plan", "result": {"by": "child.plan"}, "results": {}},
    ]
    shown = orchestrator.snapshot(saga)["steps"][0]
    assert (shown["child"], shown["undone_by"]) == (str(its.pk), str(undo.pk))


def test_a_child_without_anything_to_undo_is_undone_at_once(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", child=of("note")))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert Saga.objects.count() == 2


@pytest.mark.parametrize("last", ["ok", "note"])
def test_children_of_children_are_undone_with_them(pump: Pump, last: str) -> None:
    grand = {"name": "grand", "steps": ["plan", "build"]}
    saga = run(pump, begin("child", "ok", child=of("plan", "child", last, child=grand)))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert [name for name in effects() if not name.endswith("note")] == []
    assert [each["name"] for each in kin.undone] == ["grand.build", "grand.plan", "child.plan"]


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        (("fixed", "note"), "its step fixed cannot be undone"),
        (("sign", "after"), "its point of no return, sign, is passed"),
    ],
)
def test_a_completed_child_that_cannot_be_undone_asks_for_a_person(
    pump: Pump, asked: Any, steps: Any, reason: str
) -> None:
    saga = run(pump, begin("plan", "child", "ok", child=of("plan", *steps)))
    back(saga)
    run(pump, saga)
    assert (saga.state, saga.attention) == ("compensating", "cannot_undo")
    assert reason in (step(saga).error or "")
    assert reason in why(saga)
    assert len(effects()) >= 3  # nothing is undone by half
    orchestrator.act(saga.pk, "retry", asked(step="child"))  # that changes nothing
    assert run(pump, saga).attention == "cannot_undo"
    orchestrator.act(saga.pk, "resolve", asked(step="child", outcome="waived"))
    assert run(pump, saga).state == "failed"
    assert "parent.plan" not in effects()


def test_a_child_under_way_past_its_pivot_asks_for_a_person(pump: Pump) -> None:
    kin.answers["child.after"] = lambda _: Later(within=3600)
    saga = run(pump, begin("child", child=of("sign", "after")))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "its point of no return, sign, is passed" in (step(saga).error or "")


def test_a_grandchild_that_cannot_be_undone_is_found_before_anything_is(pump: Pump) -> None:
    grand = {"name": "grand", "steps": ["fixed"]}
    saga = run(pump, begin("child", "ok", child=of("plan", "child", child=grand)))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "cannot be undone: its step fixed cannot be undone" in (step(saga).error or "")
    assert effects() == ["child.plan", "grand.fixed"]


def test_a_child_stuck_in_its_rollback_holds_its_parent_visibly(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", child=of("plan", "ok")))
    kin.answers["KinService.Undo"] = kin.breaks
    back(saga)
    run(pump, saga)
    assert (saga.state, saga.attention, saga.waiting["kind"]) == ("compensating", None, "reply")
    assert "asks for a person (compensation_failed)" in why(saga)
    kin.answers.clear()
    orchestrator.act(child_of(saga).pk, "retry", asked(step="plan"))
    assert run(pump, saga).state == "failed"
    assert effects() == []


def test_a_stuck_undo_of_a_completed_child_holds_its_parent_visibly(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan")))
    kin.answers["KinService.Undo"] = kin.breaks
    back(saga)
    run(pump, saga)
    undo = Saga.objects.get(origin_kind="undo")
    assert f"waits for saga {undo.pk}, which undoes its child saga" in why(saga)
    assert "asks for a person (retries_spent)" in why(saga)
    kin.answers.clear()
    orchestrator.act(undo.pk, "retry", asked(step="plan"))
    assert run(pump, saga).state == "failed"
    assert effects() == []


def test_an_undo_saga_that_is_rolled_back_is_begun_anew(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan")))
    kin.answers["KinService.Undo"] = kin.no()
    back(saga)
    run(pump, saga)
    kin.answers.clear()
    orchestrator.act(Saga.objects.get(origin_kind="undo").pk, "compensate", asked())
    assert run(pump, saga).state == "failed"
    assert effects() == []
    assert Saga.objects.filter(origin_kind="undo").count() == 2


def test_a_paused_child_is_turned_back_and_waits_to_be_resumed(pump: Pump, asked: Any) -> None:
    saga = run(pump, begin("child", child=of("plan", "ok")))
    orchestrator.act(child_of(saga).pk, "pause", asked())
    back(saga)
    run(pump, saga)
    assert why(saga).endswith("That one is compensating and paused.")
    orchestrator.act(child_of(saga).pk, "resume", asked())
    assert run(pump, saga).state == "failed"


@pytest.mark.parametrize(
    ("signs", "state", "attention"), [(False, "failed", None), (True, "compensating", "cannot_undo")]
)
def test_a_child_that_is_at_its_pivot_is_looked_at_again(
    pump: Pump, signs: bool, state: str, attention: str | None
) -> None:
    """While the pivot is being executed nobody can tell whether there is a way back."""
    saga = begin("child", child=of("plan", "sign", "after"))

    def sign(sent: Any) -> Any:
        back(saga)
        Pump(QUEUES, "another").run(30)
        assert step(saga).waiting == "reply"
        again(saga)
        if not signs:
            raise Rejected("not me")

    kin.answers["child.sign"] = sign
    run(pump, saga)
    assert (saga.state, saga.attention) == (state, attention)


# Functions


def test_a_function_may_be_a_child_and_all_its_turns_are_undone(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", type="Tale", child={"name": "tale", "turns": 2}))
    results = step(saga).result["results"]
    assert {name: result and result.get("by") for name, result in results.items()} == {
        "function": "tale.plan",
        "plan": "tale.plan",
        "build": "tale.build",
        "build-2": "tale.build-2",
    }
    assert len(effects()) == 3
    back(saga)
    assert run(pump, saga).state == "failed"
    assert effects() == []
    assert [each["name"] for each in kin.undone] == ["tale.build-2", "tale.build", "tale.plan"]


def test_a_function_under_way_is_rolled_back_with_its_parent(pump: Pump) -> None:
    kin.answers["tale.build"] = lambda _: Later(within=3600)
    saga = run(pump, begin("child", type="Tale", child={"name": "tale", "turns": 1}))
    assert step(child_of(saga), "build").waiting == "reply"
    assert effects() == ["tale.plan"]
    back(saga)
    assert run(pump, saga).state == "failed"
    assert effects() == []


# Choreographies


def test_a_choreography_may_be_a_child(pump: Pump) -> None:
    kin.answers["VillageAsked"] = lambda _: publish("VillageBuilt", {})
    saga = run(pump, begin("child", type="Village", child={}))
    assert saga.state == "completed"


def test_a_choreography_under_way_is_undone_by_the_event_that_it_declares(pump: Pump) -> None:
    kin.answers["VillageUnwanted"] = lambda _: publish("VillageGone", {})
    saga = run(pump, begin("child", type="Village", child={}))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert child_of(saga).state == "failed"


def test_a_choreography_that_declares_none_asks_for_a_person(pump: Pump) -> None:
    saga = run(pump, begin("child", type="Hamlet", child={}))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "declares no event that begins its compensation" in (step(saga).error or "")


def test_a_completed_choreography_asks_for_a_person(pump: Pump) -> None:
    kin.answers["VillageAsked"] = lambda _: publish("VillageBuilt", {})
    saga = run(pump, begin("child", "ok", type="Village", child={}))
    back(saga)
    assert run(pump, saga).attention == "cannot_undo"
    assert "only its subscribers know" in (step(saga).error or "")


# The desk


def test_the_desk_links_parents_and_children_both_ways(pump: Pump, client: Any, operator: Any) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan", "ok")))
    its = child_of(saga)
    client.force_login(operator)
    page = client.get(f"/sagas/{saga.pk}/").content.decode()
    assert f'<dt>Child</dt><dd><a href="/sagas/{its.pk}/">' in page
    assert f'<a href="/sagas/{its.pk}/" title="{its.pk}">saga …{str(its.pk)[-8:]}</a>, its child Kin' in page
    assert f'<a href="/sagas/{its.pk}/">Kin …{str(its.pk)[-8:]}</a>' in page
    assert (
        f'<dt>Child of</dt><dd><a href="/sagas/{saga.pk}/">'
        in client.get(f"/sagas/{its.pk}/").content.decode()
    )
    applies = {(v["verb"], v["step"]): v["applies"] for v in orchestrator.snapshot(saga)["verbs"]}
    assert applies["resolve", "child"]
    assert not applies["skip", "child"]


def test_the_desk_links_what_undoes_a_child(pump: Pump, client: Any, operator: Any) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan")))
    back(saga)
    run(pump, saga)
    undo = Saga.objects.get(origin_kind="undo")
    client.force_login(operator)
    assert (
        f'<a href="/sagas/{undo.pk}/">by saga …{str(undo.pk)[-8:]}</a>'
        in client.get(f"/sagas/{saga.pk}/").content.decode()
    )
    assert "<dt>Undoes</dt>" in client.get(f"/sagas/{undo.pk}/").content.decode()
    assert "<dt>Undone by</dt>" in client.get(f"/sagas/{child_of(saga).pk}/").content.decode()


# What else there is to a child


def test_an_undo_that_is_answered_later_answers_the_saga_that_undoes(pump: Pump) -> None:
    """To the participant it is an undo, whoever asks for it."""
    saga = run(pump, begin("child", "ok", child=of("plan")))
    asked: list[Any] = []

    def later(sent: Any) -> Later:
        asked.append((sent["saga_id"], sent["step_name"]))
        return Later(within=3600)

    kin.answers["KinService.Undo"] = later
    back(saga)
    run(pump, saga)
    assert orchestrator.compensation_completed(*asked[0])
    assert run(pump, saga).state == "failed"


def test_what_undoes_a_child_says_nothing_of_the_childs_type(
    pump: Pump, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    hook = lambda self, view: heard.append(view.data["name"])  # noqa: E731
    monkeypatch.setattr(kin.Kin, "on_saga_completed", hook, raising=False)
    saga = run(pump, begin("child", "ok", child=of("plan")))
    back(saga)
    assert run(pump, saga).state == "failed"
    assert heard == ["child"]  # when it was completed, and not again when that was undone


def test_neither_a_child_nor_its_parent_is_pruned_before_the_other_is_over(pump: Pump) -> None:
    keeper = Asked(operator=None, via="command", reason="old")

    def pruned() -> set[UUID]:
        return {pk for batch in orchestrator.prune(timedelta(0), 10, keeper) for pk in batch}

    saga = run(pump, begin("child", "ok", child=of("plan")))
    assert pruned() == set()
    back(saga)
    run(pump, saga)
    every = set(Saga.objects.values_list("pk", flat=True))
    assert len(every) == 3
    assert pruned() == every
    assert not Child.objects.exists()


def test_a_family_is_exported_and_imported_as_a_record(pump: Pump) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan")))
    back(saga)
    run(pump, saga)
    every = list(Saga.objects.values_list("pk", flat=True))
    documents = [orchestrator.export(pk, reveal=True) for pk in every]
    kinds = {document["saga"]["origin_kind"] for document in documents}
    assert kinds == {"", "child", "undo"}
    keeper = Asked(operator=None, via="command", reason="moved")
    Child.objects.all().delete()
    OperatorAction.objects.all().delete()
    Saga.objects.all().delete()
    for document in documents:
        orchestrator.import_saga(document, keeper)
    again = {str(pk): orchestrator.export(pk, reveal=True) for pk in every}
    assert [again[document["saga"]["id"]]["saga"] for document in documents] == [d["saga"] for d in documents]
    assert orchestrator.snapshot(Saga.objects.get(pk=saga.pk))["steps"][0]["child"] is None
