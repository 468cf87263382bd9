"""Trips: branches side by side, a point of no return, and tickets that only go forward."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F
from django.urls import reverse

from participants import faults
from participants.audit import audit
from participants.demos import TRIP
from participants.forms import TripForm
from participants.models import (
    CarBooking,
    Flight,
    LedgerEntry,
    Notice,
    RoomBooking,
    SeatBooking,
    Ticket,
)
from participants.sagas import TripBooking
from sagas import CANNOT_UNDO, orchestrator
from sagas.core.definition import SagaDefinition
from sagas.models import Saga
from tests.waiting import until

PROMISED = {
    "happy": ("completed", None),
    "no_car": ("completed", None),
    "hotel_full": ("failed", None),
    "car_slow_late_success": ("completed", None),
    "payment_declined": ("failed", None),
    "payment_unknown": ("completed", None),
    "payment_never_answers": ("failed", None),
    "ticket_office_down": ("completed", None),
    "flight_cancel_fails_forever": ("compensating", "compensation_failed"),
    "non_refundable_fare": ("compensating", "cannot_undo"),
    "hold_for_operator": ("pending", "held"),
}
KEPT = {  # in force at rest: seats, rooms, cars, charges, tickets, notices; of two travellers
    "happy": (1, 1, 1, 1, 2, 1),
    "no_car": (1, 1, 0, 1, 2, 1),
    "flight_cancel_fails_forever": (1, 0, 0, 0, 0, 0),
    "non_refundable_fare": (1, 0, 0, 0, 0, 0),
    "hold_for_operator": (1, 1, 1, 0, 0, 0),
}
#: scenario -> step -> attempts at its last command.
ATTEMPTS = {
    "car_slow_late_success": {"reserve_car": 2},
    "payment_unknown": {"take_payment": 3},
    "ticket_office_down": {"ticket_1": 5, "ticket_2": 5},
    "flight_cancel_fails_forever": {"reserve_flight": 5},
}
AT_REST = {"completed": KEPT["happy"], "failed": (0, 0, 0, 0, 0, 0)}


def statuses(saga: Saga) -> dict[str, str]:
    return dict(saga.steps.values_list("name", "status"))


def test_the_scenarios_promise_what_they_say() -> None:
    assert {s.name: (s.state, s.attention) for s in TRIP.scenarios.values()} == PROMISED
    assert all(s.title and s.description for s in TRIP.scenarios.values())


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shop", "late_answers")
def test_every_scenario_ends_as_it_promises(rest: Any, subtests: pytest.Subtests) -> None:
    started = {scenario: next(TRIP.start(scenario, travellers=2)) for scenario in PROMISED}
    rest()
    for scenario, saga in started.items():
        with subtests.test(scenario):
            saga.refresh_from_db()
            assert (saga.state, saga.attention) == PROMISED[scenario]
            attempts = dict(saga.steps.values_list("name", "attempt"))
            assert ATTEMPTS.get(scenario, {}).items() <= attempts.items()
            assert kept_by(saga) == KEPT.get(scenario, AT_REST.get(saga.state))
    assert audit().offences == []


def kept_by(saga: Saga) -> tuple[int, ...]:
    books = (SeatBooking, RoomBooking, CarBooking, LedgerEntry, Ticket, Notice)
    return tuple(book.objects.in_force().filter(saga_id=saga.pk).count() for book in books)


@pytest.mark.django_db(transaction=True)
def test_a_branch_that_still_runs_is_awaited_while_the_others_are_undone(
    shop: None, rest: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, str] = {}

    def until_the_car_is_undone(_: float) -> None:
        until(lambda: saga.steps.get(name="reserve_car").status == "compensated")
        seen.update(statuses(saga))

    monkeypatch.setattr(faults, "sleep", until_the_car_is_undone)
    (saga,) = TRIP.start("hotel_full")
    rest()
    assert (seen["reserve_flight"], seen["reserve_hotel"]) == ("executing", "failed")
    assert statuses(saga)["reserve_flight"] == "compensated"
    assert audit().offences == []


@pytest.mark.django_db(transaction=True)
def test_a_payment_that_may_have_been_made_is_undone_first_and_then_all_three_at_once(
    shop: None, rest: Any
) -> None:
    (saga,) = TRIP.start("payment_never_answers")
    rest()
    events = [e for e in orchestrator.events(saga.pk) if e["type"] in {"UndoDispatched", "StepCompensated"}]
    assert [(e["type"], e["step"]) for e in events[:2]] == [
        ("UndoDispatched", "take_payment"),
        ("StepCompensated", "take_payment"),
    ]
    three = [e for e in events[2:] if e["type"] == "UndoDispatched"]
    assert {e["step"] for e in three} == {"reserve_flight", "reserve_hotel", "reserve_car"}
    assert {e["version"] for e in three} == {events[1]["version"]}


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_undone_is_settled_by_name(shop: None, rest: Any, admin_user: Any) -> None:
    (saga,) = TRIP.start("non_refundable_fare")
    rest()
    asked = orchestrator.Asked(
        operator=admin_user, via="desk", reason="paid by us", step="reserve_flight", outcome="waived"
    )
    orchestrator.act(saga.pk, "resolve", asked)
    saga.refresh_from_db()
    assert saga.state == "failed"
    report = audit()
    assert report.offences == []
    assert [f.text for f in report.settled] == ["admin: resolve reserve_flight as waived: paid by us"]


@pytest.mark.django_db(transaction=True)
def test_a_paid_trip_is_not_rolled_back(shop: None, rest: Any, admin_user: Any) -> None:
    (saga,) = TRIP.start(travellers=1)
    Ticket.objects.create(
        key="forged", saga_id=saga.pk, flight="SD-101", traveller=saga.data["travellers"][0]
    )
    rest()
    saga.refresh_from_db()
    assert (saga.state, saga.attention) == ("pending", "retries_spent")
    asked = orchestrator.Asked(operator=admin_user, via="desk", reason="please")
    with pytest.raises(orchestrator.Conflict, match="point of no return, take_payment, is passed"):
        orchestrator.act(saga.pk, "compensate", asked)


# Its steps come from its data


def shape(**data: Any) -> SagaDefinition:
    return SagaDefinition(
        "TripBooking", tuple(TripBooking().define_steps({**TripBooking.sample_data, **data}))
    )


def test_reservations_stand_side_by_side_and_payment_waits_for_all_of_them() -> None:
    graph = shape()
    reservations = ("reserve_flight", "reserve_hotel", "reserve_car")
    assert [graph.needs(name) for name in reservations] == [(), (), ()]
    assert graph.pivot is not None
    assert graph.needs(graph.pivot.name) == reservations
    assert graph.needs("send_itinerary") == ("ticket_1", "ticket_2")


@pytest.mark.parametrize("car", [{"car": None}, {}])
def test_without_a_car_there_is_no_step_for_one(car: dict[str, Any]) -> None:
    data = {k: v for k, v in TripBooking.sample_data.items() if k != "car"} | car
    names = [step.name for step in TripBooking().define_steps(data)]
    assert "reserve_car" not in names


def test_each_traveller_gets_a_ticket_and_each_ticket_only_goes_forward() -> None:
    names = ["Ada Lovelace", "Alan Turing", "Grace Hopper"]
    tickets = [s for s in shape(travellers=names).steps if s.name.startswith("ticket_")]
    assert [s.input for s in tickets] == [{"traveller": name} for name in names]
    assert all(step.retriable for step in tickets)


def test_a_saver_fare_cannot_be_undone() -> None:
    assert shape(fare="saver").step("reserve_flight").compensation == CANNOT_UNDO


def test_a_trip_that_holds_on_failure_holds_until_it_is_paid() -> None:
    held = [step.name for step in shape(hold_on_failure=True).steps if step.hold]
    assert held == ["reserve_flight", "reserve_hotel", "reserve_car", "take_payment"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"trip_id": ""}, "data.trip_id"),
        ({"travellers": []}, "data.travellers"),
        ({"travellers": ["Ada", "Ada"]}, "data.travellers"),
        ({"travellers": [""]}, "data.travellers.0"),
        ({"fare": "cheap"}, "data.fare"),
        ({"nights": 0}, "data.nights"),
        ({"nights": "3"}, "data.nights"),
        ({"car": ""}, "data.car"),
        ({"payment_method": None}, "data.payment_method"),
        ({"demo": {"scenario": "out_of_stock"}}, "data.demo.scenario"),
        ({"items": []}, "data.items"),
    ],
)
def test_an_impossible_trip_is_refused_with_the_field(change: dict[str, Any], field: str, shop: None) -> None:
    with pytest.raises(orchestrator.Invalid) as no:
        orchestrator.start("TripBooking", {**TripBooking.sample_data, **change})
    assert no.value.field == field
    assert not Saga.objects.exists()


# The auditor


@pytest.fixture
def books(shop: None, rest: Any) -> None:
    """The books after a trip that was booked and one that was called off."""
    for scenario in ("happy", "payment_declined"):
        next(TRIP.start(scenario, travellers=2))
    rest()
    assert audit().offences == []


def _free_seat() -> None:
    booked = SeatBooking.objects.in_force().values("offer")
    Flight.objects.filter(code__in=booked).update(free=F("free") + 1)


def _rooms_taken_again() -> None:
    RoomBooking.objects.exclude(cancelled_at=None).update(cancelled_at=None)


def _car_given_back() -> None:
    CarBooking.objects.in_force().update(cancelled_at="2026-01-01T00:00Z")


def _lost_ticket() -> None:
    Ticket.objects.first().delete()


def _dearer() -> None:
    RoomBooking.objects.update(price_cents=F("price_cents") + 1, total_cents=F("total_cents") + F("days"))


def _third_ticket() -> None:
    ticket = Ticket.objects.first()
    ticket.pk, ticket.key, ticket.traveller = None, "forged", "Nobody"
    ticket.save(force_insert=True)


TAMPERINGS: dict[Callable[[], None], set[str]] = {
    _free_seat: {"capacity_conserved"},
    _rooms_taken_again: {"capacity_conserved", "failed_keeps_nothing"},
    _car_given_back: {"capacity_conserved", "completed_has_its_effects", "charged_what_was_reserved"},
    _lost_ticket: {"a_ticket_for_each_seat", "completed_has_its_effects", "command_has_its_effect"},
    _dearer: {"charged_what_was_reserved"},
    _third_ticket: {"a_ticket_for_each_seat", "completed_has_its_effects", "effect_has_its_command"},
}


@pytest.mark.django_db(transaction=True)
def test_each_tampering_is_found(books: None, subtests: pytest.Subtests) -> None:
    for tamper, checks in TAMPERINGS.items():
        with subtests.test(tamper.__name__), transaction.atomic():
            tamper()
            assert {finding.check for finding in audit().offences} == checks
            transaction.set_rollback(True)


# Started from the desk and the command line


def filled(**values: Any) -> TripForm:
    return TripForm({"scenario": "happy", "pace": "0", "count": "1", **values})


def test_the_form_starts_what_was_chosen(shop: None) -> None:
    form = filled(
        flight="SD-512", travellers="2", hotel="TATAMI", nights="4", car="none", payment_method="card-ada"
    )
    assert form.is_valid(), form.errors
    (saga,) = form.start("TRIP-X")
    assert {k: saga.data[k] for k in ("trip_id", "flight", "hotel", "nights", "car", "payment_method")} == {
        "trip_id": "TRIP-X",
        "flight": "SD-512",
        "hotel": "TATAMI",
        "nights": 4,
        "car": None,
        "payment_method": "card-ada",
    }
    assert len(saga.data["travellers"]) == 2
    assert saga.data["travellers"][0] == "Ada Lovelace"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("travellers", "0"),
        ("nights", "31"),
        ("flight", "SD-0"),
        ("fare", "cheap"),
        ("scenario", "out_of_stock"),
    ],
)
def test_the_form_says_which_field_is_wrong(field: str, value: str, shop: None) -> None:
    form = filled(**{field: value})
    assert not form.is_valid()
    assert set(form.errors) == {field}


def test_the_page_starts_a_trip_and_leads_to_the_other_demos(shop: None, admin_client: Any) -> None:
    page = admin_client.get(reverse("demo-trip")).content.decode()
    assert reverse("demo-order") in page
    assert "cannot undo" in page
    chosen = {"scenario": "no_car", "pace": "0", "count": "1"}
    answer = admin_client.post(reverse("demo-trip"), chosen)
    assert str(Saga.objects.get().pk) in answer["Location"]


@pytest.mark.django_db
def test_the_command_starts_trips_and_lists_what_can_happen_to_them(capsys: Any) -> None:
    call_command("demo", "trip", "--scenario", "no_car", "-n", "2")
    assert Saga.objects.filter(saga_type="TripBooking").count() == 2
    capsys.readouterr()
    call_command("demo", "scenarios", "--type", "trip", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in listed] == list(PROMISED)
