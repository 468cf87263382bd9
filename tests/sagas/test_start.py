"""Starting sagas: what is recorded, what is refused, and that one key starts one saga."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync, iscoroutinefunction
from django.contrib.auth import get_user_model
from django.core.exceptions import SynchronousOnlyOperation
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils.functional import SimpleLazyObject
from pydantic import BaseModel, PositiveInt

from sagas import SagaOrchestrator, SagaStep, orchestrator, registry
from sagas.models import Definition, Due, Event, Saga, Step
from sagas.orchestrator import pins
from sagas.orchestrator.company import Company
from sagas.orchestrator.start import _keyed, fingerprint
from sagas.signals import committed
from sagas.testing import given
from tests.forgetting import forget_definitions
from tests.sagas import shop
from tests.waiting import until

pytestmark = pytest.mark.django_db


DEEP: Any = []
for _ in range(300):
    DEEP = [DEEP]


class CheckedData(BaseModel):
    count: PositiveInt
    nested: dict[str, int] = {}


class Checked(SagaOrchestrator):
    saga_type = "Checked"

    data_model = CheckedData

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        return [SagaStep(f"step{i}", "FetchService.Fetch") for i in range(data["count"])]


def test_a_started_saga_is_recorded_with_its_first_step_due(errand: Any) -> None:
    saga = Saga.objects.get(pk=errand().pk)
    assert (saga.state, saga.version, saga.sequence) == ("pending", 1, 2)
    assert list(saga.steps.values_list("name", "status")) == [
        ("fetch", "executing"),
        ("pay", "pending"),
        ("post", "pending"),
    ]
    assert list(saga.events.values_list("sequence", "version", "type")) == [
        (1, 1, "SagaStarted"),
        (2, 1, "StepDispatched"),
    ]
    due = Due.objects.get(saga=saga)
    assert (due.queue, due.name, due.number, due.lease_token) == ("fetch", "FetchService.Fetch", 2, None)


def test_equal_definitions_are_stored_once(errand: Any) -> None:
    errand()
    errand(item="pen")
    assert Definition.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_definitions_that_each_saga_has_for_itself_are_not_remembered_for_ever(
    errand: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "REMEMBERED", 2)
    forget_definitions()
    for more in ({}, {"hold": True}, {"branches": True}, {"pivot": True}, {"hold": True}):
        errand(**more)
    digests = [Saga.objects.order_by("-pk")[n].definition_id for n in (1, 0)]
    assert list(pins._stored) == digests, "the latest two"
    assert Definition.objects.count() == 4


def test_one_key_starts_one_saga(world: Any) -> None:
    first = orchestrator.start("Errand", {"item": "a"}, idempotency_key="k")
    again = orchestrator.start("Errand", {"item": "a"}, idempotency_key="k")
    assert (first.created, again.created, again.saga.pk) == (True, False, first.saga.pk)


def test_a_key_used_with_other_data_names_the_saga(world: Any) -> None:
    first = orchestrator.start("Errand", {"item": "a"}, idempotency_key="k")
    with pytest.raises(orchestrator.KeyTaken, match=str(first.saga.pk)) as caught:
        orchestrator.start("Errand", {"item": "b"}, idempotency_key="k")
    assert caught.value.saga_id == first.saga.pk


@pytest.mark.django_db(transaction=True)
def test_one_key_starts_one_saga_even_at_the_same_moment(world: Any) -> None:
    barrier, found = threading.Barrier(4), []

    def begin() -> None:
        barrier.wait()
        try:
            found.append(orchestrator.start("Errand", {"item": "a"}, idempotency_key="k").saga.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert Saga.objects.count() == 1


@pytest.mark.parametrize(
    ("saga_type", "data", "error", "says"),
    [
        ("Nobody", {}, orchestrator.NotFound, "Errand"),
        ("Errand", {}, orchestrator.Invalid, "item"),
        ("Errand", [], orchestrator.Invalid, "must be an object"),
        ("Errand", {"item": "a\x00b"}, orchestrator.Invalid, "NUL"),
        ("Errand", {"item": float("nan")}, orchestrator.Invalid, "JSON"),
        ("Errand", {"item": object()}, orchestrator.Invalid, "JSON"),
        ("Errand", {"item": "\ud800"}, orchestrator.Invalid, "surrogate"),
        ("Errand", {"item": DEEP}, orchestrator.Invalid, "levels deep"),
        ("Checked", {"count": -1}, orchestrator.Invalid, "data.count"),
        ("Checked", {"count": 1, "nested": {"a": "x"}}, orchestrator.Invalid, "data.nested.a"),
        ("Checked", {}, orchestrator.Invalid, "data.count"),
    ],
)
def test_what_cannot_be_started_is_refused_with_the_field_and_the_reason(
    saga_type: str, data: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        orchestrator.start(saga_type, data)
    assert not Saga.objects.exists()


@pytest.mark.parametrize("name", ["saga_id", "step_name", "results", "original_result"])
def test_data_that_handlers_would_never_see_is_refused(world: Any, name: str) -> None:
    data = {"item": "book", name: "mine"}
    with pytest.raises(orchestrator.Invalid, match=f"data.{name}: would be hidden .* give it another name"):
        orchestrator.start("Errand", data)
    with pytest.raises(orchestrator.Invalid, match=f"data.{name}"):
        orchestrator.start_many("Errand", [{"item": "pen"}, data])
    with pytest.raises(orchestrator.Invalid, match=f"data.{name}"):
        given(shop.Errand, data)
    assert not Saga.objects.exists()
    assert orchestrator.start("Errand", {"item": {name: "mine"}}).created, "further down nothing covers it"


def test_what_was_started_with_such_data_before_is_found_by_its_key_and_edited(
    world: Any, asked: Any
) -> None:
    old, data = (
        orchestrator.start("Errand", {"item": "book"}, idempotency_key="k").saga,
        {"item": "pen", "results": 1},
    )
    Saga.objects.filter(pk=old.pk).update(data=data, fingerprint=fingerprint(data))
    assert orchestrator.start("Errand", data, idempotency_key="k").saga.pk == old.pk
    assert orchestrator.act(old.pk, "edit", asked(data={**data, "item": "cup"})).saga["data"]["results"] == 1


@pytest.mark.parametrize("who", ["mia", 7, object()])
def test_whoever_starts_a_saga_must_be_a_user(world: Any, who: Any) -> None:
    with pytest.raises(orchestrator.Invalid, match="started_by: must be a user, or None, not"):
        orchestrator.start("Errand", {"item": "book"}, started_by=who)
    mia = get_user_model().objects.create_user("mia")
    for user in (mia, SimpleLazyObject(lambda: mia)):
        assert orchestrator.start("Errand", {"item": "book"}, started_by=user).saga.started_by == mia


def test_a_start_that_the_caller_rolls_back_never_was(errand: Any) -> None:

    @transaction.atomic
    def caller() -> None:
        errand()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        caller()
    assert not Saga.objects.exists()
    assert not Due.objects.exists()
    assert errand().definition.saga_type == "Errand", "nor was its definition, which is stored again"


@pytest.mark.parametrize("on", [True, False])
def test_many_sagas_are_made_without_looking_for_circles_and_what_was_set_stays_so(
    monkeypatch: pytest.MonkeyPatch, on: bool
) -> None:
    seen: list[bool] = []
    start = import_module("sagas.orchestrator.start")  # the package's own name for it is the function
    record = start.record
    monkeypatch.setattr(start, "record", lambda openings: seen.append(gc.isenabled()) or record(openings))
    (gc.enable if on else gc.disable)()
    try:
        orchestrator.start_many("Errand", [{"item": "1"}, {"item": "2"}])
        with pytest.raises(orchestrator.Invalid):
            orchestrator.start_many("Checked", [{"count": 0}])
        assert (seen, gc.isenabled()) == ([False], on)
    finally:
        gc.enable()


def locked() -> OperationalError:
    fault = OperationalError("canceling statement due to lock timeout")
    fault.__cause__ = psycopg.errors.LockNotAvailable()
    return fault


@pytest.mark.parametrize("fault", [TypeError("it cannot be written"), locked()])
@pytest.mark.parametrize(("company", "key"), [("_company", None), ("_keyed", "k")])
def test_a_start_that_cannot_be_written_is_its_own_fault_alone(
    world: Any, monkeypatch: pytest.MonkeyPatch, fault: Exception, company: str, key: str | None
) -> None:
    def spoiled(opening: Any) -> Any:
        raise fault  # of another one of those that were written together

    monkeypatch.setattr(import_module("sagas.orchestrator.start"), company, spoiled)
    monkeypatch.setattr(transaction, "get_autocommit", lambda: True)
    assert orchestrator.start("Errand", {"item": "book"}, idempotency_key=key).created


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_anothers_key_keeps_nobody_else_waiting(world: Any) -> None:
    if connection.vendor != "postgresql":
        return  # SQLite has one writer: whoever has a transaction keeps everybody waiting
    found: list[Any] = []
    orchestrator.start("Errand", {"item": "first"})  # whose definition all others find

    def begin() -> None:
        connection.cursor().execute("SET lock_timeout = '60s'")
        found.append(orchestrator.start("Errand", {"item": "a"}, idempotency_key="k"))
        connection.close()

    def pass_by() -> None:
        until(lambda: _keyed._writing)
        found.append(orchestrator.start("Errand", {"item": "b"}))
        connection.close()

    waiting, passing = threading.Thread(target=begin), threading.Thread(target=pass_by)
    with transaction.atomic():
        mine = orchestrator.start("Errand", {"item": "a"}, idempotency_key="k").saga
        waiting.start()
        passing.start()
        passing.join(30)
        assert [started.saga.data for started in found] == [{"item": "b"}]
    waiting.join(30)
    assert (found[1].saga.pk, found[1].created) == (mine.pk, False)


def test_data_in_the_place_of_input_is_refused_with_the_step(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = SagaStep("fetch", "FetchService.Fetch", input="a text")  # type: ignore[arg-type]
    monkeypatch.setattr(shop.Errand, "define_steps", lambda self, data: [step])
    with pytest.raises(
        orchestrator.Invalid, match="step fetch: input must be a mapping or None, not 'a text'"
    ):
        orchestrator.start("Errand", {"item": "book"})


@pytest.mark.django_db(transaction=True)
def test_nobody_is_told_of_a_start_before_it_is_committed(errand: Any) -> None:
    told: list[set[str]] = []

    def hear(*, queues: set[str], **_: Any) -> None:
        told.append(queues)

    committed.connect(hear)
    try:
        with transaction.atomic():
            errand()
            assert told == [], "who looked now would find nothing"
        assert told == [{"fetch"}]
        with suppress(ZeroDivisionError), transaction.atomic():
            errand()
            raise ZeroDivisionError
    finally:
        committed.disconnect(hear)
    assert len(told) == 1


def test_many_are_started_in_a_number_of_statements_that_does_not_depend_on_how_many(
    world: Any, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(14):
        sagas = orchestrator.start_many("Errand", [{"item": str(i)} for i in range(50)])
    assert len(sagas) == Saga.objects.count() == 50
    assert Step.objects.count() == 150
    assert Event.objects.count() == 100


def test_a_correlation_id_is_the_callers_or_the_datas_or_the_sagas_own(world: Any) -> None:
    given = orchestrator.start("Errand", {"item": "a"}, correlation_id="ord-1").saga
    brought = orchestrator.start("Errand", {"item": "a", "correlation_id": "ord-2"}).saga
    own = orchestrator.start("Errand", {"item": "a"}).saga
    assert (given.correlation_id, brought.correlation_id, own.correlation_id) == (
        "ord-1",
        "ord-2",
        str(own.pk),
    )


def test_the_database_itself_refuses_a_terminal_saga_without_its_time(errand: Any) -> None:
    saga = errand()
    with pytest.raises(IntegrityError, match="saga_finished_at_iff_finished"), transaction.atomic():
        Saga.objects.filter(pk=saga.pk).update(state="completed")


@pytest.mark.django_db(transaction=True)
def test_authors_start_and_answer_from_asynchronous_code() -> None:
    async def story() -> str:
        author = shop.Errand(None, None)
        saga = await author.astart({"item": "a"})
        assert await author.ahandle_step_completed(saga.saga_id, "fetch", {"got": 1})
        assert not await author.ahandle_step_completed(saga.saga_id, "fetch", {"got": 2})
        assert await author.ahandle_step_failed(saga.saga_id, "pay", "no money")
        assert await author.ahandle_compensation_completed(saga.saga_id, "fetch")
        return (await Saga.objects.aget(pk=saga.pk)).state

    assert async_to_sync(story)() == "failed"


@pytest.mark.parametrize("verb", ["start", "run", "astart", "arun"])
def test_a_verb_that_is_called_on_the_class_says_so(verb: str) -> None:
    says = rf"^{verb}\(\) is called on a saga's class; call it on an instance, as Order\(\).{verb}\("
    with pytest.raises(TypeError, match=says):
        getattr(shop.Errand, verb)({"item": "a"})
    with pytest.raises(TypeError, match=says):
        getattr(shop.Errand, verb)(data={"item": "a"})
    assert iscoroutinefunction(getattr(shop.Errand, verb)) == verb.startswith("a")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", ["start", "run"])
def test_a_plain_verb_in_asynchronous_code_names_the_other_one(verb: str) -> None:
    async def story() -> None:
        getattr(shop.Errand(), verb)({"item": "a"})

    with pytest.raises(SynchronousOnlyOperation, match=rf"await a{verb}\(…\) there"):
        asyncio.run(story())


def test_whatever_define_steps_does_with_its_data_is_its_own_affair() -> None:
    class Consuming(SagaOrchestrator):
        """Takes its data apart."""

        saga_type = "Consuming"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            """Take each item."""
            return [SagaStep(f"item_{data['items'].pop()}", "PayService.Pay") for _ in range(2)]

    try:
        first = Consuming().start({"items": [1, 2]}, idempotency_key="twice")
        assert first.data == {"items": [1, 2]}
        assert Consuming().start({"items": [1, 2]}, idempotency_key="twice") == first
    finally:
        registry._saga_classes.pop("Consuming", None)
        registry._saga_types.pop("Consuming", None)


def test_what_a_process_forks_starts_sagas_whatever_its_parent_was_at() -> None:
    under_way, go_on = threading.Event(), threading.Event()

    def write(items: Sequence[str]) -> Sequence[str]:
        if "parent's" in items:
            under_way.set()
            go_on.wait(20)
        return [item.upper() for item in items]

    company = Company(write, most=4)
    thread = threading.Thread(target=company, args=("parent's",))
    thread.start()
    assert under_way.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(10)  # or, if it waits for whoever is not there, it does so for ever
        os._exit(0 if company("child's") == "CHILD'S" else 1)
    assert os.waitpid(child, 0)[1] == 0
    go_on.set()
    thread.join()
    assert company("both's") == "BOTH'S"
