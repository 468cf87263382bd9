"""What a deploy would strand is named before: by type, step and command, counted, with examples; nothing else is."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.core import checks
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from pydantic import BaseModel
from pytest_django import DjangoAssertNumQueries

from sagas import SagaOrchestrator, SagaStep, child, orchestrator, registry, stranded
from sagas.clock import database_now
from sagas.engine import Pump
from sagas.management.commands._saga import upkeep
from sagas.models import Definition, Process, Saga
from tests.sagas import functions, shop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def without() -> Iterator[Callable[[str], None]]:
    """Take handlers away, as a deploy might."""
    with mock.patch.dict(registry._commands):
        yield lambda name: registry._commands.pop(name) and None


def said(found: list[stranded.Finding]) -> list[tuple[Any, ...]]:
    return [(f.kind, f.saga_type, f.step, f.role, f.name, f.sagas) for f in found]


def held_at(step: str, errand: Any, pump: Pump, world: shop.World, **data: Any) -> Saga:
    """Return a saga that waits for a person at a step."""
    service = {"fetch": "FetchService.Fetch", "pay": "PayService.Pay", "post": "PostService.Post"}[step]
    with mock.patch.dict(world.behaviour, {service: shop.reject()}):
        saga = errand(hold=True, **data)
        pump.run(30)
    saga.refresh_from_db()
    assert saga.attention == "held"
    return saga


def test_nothing_is_stranded_while_the_code_has_all_of_it(errand: Any) -> None:
    errand()
    assert stranded.findings() == []


def test_a_missing_action_strands_those_that_still_need_it(
    errand: Any, pump: Pump, world: shop.World, without: Callable[[str], None]
) -> None:
    held_at("post", errand, pump, world)  # it has paid: that action is not called again
    waiting = {str(errand().pk), str(errand().pk)}
    without("PayService.Pay")
    (found,) = stranded.findings()
    assert said([found]) == [("handler", "Errand", "pay", "action", "PayService.Pay", 2)]
    assert set(found.examples) == waiting
    assert "nobody handles PayService.Pay, the action of step pay" in str(found)


def test_a_missing_undo_strands_what_may_yet_roll_back(
    errand: Any, pump: Pump, world: shop.World, without: Callable[[str], None]
) -> None:
    held_at("post", errand, pump, world)
    without("PayService.Refund")
    assert said(stranded.findings()) == [("handler", "Errand", "pay", "compensation", "PayService.Refund", 1)]


def test_behind_the_pivot_no_undo_is_missed(
    world: shop.World, pump: Pump, without: Callable[[str], None]
) -> None:
    saga = Pivoted().start({})
    world.behaviour["PostService.Post"] = shop.reject()
    pump.run(30)
    saga.refresh_from_db()
    assert saga.attention == "held"
    without("FetchService.Return")
    assert stranded.findings() == []
    without("PostService.Post")
    assert said(stranded.findings()) == [("handler", "Pivoted", "post", "action", "PostService.Post", 1)]


class Pivoted(SagaOrchestrator):
    """Fetch, pay for good, and post."""

    saga_type = "Pivoted"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [
            SagaStep("fetch", "FetchService.Fetch", "FetchService.Return"),
            SagaStep("pay", "PayService.Pay", pivot=True),
            SagaStep("post", "PostService.Post", retriable=True),
        ]


def test_sagas_that_are_over_and_imported_ones_are_left_alone(
    errand: Any, pump: Pump, world: shop.World, without: Callable[[str], None]
) -> None:
    errand()
    pump.run(30)
    Saga.objects.filter(pk=errand().pk).update(origin_kind="import")
    without("PayService.Pay")
    assert stranded.findings() == []
    mine = errand()
    assert [(found.sagas, found.examples) for found in stranded.findings()] == [(1, (str(mine.pk),))]


def test_a_type_that_is_gone_is_named(errand: Any) -> None:
    saga = errand()
    with mock.patch.dict(registry._saga_types):
        del registry._saga_types["Errand"]
        (found,) = stranded.findings()
    assert (found.kind, found.sagas, found.examples) == ("type", 1, (str(saga.pk),))
    assert "no longer defined" in str(found)


class Household(SagaOrchestrator):
    """An errand, and another saga as its child."""

    saga_type = "Household"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [
            SagaStep("fetch", "FetchService.Fetch", "FetchService.Return"),
            child("shop", "Pivoted", data={}),
        ]


def test_a_child_yet_to_begin_whose_type_is_gone_is_named(pump: Pump, world: shop.World) -> None:
    world.behaviour["PostService.Post"] = shop.reject()
    begun = Household().start({})
    pump.run(30)
    assert Saga.objects.get(origin=begun, origin_kind="child").attention == "held"
    fresh = Household().start({})
    with mock.patch.dict(registry._saga_types):
        del registry._saga_types["Pivoted"]
        found = [each for each in stranded.findings() if each.kind == "child"]
    assert said(found) == [("child", "Household", "shop", "child", "Pivoted", 1)]
    assert found[0].examples == (str(fresh.pk),)
    assert "the saga type Pivoted, the child of step shop, is no longer defined" in str(found[0])


def test_a_child_that_a_function_has_asked_for_is_missed_too(world: shop.World) -> None:
    with functions.doing(lambda saga, data: saga.child("errand", "Pivoted", {})):
        saga = functions.errands.start({})
        Pump(("default",), "not-for-children").run(1)
        with mock.patch.dict(registry._saga_types):
            del registry._saga_types["Pivoted"]
            (found,) = stranded.findings()
    assert said([found]) == [("child", "Errands", "errand", "child", "Pivoted", 1)]
    assert list(found.ids) == [saga.pk]


def test_a_probe_that_a_function_has_named_is_missed_too(world: shop.World) -> None:
    with functions.doing(lambda saga, data: functions.fetch(saga, probe="FetchService.Ask")):
        saga = functions.errands.start({})
        Pump(("default",), "not-for-fetching").run(1)
        (found,) = stranded.findings()
    assert said([found]) == [("handler", "Errands", "fetch", "probe", "FetchService.Ask", 1)]
    assert (list(found.ids), found.examples) == ([saga.pk], (str(saga.pk),))


def test_more_reasons_than_people_read_are_counted_with_the_last(
    world: shop.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        functions.errands.start({})
    monkeypatch.setattr(stranded.functions, "REASONS", 2)
    monkeypatch.setattr(stranded.functions, "_difference", mock.Mock(side_effect=["a", "b", "a", "c"]))
    assert [(f.why.rpartition(" ")[2], f.sagas) for f in stranded.findings()] == [("a", 2), ("b", 2)]


def test_data_that_a_handlers_model_refuses_is_named(errand: Any) -> None:
    class Priced(BaseModel):
        item: str
        price: int
        results: dict[str, dict[str, int]]

    errand(price=1)
    saga = errand()
    handler = registry._commands["PayService.Pay"]
    with mock.patch.dict(registry._commands, {handler.name: handler_with(handler, Priced)}):
        (found,) = stranded.findings()
    assert said([found]) == [("data", "Errand", "pay", "action", "PayService.Pay", 1)]
    assert found.examples == (str(saga.pk),)
    assert "price: Field required" in str(found)


def handler_with(handler: registry.Command, model: type[BaseModel]) -> registry.Command:
    return registry.Command(handler.name, handler.function, handler.queue, handler.inbox, model)


def test_a_participant_with_workers_of_its_own_is_not_missed_unless_asked_to(
    errand: Any, run_check: Callable[..., tuple[int, str]], without: Callable[[str], None]
) -> None:
    errand()
    for name in ("PayService.Pay", "PayService.Refund"):
        without(name)
    assert "nobody handles PayService.Pay" in run_check()[1]
    now = database_now()
    Process.objects.create(
        name="w", kind="worker", queues=["pay"], host="h", pid=1, started_at=now, seen_at=now
    )
    code, text = run_check()
    assert code == 0
    assert "only a process with other code serves the queue of PayService.Pay" in text
    assert run_check("--alone")[0] == 1
    found = json.loads(run_check("--json", "--alone")[1].rpartition("problems.\n")[2])
    assert {(each["name"], each["sagas"], each["elsewhere"]) for each in found["stranded"]} == {
        ("PayService.Pay", 1, True),
        ("PayService.Refund", 1, True),
    }


@pytest.fixture
def run_check(capsys: Any, monkeypatch: Any, db: None) -> Callable[..., tuple[int, str]]:
    """Run ``saga check``."""
    from sagas.management.commands.saga import Command

    monkeypatch.setattr("django.core.management.base.connections.close_all", lambda: None)
    monkeypatch.setattr(
        upkeep, "system_problems", lambda _: []
    )  # the types' own samples are checked elsewhere

    def run(*words: str) -> tuple[int, str]:
        try:
            Command().run_from_argv(["manage.py", "saga", "check", *words])
        except SystemExit as end:
            return int(end.code or 0), "\n".join(reversed(capsys.readouterr()))
        return 0, "\n".join(reversed(capsys.readouterr()))

    return run


def test_every_one_of_them_is_named_when_asked_for(
    errand: Any, run_check: Callable[..., tuple[int, str]], without: Callable[[str], None]
) -> None:
    ids = {str(errand().pk) for _ in range(5)}
    for name in ("PayService.Pay", "PayService.Refund"):
        without(name)
    named = [line for line in run_check("--ids")[1].splitlines() if line in ids]
    assert sorted(named) == sorted(ids), "each once, though it lacks two commands"


def test_the_number_of_questions_does_not_depend_on_the_number_of_sagas(
    errand: Any, without: Callable[[str], None], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    without("PayService.Pay")
    for _ in range(3):
        errand()
    with django_assert_max_num_queries(5):
        stranded.findings()


def test_a_deploy_check_asks_the_database_only_when_told_to(
    errand: Any, without: Callable[[str], None]
) -> None:
    errand()
    without("PayService.Pay")

    def found(**how: Any) -> list[Any]:
        return [m for m in checks.run_checks(**how) if m.id == "sagas.W013"]

    (message,) = found(include_deployment_checks=True, databases=["default"])
    assert "PayService.Pay" in message.msg
    assert found(include_deployment_checks=True) == found(databases=["default"]) == []
    with mock.patch.object(Saga.objects, "active", side_effect=OperationalError("no such table")):
        assert found(include_deployment_checks=True, databases=["default"]) == []


def test_a_saga_of_the_old_version_keeps_its_steps_beside_one_of_the_new(
    errand: Any, pump: Pump, world: shop.World
) -> None:
    """The new code drops a step and calls another action; what began before goes on as it began."""
    old = errand()

    today = [SagaStep("fetch", "FetchService.Fetch"), SagaStep("send", "PostService.Post")]
    with mock.patch.object(shop.Errand, "define_steps", return_value=today):
        new = errand()
        pump.run(30)
    log = [(sent.meta.saga_id, sent.name) for sent in world.calls]
    called = {pk: [name for saga, name in log if saga == str(pk)] for pk in (old.pk, new.pk)}
    assert called[old.pk] == ["FetchService.Fetch", "PayService.Pay", "PostService.Post"]
    assert called[new.pk] == ["FetchService.Fetch", "PostService.Post"]
    assert set(Saga.objects.values_list("state", flat=True)) == {"completed"}
    assert Definition.objects.count() == 2


def test_the_desk_shows_the_versions_side_by_side(
    errand: Any, operator: Any, client: Client, without: Callable[[str], None]
) -> None:
    errand(hold=True)
    errand(branches=True)
    without("PayService.Pay")
    client.force_login(operator)
    page = client.get(reverse("saga-type-detail", args=["Errand"])).content.decode()
    for digest in Definition.objects.values_list("digest", flat=True):
        assert digest[:8] in page
    assert "nobody handles it here" in page
    assert "2 running sagas of type Errand" in page


def test_an_old_saga_can_be_restarted_with_the_steps_of_today(
    errand: Any, pump: Pump, world: shop.World, asked: Any
) -> None:
    world.behaviour["PayService.Pay"] = shop.reject()
    old = errand()
    pump.run(30)
    today = [SagaStep("fetch", "FetchService.Fetch")]
    with mock.patch.object(shop.Errand, "define_steps", return_value=today):
        answer = orchestrator.act(old.pk, "restart", asked())
    assert Saga.objects.get(pk=answer.created).steps.count() == 1
