"""The carrier, a participant elsewhere: slow, closed, tongue-tied, late, twice, forged; and its books are clean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from participants.audit import audit
from participants.carrier.moods import MOODS
from participants.demos import FUNCTION, ORDER
from participants.sagas import OrderFulfillment, order_function
from sagas import orchestrator
from sagas.engine import Pump
from sagas.models import Callback, Due, LateReply, Saga, Step
from sagas.orchestrator import Asked, Invalid
from tests.participants.carrying import Carrier, carrying
from tests.participants.conftest import QUEUES
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)

SERVED = (*QUEUES, "carrier", "waits")


@pytest.fixture(scope="module")
def process() -> Iterator[Carrier]:
    folder = Path(django_settings.FOLDER) / "carrier"
    folder.mkdir(exist_ok=True)
    with carrying(folder) as carrier:
        yield carrier


@pytest.fixture
def carrier(process: Carrier, live_server: Any, settings: Any, shop: None) -> Carrier:
    """The carrier, with us as a web server that it can call back."""
    settings.SAGAS = {"HTTP": {"CarrierService": process.service()}, "CALLBACK_URL": live_server.url}
    return process


@pytest.fixture
def operator(db: None) -> Any:
    return get_user_model().objects.create_superuser("olga", password="x")


def order(mood: str | None, **more: Any) -> Saga:
    data = {**ORDER.make("happy", id=f"ORD-{mood}"), "carrier": "express", **more}
    return OrderFulfillment().start({**data, "demo": {"carrier": mood}} if mood else data)


def run(*sagas: Saga) -> list[Saga]:
    """Serve everything until these sagas have ended."""
    pump = Pump(SERVED, "test-worker")

    def over() -> bool:
        make_due()
        pump.run(budget=1)
        return not Saga.objects.active().exists()

    until(over, within=120)
    return [Saga.objects.get(pk=saga.pk) for saga in sagas]


def make_due() -> None:
    """Have questions asked at once; the rest of the waiting is the carrier's own."""
    Due.objects.filter(lease_token=None, name="CarrierService.WhatBecameOf").update(due_at=Now())


def test_whatever_mood_it_is_in_each_order_is_carried_once(carrier: Carrier) -> None:
    sagas = {mood: order(mood) for mood in (None, *MOODS)}
    assert {saga.state for saga in run(*sagas.values())} == {"completed"}
    for mood, saga in sagas.items():
        assert carrier.pickups(saga) == [True], mood
    numbers = Step.objects.filter(name="create_shipment").values_list("result__tracking_number", flat=True)
    assert len({*numbers}) == len(sagas)
    called_back = {str(told.saga_id) for told in Callback.objects.filter(late=False)}
    assert called_back == {str(sagas[mood].pk) for mood in ("late", "twice")}
    assert not LateReply.objects.exists()
    asked = set(sagas["loses"].events.filter(type="ProbeDispatched").values_list("step", flat=True))
    assert asked == {"create_shipment"}
    assert audit().offences == []


def test_a_durable_functions_order_is_carried_once_too(carrier: Carrier) -> None:
    data = {**FUNCTION.make(carrier="express"), "demo": {"carrier": "late"}}
    (saga,) = run(order_function.start(data))
    assert (saga.state, carrier.pickups(saga)) == ("completed", [True])
    assert audit().offences == []


def test_what_it_does_not_serve_is_rolled_back(carrier: Carrier) -> None:
    (saga,) = run(order("prompt", shipping_address="1 Trident Way, Poseidonis, Atlantis"))
    assert (saga.state, saga.error) == ("failed", "address not served: the express carrier does not dive")
    assert carrier.pickups(saga) == []
    assert audit().offences == []


@pytest.mark.parametrize("mood", ["prompt", "loses", "late"])
def test_what_it_has_booked_is_cancelled(carrier: Carrier, operator: Any, mood: str) -> None:
    saga = order(mood)
    nobody_confirms = Pump(set(SERVED) - {"notification"}, "test-worker")
    booked = Step.objects.filter(saga=saga, name="create_shipment", status="completed")
    until(lambda: make_due() or nobody_confirms.run(budget=1) or booked.exists())
    assert carrier.pickups(saga) == [True]
    orchestrator.act(saga.pk, "compensate", Asked(operator=operator, via="desk", reason="changed my mind"))
    (saga,) = run(saga)
    assert saga.state == "failed"
    assert carrier.pickups(saga) == [False]
    assert audit().offences == []


def test_a_carrier_that_is_killed_between_its_word_and_its_callback_is_asked(carrier: Carrier) -> None:
    saga = order("late")
    pump = Pump(SERVED, "test-worker")
    until(lambda: pump.run(budget=1) or carrier.pickups(saga))
    carrier.kill()
    carrier.start()
    carrier.until_ready()
    (saga,) = run(saga)
    assert saga.state == "completed"
    assert carrier.pickups(saga) == [True]
    assert saga.events.filter(type="ProbeDispatched", step="create_shipment").exists()


def test_an_order_says_who_carries_it_and_only_what_there_is(shop: None) -> None:
    with pytest.raises(Invalid, match="carrier"):
        order(None, carrier="pigeon")
    with pytest.raises(Invalid, match="carrier"):
        order("grumpy")
