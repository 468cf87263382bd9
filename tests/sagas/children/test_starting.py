"""Child sagas, on real rows: started once, and awaited to their end, whoever tells of it."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db.models.functions import Now

from sagas import Rejected, orchestrator, registry
from sagas.core import messages as m
from sagas.core.commands import idempotency_key
from sagas.core.words import Direction
from sagas.engine import Pump, reap
from sagas.models import Child, Due, LateReply, Saga
from sagas.orchestrator import Answered, Asked, children
from sagas.orchestrator.children import UnderWay
from tests.sagas import kin
from tests.sagas.children.family import begin, child_of, command_of, effects, of, run, step, why

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_nobody_but_a_step_takes_the_key_of_its_child(operator: Any) -> None:
    key = idempotency_key(uuid4(), "call: a child", Direction.DO, 1)
    with pytest.raises(orchestrator.Invalid, match="such keys are the steps' own"):
        orchestrator.start("Errand", {"item": "book"}, idempotency_key=key, started_by=operator)
    assert orchestrator.start("Errand", {"item": "book"}, idempotency_key=key).created, (
        "code knows what it does"
    )


def test_a_parent_waits_for_its_child_without_anything_due(pump: Pump) -> None:
    saga = run(pump, begin("child", child=of("ok")))
    its = child_of(saga)
    assert saga.waiting == {"kind": "reply", "step": "child", "since": saga.waiting["since"], "until": None}
    assert not Due.objects.filter(saga=saga).exists()
    assert f"child has been waiting for saga {its.pk}, its child Kin, since" in why(saga)
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
