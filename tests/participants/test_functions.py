"""The order as a durable function: the same scenarios, the same ends, the same audit."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse

from participants.audit import audit
from participants.demos import FUNCTION
from participants.models import LedgerEntry, Notice, Reservation, Shipment
from participants.scenarios.order import SCENARIOS
from sagas import orchestrator
from sagas.core.definition import FUNCTION as ITSELF
from sagas.engine import Pump
from sagas.models import Saga

STEPS = ("reserve_inventory", "process_payment", "create_shipment", "send_confirmation")
KEPT = {  # in force at rest: reservations, charges, shipments, confirmations
    "completed": (1, 1, 1, 1),
    "failed": (0, 0, 0, 0),
    "compensating": (1, 1, 0, 0),
    "pending": (1, 0, 0, 0),
}


def kept_by(saga: Saga) -> tuple[int, ...]:
    books = (Reservation, LedgerEntry, Shipment, Notice)
    return tuple(book.objects.in_force().filter(saga_id=saga.pk).count() for book in books)


def asked(user: Any, reason: str = "changed my mind", **more: Any) -> orchestrator.Asked:
    return orchestrator.Asked(operator=user, via="desk", reason=reason, **more)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shop", "late_answers")
def test_every_scenario_ends_as_the_orchestrated_order_does(rest: Any, subtests: pytest.Subtests) -> None:
    started = {scenario: next(FUNCTION.start(scenario)) for scenario in SCENARIOS}
    rest()
    for scenario, saga in started.items():
        with subtests.test(scenario):
            saga.refresh_from_db()
            assert {"state": saga.state, "attention": saga.attention} == SCENARIOS[scenario].expects
            assert kept_by(saga) == KEPT[saga.state]
    happy = started["happy"].steps.values_list("name", flat=True)
    assert sorted(happy) == sorted((ITSELF, *STEPS))
    assert started["out_of_stock"].steps.count() == 2, "what comes later is asked for later"
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_an_order_that_is_called_off_at_any_moment_takes_everything_back(
    shop: None, pump: Pump, rest: Callable[[], None], admin_user: Any
) -> None:
    for reached in range(1, len(STEPS) + 1):
        (saga,) = FUNCTION.start()
        while saga.steps.count() <= reached:  # one command at a time
            pump._more = True
            pump._fill()
            pump._harvest(claiming=False, end=0)
        orchestrator.act(saga.pk, "compensate", asked(admin_user))
        rest()
        saga.refresh_from_db()
        assert (saga.state, kept_by(saga)) == ("failed", KEPT["failed"])
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_held_order_goes_on_when_the_operator_mends_its_card(
    shop: None, rest: Callable[[], None], admin_user: Any
) -> None:
    (saga,) = FUNCTION.start("hold_for_operator")
    rest()
    data = {**Saga.objects.get(pk=saga.pk).data, "payment_method": "card-grace"}
    orchestrator.act(saga.pk, "edit", asked(admin_user, data=data))
    orchestrator.act(saga.pk, "retry", asked(admin_user, step="process_payment"))
    rest()
    saga.refresh_from_db()
    assert (saga.state, kept_by(saga)) == ("completed", KEPT["completed"])
    assert LedgerEntry.objects.get().account_id == "card-grace"
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_the_auditor_finds_an_order_whose_shipment_is_gone(shop: None, rest: Callable[[], None]) -> None:
    next(FUNCTION.start())
    rest()
    Shipment.objects.all().delete()
    found = {finding.check for finding in audit().offences}
    assert found == {"completed_has_its_effects", "command_has_its_effect"}


@pytest.mark.django_db
def test_the_page_of_its_type_says_that_more_steps_come(admin_client: Any) -> None:
    told = "More steps come as the function asks for them"
    assert told in admin_client.get(reverse("saga-type-detail", args=["OrderFunction"])).content.decode()
    assert (
        told not in admin_client.get(reverse("saga-type-detail", args=["OrderFulfillment"])).content.decode()
    )


@pytest.mark.django_db
def test_it_is_started_from_the_desk_the_api_and_the_command_line(
    shop: None, admin_client: Any, capsys: Any
) -> None:
    chosen = {"scenario": "happy", "pace": "0", "count": "1", "carrier": "express"}
    answer = admin_client.post(reverse("demo-function"), chosen)
    assert str(Saga.objects.get().pk) in answer["Location"]
    body = {"type": "OrderFunction", "data": FUNCTION.make(customer_id="ada")}
    assert admin_client.post("/api/v1/sagas", body, "application/json").status_code == 201
    call_command("demo", "function", "--scenario", "card_declined")
    assert Saga.objects.filter(saga_type="OrderFunction").count() == 3
