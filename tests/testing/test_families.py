"""The drill of sagas with children: a child is played with its parent, and undone with it."""

from collections.abc import Callable
from typing import Any

import pytest

from participants.models import Account, ClosedRegion, PaymentInbox
from sagas import CANNOT_UNDO, SagaOrchestrator, SagaStep, child, command, durable_saga
from sagas.inbox import once
from sagas.models import Saga
from sagas.testing import CannotDrill, drill
from sagas.testing.report import Drilled, Report
from tests.testing import broken
from tests.testing.broken import PRICE, _pay

pytestmark = pytest.mark.django_db

#: What differs between the databases is the drill's, and the others show it.
only_on_sqlite = pytest.mark.only_on("sqlite")


def _account() -> None:
    Account.objects.create(method="card", holder="ada", opening_cents=1000, balance_cents=1000)


class Room(SagaOrchestrator):
    """A child: takes a place, and charges for it."""

    saga_type = "DrilledRoom"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain."""
        return [
            SagaStep("place", "BookingService.Take", "BookingService.Free"),
            SagaStep("charge", "BookingService.Charge", "BookingService.Refund"),
        ]


class Tour(SagaOrchestrator):
    """Takes a fee, and has a room booked by another saga."""

    saga_type = "DrilledTour"
    sample_data: Any = {"room": {"nights": 1}}

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Return the chain."""
        return [
            SagaStep("fee", "TourDesk.TakeFee", "TourDesk.ReturnFee"),
            child("book", "DrilledRoom", data="room"),
            SagaStep("mail", "BookingService.Mail"),
        ]

    def drill_setup(self) -> None:
        _account()


@command("TourDesk.TakeFee", queue="default")
@once(PaymentInbox)
def take_fee(order: Any) -> None:
    _pay(-7)


@command("TourDesk.ReturnFee", queue="default")
@once(PaymentInbox)
def return_fee(undo: Any) -> None:
    _pay(7)


def verdicts(report: Report) -> dict[str, str]:
    return {each.point.name: each.verdict for each in report.drilled}


def test_parent_and_child_are_drilled_together() -> None:
    became = verdicts(drill(Tour))
    undos = {f"undo {step}" for step in ("fee", "book", "book/place", "book/charge")}
    actions = {"fee", "book", "mail", "book/place", "book/charge"}
    assert {name.partition(":")[0] for name in became} == actions | undos
    assert became["book: rejected"] == became["book/charge: rejected"] == "restored"
    assert (
        became["book: crash after the commit"] == became["book/place: crash before the commit"] == "restored"
    )
    assert (
        became["undo book: duplicate reply"] == became["undo book/charge: unknown, with effect"] == "restored"
    )
    assert became["book/place: compensate after"] == "restored"
    assert not Account.objects.exists()
    assert not Saga.objects.exists()


@once(PaymentInbox)
def _gives_nothing_back(undo: Any) -> None:
    pass


@once(PaymentInbox)
def _knows_only_its_own_result(undo: Any) -> None:
    """It works in the child's own rollback where the result is known, and not where it is not."""
    _pay(undo["original_result"]["amount"])


def _pays_each_time(undo: Any) -> None:
    _pay(PRICE)


@only_on_sqlite
@pytest.mark.parametrize(
    ("refund", "says"),
    [
        (_gives_nothing_back, "balance_cents is 900, and should be 1000"),
        (_knows_only_its_own_result, "at the undo of book/charge of its child DrilledRoom: TypeError"),
        (_pays_each_time, "balance_cents is 1100, and should be 1000"),
    ],
)
def test_a_broken_undo_in_the_child_is_found_and_named(refund: Callable[[Any], Any], says: str) -> None:
    with broken.participants(Refund=refund):
        report = drill(Tour, only="book", check=False)
    assert says in str(report)
    assert "book/charge" in str(report)
    assert "of its child DrilledRoom" in str(report)


@only_on_sqlite
def test_an_undo_that_finds_its_effect_by_its_saga_is_found() -> None:
    """What undoes a completed child is another saga: an effect is found by the key of its action."""
    charged = set()

    @once(PaymentInbox)
    def charge(order: Any) -> None:
        charged.add(order["saga_id"])
        _pay(-PRICE)

    @once(PaymentInbox)
    def refund(undo: Any) -> None:
        if undo["saga_id"] in charged:
            _pay(PRICE)

    with broken.participants(Charge=charge, Refund=refund):
        report = drill(Tour, check=False)
    failing = {each.point.name for each in report.failing}
    assert {"mail: rejected", "undo book/charge: duplicate reply"} <= failing
    assert "book/charge: unknown, with effect" not in failing


@only_on_sqlite
def test_a_child_that_cannot_be_undone_asks_a_person() -> None:
    class Final(SagaOrchestrator):
        saga_type = "DrilledFinal"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            return [SagaStep("place", "BookingService.Take", CANNOT_UNDO)]

    class Trip(Tour):
        saga_type = "DrilledFinalTour"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            fee, _, mail = super().define_steps(data)
            return [fee, child("book", "DrilledFinal"), mail]

    report = drill(Trip, only="mail")
    rejected = next(each for each in report.drilled if each.point.name == "mail: rejected")
    assert rejected.verdict == "asks"
    assert any("cannot_undo" in line.what for line in rejected.lines)


@durable_saga("DrilledTourFunction", sample_data={}, drill_setup=_account)
def tour_function(saga: Any, data: Any) -> None:
    """The same as a function: its child is known when it has asked for it."""
    saga.step("fee", "TourDesk.TakeFee", undo="TourDesk.ReturnFee")
    saga.child("book", "DrilledRoom", data={})


@only_on_sqlite
def test_a_functions_child_is_drilled_too() -> None:
    report = drill("DrilledTourFunction", only="book/charge")
    assert verdicts(report)["undo book/charge: rejected"] == "asks"


@only_on_sqlite
def test_children_of_children_are_undone_with_them() -> None:
    class Grand(SagaOrchestrator):
        saga_type = "DrilledGrandTour"
        sample_data = {"room": {}}

        def drill_setup(self) -> None:
            _account()

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            return [child("tour", "DrilledTour", data={"room": {}}), SagaStep("mail", "BookingService.Mail")]

    became = verdicts(drill(Grand, only="mail"))
    assert became["mail: rejected"] == "restored"
    assert verdicts(drill(Grand, only="tour/book/charge"))["tour/book/charge: rejected"] == "restored"


@only_on_sqlite
def test_what_is_no_step_of_parent_or_child_is_named() -> None:
    with pytest.raises(
        CannotDrill, match=r"no step 'book/room'; it has fee, book, mail, book/place, book/charge"
    ):
        drill(Tour, only="book/room")


@only_on_sqlite
def test_a_child_with_a_deadline_is_turned_back_or_awaited() -> None:
    class Hurried(Tour):
        saga_type = "DrilledHurriedTour"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            fee, _, mail = super().define_steps(data)
            return [fee, child("book", "DrilledRoom", data="room", deadline=400), mail]

    assert drill(Hurried, only="book/charge").ok


@only_on_sqlite
@pytest.mark.drill(Tour, only="book")
def test_the_mark_drills_children(drilled: list[Drilled]) -> None:
    assert {each.point.step for each in drilled} == {"book", "book/place", "book/charge"}
    assert not ClosedRegion.objects.exists()
