"""A durable function is a saga type: it is declared, started, exported and read back as any other."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sagas import durable_saga, orchestrator, registry
from sagas.models import OperatorAction, Saga
from sagas.orchestrator import Asked, Invalid
from tests.sagas import functions, shop
from tests.sagas.durable.play import Play
from tests.sagas.functions import post

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_function_is_a_saga_type_like_any_other(play: Callable[..., Play]) -> None:
    functions.ended.clear()
    done = play(functions.errand)
    assert [view.id for view in functions.ended] == [str(done.saga.pk)]
    assert registry.saga_type("Errands").define_steps({})[0].action == "function Errands"
    again = functions.errands.start({"item": "pen"}, idempotency_key="k")
    assert functions.errands.start({"item": "pen"}, idempotency_key="k").pk == again.pk


def test_an_option_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match=r"takes no deadlin; options are data_model, deadline"):
        durable_saga("Wrong", deadlin=3)
    with pytest.raises(TypeError, match="saga type's name first"):
        durable_saga(functions.errand)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"yielding has a yield: a durable function asks by saga.step"):

        @durable_saga("Wrong")
        def yielding(saga: Any, data: Any) -> Any:
            yield saga.step("pay", "PayService.Pay")

    with pytest.raises(TypeError, match=r"calls lonely\(saga, data\), which it does not take"):

        @durable_saga("Wrong")
        def lonely() -> None: ...


def test_a_function_that_is_called_with_data_alone_says_how_it_is_started() -> None:
    with pytest.raises(TypeError, match=r"start one by \w+.start\(data\), or \w+.run\(data\)"):
        functions.errands({"item": "pen"})


def forget() -> None:
    OperatorAction.objects.all().delete()
    Saga.objects.all().delete()


def test_an_exported_function_is_read_back_and_redacted(
    play: Callable[..., Play], world: shop.World, asked: Callable[..., Asked]
) -> None:
    def body(saga: Any, data: Any) -> Any:
        post(saga, input={"card": "4111"})
        saga.approval("boss", by="group:bosses", show="Pay 4111?")

    waiting = play(body)
    secret = orchestrator.export(waiting.saga.pk)
    assert "4111" not in json.dumps(secret)
    whole = orchestrator.export(waiting.saga.pk, reveal=True)
    for document in (secret, whole):
        forget()
        assert orchestrator.import_saga(document, asked()).created
        assert orchestrator.export(waiting.saga.pk, reveal=True) == document
        assert orchestrator.snapshot(Saga.objects.get())["steps"][1]["needs"] == ["function"]
    whole["events"][2]["data"]["steps"][0]["step"]["needs"] = ["nothing"]
    forget()
    with pytest.raises(Invalid, match="needs nothing"):
        orchestrator.import_saga(whole, asked())
