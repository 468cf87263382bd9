"""The operators' door: every verb, from outside; previews, fences, action ids and the audit trail."""

import threading
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection

from sagas import SagaStep, orchestrator
from sagas.core.answers import Misconfigured
from sagas.core.messages import Unknown
from sagas.engine import Pump, claims
from sagas.models import Due, Event, OperatorAction, Saga, Step
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold, rest

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stuck(errand: Any, pump: Pump, world: shop.World) -> Saga:
    """A saga whose refund keeps failing."""
    world.behaviour |= {"PostService.Post": shop.reject("no post"), "PayService.Refund": shop.fail()}
    return rest(pump, errand())


def test_retry_of_a_rejected_step_is_a_new_command(
    held: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    del world.behaviour["PayService.Pay"]
    answer = orchestrator.act(held.pk, "retry", asked(step="pay"))
    assert answer.saga["attention"] is None
    assert rest(pump, held).state == "completed"
    keys = [sent.meta.key for sent in world.calls if sent.name == "PayService.Pay"]
    assert [key.rsplit(":", 1)[1] for key in keys] == ["1", "2"]


def test_compensate_rolls_a_held_saga_back(held: Saga, asked: Any, pump: Pump) -> None:
    orchestrator.act(held.pk, "compensate", asked())
    saga = rest(pump, held)
    assert saga.state == "failed"
    assert "rolled back by olga: because" in (saga.error or "")
    assert_rows_are_the_fold(saga)


def test_retry_of_a_stuck_undo_keeps_its_key_and_ends_the_saga(
    stuck: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    del world.behaviour["PayService.Refund"]
    orchestrator.act(stuck.pk, "retry", asked(step="pay"))
    assert rest(pump, stuck).state == "failed"
    assert len({sent.meta.key for sent in world.calls if sent.name == "PayService.Refund"}) == 1


@pytest.mark.parametrize(
    ("outcome", "status", "standing"), [("done", "compensated", False), ("waived", "completed", True)]
)
def test_a_stuck_undo_is_settled_by_hand(
    stuck: Saga, asked: Any, pump: Pump, outcome: str, status: str, standing: bool, world: shop.World
) -> None:
    calls = world.count["PayService.Refund"]
    orchestrator.act(stuck.pk, "resolve", asked(step="pay", outcome=outcome, evidence="bank slip 7"))
    assert rest(pump, stuck).state == "failed"
    step = Step.objects.get(saga=stuck, name="pay")
    assert (step.status, step.standing) == (status, standing)
    assert world.count["PayService.Refund"] == calls, "the verdict binds every later automatic step"
    assert OperatorAction.objects.get().request == {"outcome": outcome, "evidence": "bank slip 7"}


@pytest.mark.parametrize(
    ("result", "will"), [(None, "find no result of it"), ({"id": 7}, "go by this result")]
)
def test_a_preview_says_who_goes_by_the_result_that_a_person_gives(
    held: Saga, asked: Any, result: Any, will: str
) -> None:
    plan = orchestrator.preview(held.pk, "resolve", asked(step="pay", outcome="done", result=result))
    assert f"Once they are called, its undo PayService.Refund and post will {will}." in plan.sentences


def test_skip_goes_on_without_the_step(held: Saga, asked: Any, pump: Pump) -> None:
    orchestrator.act(held.pk, "skip", asked(step="pay"))
    assert rest(pump, held).state == "completed"
    assert Step.objects.get(saga=held, name="pay").status == "skipped"


def test_pause_lets_nothing_be_claimed_until_resume(
    errand: Any, asked: Any, pump: Pump, world: shop.World
) -> None:
    saga = errand()
    orchestrator.act(saga.pk, "pause", asked())
    pump.run(5)
    assert world.calls == []
    orchestrator.act(saga.pk, "resume", asked())
    assert rest(pump, saga).state == "completed"


def test_replies_go_on_while_paused_but_what_they_make_due_waits(
    errand: Any, asked: Any, pump: Pump, world: shop.World
) -> None:
    saga = errand()
    orchestrator.act(saga.pk, "pause", asked())
    assert orchestrator.step_completed(saga.pk, "fetch", {})
    pump.run(5)
    assert world.calls == []
    assert Due.objects.get().paused


def test_edit_changes_what_is_sent_from_now_on(held: Saga, asked: Any, pump: Pump, world: shop.World) -> None:
    del world.behaviour["PayService.Pay"]
    orchestrator.act(held.pk, "edit", asked(data={"item": "pen", "hold": True}))
    orchestrator.act(held.pk, "retry", asked(step="pay"))
    assert rest(pump, held).state == "completed"
    assert world.calls[-1]["item"] == "pen"
    assert OperatorAction.objects.get(verb="edit").request["before"]["item"] == "book"


def test_a_command_that_was_sent_keeps_its_input(
    errand: Any, asked: Any, pump: Pump, world: shop.World
) -> None:
    saga = errand()
    (work,) = claims.claim(["fetch"], 1, "doomed")
    unknown = Unknown(work.number, "crashed")
    orchestrator.deliver([orchestrator.Answered(saga.pk, unknown, work.token)])
    orchestrator.act(saga.pk, "edit", asked(data={"item": "pen"}))
    assert rest(pump, saga).state == "completed"
    assert [sent["item"] for sent in world.calls] == ["book", "pen", "pen"]
    assert_rows_are_the_fold(saga)


def test_edit_is_refused_while_something_is_claimed(errand: Any, asked: Any) -> None:
    saga = errand()
    claims.claim(["fetch"], 1, "busy")
    with pytest.raises(orchestrator.Conflict, match="being executed right now"):
        orchestrator.act(saga.pk, "edit", asked(data={"item": "pen"}))


def test_edited_data_is_checked_like_new_data(errand: Any, asked: Any) -> None:
    saga = errand()
    with pytest.raises(orchestrator.Invalid, match="NUL"):
        orchestrator.act(saga.pk, "edit", asked(data={"item": "\x00"}))
    assert Saga.objects.get(pk=saga.pk).version == 1


def test_restart_starts_a_linked_saga(errand: Any, asked: Any, pump: Pump, world: shop.World) -> None:
    world.behaviour["FetchService.Fetch"] = shop.reject()
    saga = rest(pump, errand())
    answer = orchestrator.act(saga.pk, "restart", asked())
    new = Saga.objects.get(pk=answer.created)
    assert (new.origin_id, new.origin_kind, new.data) == (saga.pk, "restart", saga.data)
    assert new.correlation_id == saga.correlation_id
    saga.refresh_from_db()
    assert saga.state == "failed"
    with pytest.raises(orchestrator.Conflict, match=str(new.pk)):
        orchestrator.act(saga.pk, "restart", asked())


@pytest.mark.parametrize(
    ("verb", "more", "says"),
    [
        ("retry", {"step": "fetch"}, "only a step in back-off or at attention"),
        ("resume", {}, "not paused"),
        ("restart", {}, "only one that failed"),
        ("resolve", {"step": "post", "outcome": "done"}, "only a step at attention"),
        ("approve", {"step": "fetch"}, "not waiting for an approval"),
        ("reject", {"step": "fetch"}, "not waiting for an approval"),
    ],
)
def test_a_verb_that_does_not_apply_is_refused_with_the_reason(
    errand: Any, asked: Any, verb: str, more: dict[str, Any], says: str
) -> None:
    saga = errand()
    with pytest.raises(orchestrator.Conflict, match=says) as caught:
        orchestrator.act(saga.pk, verb, asked(**more))
    assert caught.value.saga["version"] == 1
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize(
    ("verb", "more", "field"),
    [
        ("explode", {}, "verb"),
        ("retry", {}, "step"),
        ("retry", {"step": "nothing"}, "step"),
        ("compensate", {"reason": "  "}, "reason"),
        ("resolve", {"step": "fetch", "outcome": "maybe"}, "outcome"),
        ("edit", {}, "data"),
        ("resolve", {"step": "fetch"}, "outcome"),
        ("retry", {"step": "fetch", "outcome": "done"}, "outcome"),
        ("pause", {"data": {}}, "data"),
        ("pause", {"action_id": "x" * 101}, "action_id"),
        ("pause", {"version": "1"}, "version"),
    ],
)
def test_a_request_that_makes_no_sense_names_the_field(
    errand: Any, asked: Any, verb: str, more: dict[str, Any], field: str
) -> None:
    saga = errand()
    with pytest.raises(orchestrator.Invalid) as caught:
        orchestrator.act(saga.pk, verb, asked(**more))
    assert caught.value.field == field


def test_a_saga_that_is_not_there_is_said_to_be_missing(asked: Any) -> None:
    for saga_id in (uuid4(), "not-an-id"):
        with pytest.raises(orchestrator.NotFound):
            orchestrator.act(saga_id, "pause", asked())


def test_permission_is_checked_here_and_not_in_the_faces(errand: Any) -> None:
    saga = errand()
    user = get_user_model().objects.create_user("otto")
    plain = orchestrator.Asked(operator=user, via="api", reason="because")
    for call in (orchestrator.act, orchestrator.preview):
        with pytest.raises(orchestrator.Forbidden, match=r"sagas.pause_saga"):
            call(saga.pk, "pause", plain)
    user.user_permissions.add(Permission.objects.get(codename="pause_saga"))
    user = get_user_model().objects.get(pk=user.pk)
    orchestrator.act(saga.pk, "pause", orchestrator.Asked(operator=user, via="api", reason="because"))


def test_nobody_is_only_trusted_on_the_command_line(errand: Any) -> None:
    saga = errand()
    with pytest.raises(orchestrator.Forbidden):
        orchestrator.act(saga.pk, "pause", orchestrator.Asked(operator=None, via="api", reason="because"))
    orchestrator.act(saga.pk, "pause", orchestrator.Asked(operator=None, via="command", reason="because"))
    assert OperatorAction.objects.get().operator_name.startswith("shell")


def test_a_stale_version_is_told_who_moved_the_saga(held: Saga, asked: Any) -> None:
    orchestrator.act(held.pk, "pause", asked(reason="hands off"))
    with pytest.raises(orchestrator.Conflict, match="olga") as caught:
        orchestrator.act(held.pk, "compensate", asked(version=held.version))
    assert caught.value.moved_by is not None
    assert (caught.value.moved_by["operator"], caught.value.moved_by["reason"]) == ("olga", "hands off")
    assert caught.value.saga["version"] == held.version + 1
    assert Saga.objects.get(pk=held.pk).state == "pending"


def test_the_loser_is_told_even_if_the_saga_went_on_meanwhile(
    held: Saga, asked: Any, pump: Pump, world: shop.World
) -> None:
    del world.behaviour["PayService.Pay"]
    orchestrator.act(held.pk, "retry", asked(step="pay", reason="try that", version=held.version))
    seen = held.version
    assert rest(pump, held).state == "completed"
    with pytest.raises(orchestrator.Conflict, match="try that") as caught:
        orchestrator.act(held.pk, "compensate", asked(version=seen))
    assert caught.value.moved_by is not None


def test_the_same_action_id_gives_the_stored_answer(held: Saga, asked: Any) -> None:
    first = orchestrator.act(held.pk, "pause", asked(action_id="a1", version=held.version))
    orchestrator.act(held.pk, "resume", asked())
    again = orchestrator.act(held.pk, "pause", asked(action_id="a1", version=held.version))
    assert (first.repeated, again.repeated) == (False, True)
    assert first.saga == again.saga, "as it was then, though it has moved on"
    assert OperatorAction.objects.count() == 2


def test_a_step_with_the_longest_name_can_be_acted_on_without_an_action_id(pump: Pump, asked: Any) -> None:
    name = "x" * 100
    step = SagaStep(name, "FetchService.Fetch", hold=True, retry=shop.QUICK)
    with mock.patch.object(shop.Errand, "define_steps", return_value=[step]), shop.world() as world:
        world.behaviour["FetchService.Fetch"] = shop.reject()
        saga = rest(pump, shop.Errand().start({"item": "book"}))
        assert orchestrator.act(saga.pk, "retry", asked(step=name)).saga["state"] == "pending"


def test_an_action_id_cannot_be_used_for_something_else(held: Saga, asked: Any) -> None:
    orchestrator.act(held.pk, "pause", asked(action_id="a1"))
    with pytest.raises(orchestrator.Invalid, match="already used"):
        orchestrator.act(held.pk, "resume", asked(action_id="a1"))


@pytest.mark.parametrize(
    ("verb", "one", "other"),
    [
        ("edit", {"data": {"item": "book", "n": 1}}, {"data": {"item": "book", "n": 2}}),
        ("resolve", {"outcome": "done", "result": {"n": (1, 2)}}, {"outcome": "done"}),
        ("resolve", {"outcome": "done"}, {"outcome": "waived"}),
    ],
)
def test_an_action_id_cannot_be_used_for_another_answer(
    held: Saga, asked: Any, verb: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    step = {"step": "pay"} if verb == "resolve" else {}
    orchestrator.act(held.pk, verb, asked(action_id="a1", **step, **one))
    assert orchestrator.act(held.pk, verb, asked(action_id="a1", **step, **one)).repeated
    with pytest.raises(orchestrator.Conflict, match="not as it is asked for now") as no:
        orchestrator.act(held.pk, verb, asked(action_id="a1", **step, **other))
    assert no.value.moved_by
    assert no.value.moved_by["verb"] == verb
    assert OperatorAction.objects.count() == 1


def test_two_operators_at_the_same_moment_one_wins_and_the_other_is_told(held: Saga, asked: Any) -> None:
    barrier, outcomes = threading.Barrier(2), []

    def press(action_id: str) -> None:
        barrier.wait()
        try:
            orchestrator.act(held.pk, "retry", asked(step="pay", version=held.version, action_id=action_id))
            outcomes.append("won")
        except orchestrator.Conflict as lost:
            outcomes.append("told" if lost.moved_by else "lost")
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["told", "won"]
    assert OperatorAction.objects.count() == 1
    assert Event.objects.filter(saga=held, type="StepDispatched", step="pay").count() == 2


def test_a_preview_says_what_will_be_called_and_changes_nothing(stuck: Saga, asked: Any) -> None:
    plan = orchestrator.preview(stuck.pk, "retry", asked(step="pay", reason=""))
    (call,) = plan.calls
    assert call["command"] == "PayService.Refund"
    assert call["key"] == f"{stuck.pk}:pay:undo:1"
    assert call["repeated"]
    assert [c["command"] for c in plan.then] == ["FetchService.Return"]
    assert plan.ends == "failed"
    assert Saga.objects.get(pk=stuck.pk).version == stuck.version


def test_a_preview_is_refused_where_the_verb_would_be(errand: Any, asked: Any) -> None:
    with pytest.raises(orchestrator.Conflict, match="not paused"):
        orchestrator.preview(errand().pk, "resume", asked())


def test_the_snapshot_knows_which_verbs_apply(held: Saga) -> None:
    document = orchestrator.snapshot(held)
    applies = {(v["verb"], v["step"]) for v in document["verbs"] if v["applies"]}
    assert {("retry", "pay"), ("skip", "pay"), ("resolve", "pay"), ("compensate", None)} <= applies
    assert ("retry", "fetch") not in applies
    assert all(v["reason"] for v in document["verbs"] if not v["applies"])
    assert "held for your decision" in document["why"]["text"]
    assert document["why"]["verbs"][0]["verb"] == "retry"


def test_the_preview_of_an_edit_names_only_what_keeps_its_data(
    errand: Any, asked: Any, pump: Pump, world: shop.World
) -> None:
    def wrong(sent: Any) -> Any:
        if world.count["PayService.Pay"] == 1:
            raise Misconfigured("404")

    world.behaviour["PayService.Pay"] = wrong
    saga = rest(pump, errand())
    orchestrator.act(saga.pk, "retry", asked(step="pay"))
    edit = asked(data={"item": "pen"})
    assert not [s for s in orchestrator.preview(saga.pk, "edit", edit).sentences if "were sent with" in s]
    orchestrator.act(saga.pk, "edit", edit)
    assert rest(pump, saga).state == "completed"
    assert [sent["item"] for sent in world.calls if sent.name == "PayService.Pay"] == ["book", "pen"]
