"""What operators see of child sagas and do about them; and deadlines, which do it by themselves."""

from typing import Any

import pytest

from sagas import Later, SagaStep, child, orchestrator
from sagas.engine import Pump
from sagas.models import Saga, Step
from sagas.orchestrator.start import make_definition
from tests.sagas import kin
from tests.sagas.children.family import again, back, begin, child_of, effects, of, run

pytestmark = pytest.mark.django_db(transaction=True)


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
    pinned = make_definition(Hasty, steps)
    assert [each.deadline for each in pinned.steps] == [300.0, None]


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
