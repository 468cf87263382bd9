"""A command gets another name while sagas are under way: previewed, applied saga by saga, audited; nothing is lost."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from sagas import Later, command, orchestrator, registry, stranded
from sagas.core.definition import SagaDefinition
from sagas.core.events import event_from
from sagas.core.messages import Completed
from sagas.engine import Pump, claims
from sagas.models import Due, Event, OperatorAction, Saga, Step
from sagas.orchestrator import pins, remapping
from sagas.orchestrator.remapping import Remapped
from tests.sagas import shop
from tests.sagas.running import assert_rows_are_the_fold, rest

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "PayService.Pay", "MoneyService.Charge"
NAMES = {OLD: NEW}


@pytest.fixture
def deploy() -> Iterator[Callable[..., None]]:
    """Deploy code in which the handler has its new name, and the old one is gone."""
    with mock.patch.dict(registry._commands), mock.patch.dict(registry._formerly):

        def anew(old: str = OLD, new: str = NEW, formerly: tuple[str, ...] = ()) -> None:
            handler = registry._commands.pop(old)
            command(new, inbox=True, formerly=formerly)(handler.function)

        yield anew


@pytest.fixture
def pump() -> Pump:
    return Pump(("fetch", "pay", "money", "post", "default", "events", "waits"), "test-worker")


def remap(asked: Any, names: Any = NAMES, saga_type: str | None = None) -> list[Remapped]:
    return list(orchestrator.remap(names, asked, saga_type))


def pinned_by_the_log(saga: Saga) -> SagaDefinition:
    """Follow the definition through the saga's events, from the first to the last."""
    changes = list(Event.objects.filter(saga=saga, type="DefinitionChanged").order_by("sequence"))
    definition = pins.definition(changes[0].data["before"])
    for change in changes:
        event: Any = event_from(
            change.type, at=change.at, version=change.version, step=None, data=change.data
        )
        assert event.before == definition.digest
        definition = definition.renamed(event.renamed)
        assert event.after == definition.digest
    return definition


def assert_the_log_says_what_is_pinned(saga: Saga) -> None:
    saga.refresh_from_db()
    assert_rows_are_the_fold(saga)
    definition = pinned_by_the_log(saga)
    assert saga.definition_id == definition.digest
    rows = Step.objects.filter(saga=saga).values_list("name", "action", "compensation")
    assert list(rows) == [(s.name, s.action, s.compensation) for s in definition.steps]


def test_what_waits_for_a_handler_goes_on_under_the_new_name_and_the_same_key(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    saga = errand()
    deploy()
    pump.run(30)
    step = Step.objects.get(saga=saga, name="pay")
    assert (step.attention, step.action_number) == ("no_handler", 4)
    (batch,) = remap(asked())
    assert (batch.done, batch.left) == ([saga.pk], {})
    assert rest(pump, saga).state == "completed"
    (paid,) = [sent for sent in world.calls if sent.name == NEW]
    assert (paid.meta.key, paid.meta.number) == (f"{saga.pk}:pay:do:1", step.action_number)
    assert_the_log_says_what_is_pinned(saga)


def test_what_is_due_moves_to_the_queue_of_the_new_name(errand: Any, deploy: Any, asked: Any) -> None:
    saga = errand()
    orchestrator.step_completed(saga.pk, "fetch", {"by": "hand"})
    before = Due.objects.get(saga=saga)
    deploy()
    remap(asked())
    after = Due.objects.get(saga=saga)
    assert (before.name, before.queue, after.name, after.queue) == (OLD, "pay", NEW, "money")
    same = ("pk", "number", "generation", "attempt", "due_at")
    assert [getattr(before, name) for name in same] == [getattr(after, name) for name in same]
    assert_the_log_says_what_is_pinned(saga)


def test_a_reply_that_was_promised_is_still_awaited(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    world.behaviour[OLD] = lambda _: Later(within=3600)
    saga = errand()
    pump.run(30)
    before = Due.objects.get(saga=saga)
    deploy()
    remap(asked())
    after = Due.objects.get(saga=saga)
    assert (after.name, after.queue, after.due_at) == (NEW, registry.WAITS_QUEUE, before.due_at)
    assert orchestrator.step_completed(saga.pk, "pay", {"by": "the bank"})
    assert rest(pump, saga).state == "completed"
    assert NEW not in world.names, "it was taken on under its old name"
    assert_the_log_says_what_is_pinned(saga)


@pytest.mark.parametrize("more", [{}, {NEW: "BankService.Charge"}], ids=["once", "twice"])
def test_who_was_asked_under_a_former_name_may_still_call_back(
    errand: Any, deploy: Any, asked: Any, pump: Pump, world: shop.World, more: dict[str, str]
) -> None:
    world.behaviour[OLD] = lambda _: Later(within=3600)
    saga = errand()
    pump.run(30)
    deploy()
    remap(asked())
    if more:
        deploy(NEW, more[NEW])
        orchestrator.remap(more, asked())
    number = Step.objects.get(saga=saga, name="pay").action_number
    assert number is not None
    with pytest.raises(orchestrator.NotFound):
        orchestrator.call_back(saga.pk, "FetchService", Completed(number, {}, inbox=True))
    assert orchestrator.call_back(saga.pk, "PayService", Completed(number, {"paid": 1}, inbox=True)) is False
    saga.refresh_from_db()
    assert saga.results["pay"] == {"paid": 1}


def test_what_a_worker_holds_is_left_alone_and_follows_when_asked_again(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    saga, other = errand(), errand()
    orchestrator.step_completed(saga.pk, "fetch")
    (work,) = claims.claim(["pay"], 10, "w")
    deploy()
    held = Due.objects.get(saga=saga)
    (batch,) = remap(asked())
    assert batch.done == [other.pk]
    assert "being executed right now" in batch.left[saga.pk]
    assert Due.objects.get(saga=saga).name == held.name == OLD
    assert Saga.objects.get(pk=saga.pk).version == 2
    claims.put_off(work, 0, "given back")
    assert [each.done for each in remap(asked())] == [[saga.pk]]
    assert rest(pump, saga).state == "completed"


def test_another_command_of_the_saga_may_be_held_meanwhile(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    """And its reply, which was decided on the old definition, finds the new one."""
    saga = errand()

    def rename_meanwhile(_: Any) -> Any:
        deploy()
        assert remap(asked())[0].done == [saga.pk]
        return {"by": "fetch"}

    world.behaviour["FetchService.Fetch"] = rename_meanwhile
    assert rest(pump, saga).state == "completed"
    assert world.names == ["FetchService.Fetch", NEW, "PostService.Post"]
    assert_the_log_says_what_is_pinned(saga)


def test_a_renamed_undo_is_found_on_the_way_back(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    world.behaviour["PostService.Post"] = shop.reject()
    saga = errand()
    deploy("PayService.Refund", "MoneyService.GiveBack")
    pump.run(30)
    assert Step.objects.get(saga=saga, name="pay").attention == "no_handler"
    remap(asked(), {"PayService.Refund": "MoneyService.GiveBack"})
    assert rest(pump, saga).state == "failed"
    (sent,) = [sent for sent in world.calls if sent.name == "MoneyService.GiveBack"]
    assert (sent.meta.key, sent.meta.undoes) == (f"{saga.pk}:pay:undo:1", f"{saga.pk}:pay:do:1")
    assert_the_log_says_what_is_pinned(saga)


def test_a_rollback_of_the_deploy_is_a_rename_back(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    saga = errand()
    first = saga.definition_id
    deploy()
    remap(asked())
    deploy(NEW, OLD)
    remap(asked(), {NEW: OLD})
    assert rest(pump, saga).state == "completed"
    assert (saga.definition_id, OLD in world.names) == (first, True)
    assert_the_log_says_what_is_pinned(saga)


def test_nothing_changes_twice_and_nothing_that_is_over(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    done = rest(pump, errand())
    saga = errand()
    deploy()
    assert [batch.done for batch in remap(asked())] == [[saga.pk]]
    assert remap(asked()) == []
    done.refresh_from_db()
    assert Step.objects.get(saga=done, name="pay").action == OLD
    action = OperatorAction.objects.get()
    assert (action.saga_id, action.verb, action.operator_name, action.reason) == (
        saga.pk, "remap", "olga", "because",
    )  # fmt: skip
    assert (action.version_before, action.version_after) == (1, 2)


def test_it_can_be_asked_of_one_type_only(errand: Any, deploy: Any, asked: Any, world: shop.World) -> None:
    errand()
    deploy()
    assert remap(asked(), saga_type="Another") == []
    assert orchestrator.affected(NAMES, "Another") == []
    assert len(remap(asked(), saga_type="Errand")) == 1


def test_many_are_taken_in_batches_with_as_many_statements_for_each(
    errand: Any, deploy: Any, asked: Any, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        errand()
    deploy()
    with mock.patch.object(remapping, "BATCH", 2):
        assert [len(batch.done) for batch in remap(asked())] == [2, 2, 1]
    deploy(NEW, OLD)
    with django_assert_max_num_queries(30):
        remap(asked(), {NEW: OLD})


def test_the_preview_counts_and_changes_nothing(
    errand: Any, pump: Pump, world: shop.World, deploy: Any
) -> None:
    waiting = errand()
    deploy()
    pump.run(30)
    errand()
    (found,) = orchestrator.affected(NAMES)
    assert (found.saga_type, found.step, found.role, found.old, found.new) == (
        "Errand", "pay", "action", OLD, NEW,
    )  # fmt: skip
    assert (found.sagas, found.go_on, found.claimed) == (2, 1, 0)
    assert str(waiting.pk) in found.examples
    assert not Event.objects.filter(type="DefinitionChanged").exists()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({OLD: "Nobody.Does"}, "nobody handles Nobody.Does"),
        ({OLD: OLD}, "is called so already"),
        ({"CANNOT_UNDO": OLD}, "must be a command's name"),
        ({}, "no command has a former name"),
    ],
)
def test_a_name_that_would_strand_them_is_refused(
    errand: Any, asked: Any, names: dict[str, str], said: str
) -> None:
    errand()
    for call in (lambda: remap(asked(), names), lambda: orchestrator.affected(names)):
        with pytest.raises(orchestrator.Invalid, match=said):
            call()


def test_it_needs_a_permission_and_a_reason(errand: Any, deploy: Any, asked: Any) -> None:
    errand()
    deploy()
    clerk = get_user_model().objects.create_user("clerk")
    with pytest.raises(orchestrator.Forbidden, match="edit_saga"):
        remap(asked(operator=clerk))
    with pytest.raises(orchestrator.Forbidden):
        remap(asked(operator=None))
    with pytest.raises(orchestrator.Invalid, match="reason"):
        remap(asked(reason=" "))
    with pytest.raises(orchestrator.Invalid, match="reason: must be at most 2000 characters"):
        remap(asked(reason="x" * 2001))
    clerk.user_permissions.add(Permission.objects.get(codename="edit_saga"))
    assert remap(asked(operator=get_user_model().objects.get(pk=clerk.pk)))[0].done


def test_a_handler_serves_its_former_name_until_then(
    errand: Any, pump: Pump, world: shop.World, deploy: Any, asked: Any
) -> None:
    saga, other = errand(), errand(hold=True)
    deploy(formerly=(OLD,))
    assert stranded.findings() == []
    assert {"pay", "money"} <= set(registry.queues())
    assert registry.queue_for(OLD) == "money"
    world.behaviour["PostService.Post"] = shop.reject()
    pump.run(30)
    assert world.count[OLD] == 2, "as they were promised, by the handler that has a new name"
    other.refresh_from_db()
    assert (other.attention, Saga.objects.get(pk=saga.pk).state) == ("held", "failed")
    assert remap(asked(), registry.former_names())[0].done == [other.pk]


def test_a_name_means_one_command(deploy: Any) -> None:
    deploy(formerly=(OLD,))
    with pytest.raises(registry.AlreadyRegistered, match=f"former name of {NEW}"):
        command(OLD)(lambda _: None)
    with pytest.raises(registry.AlreadyRegistered, match="it has a handler"):
        command("A.B", formerly=("PostService.Post",))(lambda _: None)
    with pytest.raises(registry.AlreadyRegistered, match="already a former name"):
        command("A.B", formerly=(OLD,))(lambda _: None)
    with pytest.raises(TypeError, match="lists names"):
        command("A.B", formerly=OLD)(lambda _: None)


def test_the_desk_tells_it_in_the_log(
    errand: Any, operator: Any, client: Client, deploy: Any, asked: Any
) -> None:
    saga = errand()
    deploy()
    remap(asked())
    client.force_login(operator)
    page = client.get(reverse("saga-detail", args=[saga.pk])).content.decode()
    assert f"{OLD} is {NEW}" in page
    assert "olga</b>: remap" in page


@pytest.fixture
def run(capsys: Any, monkeypatch: Any) -> Callable[..., tuple[int, str, str]]:
    """Run ``manage.py saga …``."""
    from sagas.management.commands.saga import Command

    monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)

    def command_line(*words: str) -> tuple[int, str, str]:
        code = 0
        try:
            Command().run_from_argv(["manage.py", "saga", *words])
        except SystemExit as end:
            code = int(end.code or 0)
        return (code, *capsys.readouterr())

    return command_line


def test_the_command_previews_and_applies(errand: Any, deploy: Any, run: Any) -> None:
    saga = errand()
    deploy(formerly=(OLD,))
    assert f"Running sagas of type Errand name {OLD}, which is {NEW} now: 1" in run("check")[2]
    code, out, err = run("remap", OLD, NEW, "--dry-run")
    assert (code, json.loads(out)[0]["sagas"]) == (0, 1)
    assert f"the action of step pay, {OLD}, is {NEW}" in err
    assert run("remap", OLD, NEW)[0] == 2
    assert run("remap", "Strange.Name", "--reason", "x")[0] == 2
    assert run("remap", OLD, "Strange.Name", "--reason", "x")[0] == 1
    code, out, err = run("remap", "--reason", "renamed in 2.0")
    assert (code, out) == (0, f"{saga.pk}\n")
    assert "1 saga changed" in err
    assert OperatorAction.objects.get().via == "command"


def test_the_command_says_what_was_left(errand: Any, deploy: Any, run: Any) -> None:
    orchestrator.step_completed(errand().pk, "fetch")
    claims.claim(["pay"], 10, "w")
    deploy()
    code, out, err = run("remap", OLD, NEW, "--reason", "x")
    assert (code, out) == (1, "")
    assert "being executed right now" in err
    assert "1 being executed right now" in run("remap", OLD, NEW, "--dry-run")[2]


def test_the_check_says_that_a_name_may_have_changed(errand: Any, deploy: Any, run: Any) -> None:
    errand()
    deploy(OLD, "PayService.PayNow")
    code, _, err = run("check")
    assert code == 1
    assert f"nobody handles {OLD}" in err
    assert f'write @command("PayService.PayNow", formerly=("{OLD}",)), which serves both' in err
    assert f"`saga remap {OLD} PayService.PayNow`" in err


def test_what_stopped_before_is_named_with_the_verb_that_it_waits_for(
    errand: Any, deploy: Any, run: Any
) -> None:
    saga = errand()
    Step.objects.filter(saga=saga, name="fetch").update(attention="misconfigured")
    deploy()
    code, _, err = run("remap", OLD, NEW, "--reason", "renamed")
    assert code == 0
    assert f"{saga.pk} has stopped at misconfigured before: `saga retry {saga.pk} --step fetch" in err
