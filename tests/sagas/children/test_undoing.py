"""Child sagas are undone with their parents, however far they have come."""

from typing import Any

import pytest

from sagas import Later, Rejected, orchestrator
from sagas.core.messages import Unknown
from sagas.core.words import Direction
from sagas.engine import Pump
from sagas.models import OperatorAction, Saga
from sagas.orchestrator import children
from sagas.orchestrator.replies import Answered, deliver
from tests.sagas import kin
from tests.sagas.children.family import (
    QUEUES,
    again,
    back,
    begin,
    child_of,
    command_of,
    effects,
    of,
    run,
    step,
    why,
)
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert f"has been waiting for saga {undo.pk}, which undoes its child saga" in why(saga)
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


def test_what_an_undo_saga_has_undone_before_it_was_stopped_is_not_undone_again(
    pump: Pump, asked: Any
) -> None:
    saga = run(pump, begin("child", "ok", child=of("plan", "build")))
    sent: list[tuple[str, str]] = []

    def undo(command: Any) -> Any:
        sent.append((command.meta.step, command.meta.key))
        if command.meta.step == "plan" and len(sent) == 2:
            raise Rejected("not now")
        kin.standing.pop(command.meta.undoes, None)

    kin.answers["KinService.Undo"] = undo
    back(saga)
    run(pump, saga)
    stopped = Saga.objects.get(origin_kind="undo")
    orchestrator.act(stopped.pk, "compensate", asked())
    assert run(pump, saga).state == "failed"
    assert [name for name, _ in sent] == ["build", "plan", "plan"]
    assert effects() == []


@pytest.mark.parametrize("began", [True, False])
def test_a_child_that_began_is_not_said_to_be_nothing(pump: Pump, asked: Any, began: bool) -> None:
    saga = begin("plan", "child", child=of("plan", "ok"), own={"hold": True})
    Pump(("kin",), "w").run(10)
    sent = command_of(saga, "child")
    if began:
        children.begin(sent)
    lost = Unknown(step(saga).action_number, "the worker was lost", inbox=True)  # type: ignore[arg-type]
    deliver([Answered(saga.pk, lost)])
    nothing = asked(step="child", outcome="none")
    if began:
        for ask in (orchestrator.preview, orchestrator.act):
            with pytest.raises(orchestrator.Conflict, match=f"child, saga {child_of(saga).pk}; retry it"):
                ask(saga.pk, "resolve", nothing)
        return
    orchestrator.act(saga.pk, "resolve", nothing)
    with pytest.raises(Rejected, match="an operator said that it had not begun"):
        children.begin(sent)  # by a worker that had only been taken for lost
    assert not Saga.objects.filter(origin=saga).exists()


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
        until(lambda: step(saga).waiting == "reply")  # whichever pump has looked
        again(saga)
        if not signs:
            raise Rejected("not me")

    kin.answers["child.sign"] = sign
    run(pump, saga)
    assert (saga.state, saga.attention) == (state, attention)
