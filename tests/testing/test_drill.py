"""The drill: it is clean where the undos are right, and finds each that is not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction

from participants.models import Account, LedgerEntry, PaymentInbox, Product, Reservation
from participants.sagas import OrderFulfillment
from sagas import Later, Rejected, SagaStep, approval, registry, timer
from sagas.core.words import StepStatus
from sagas.inbox import once
from sagas.testing import CannotDrill, DrillFailed, drill
from sagas.testing.databases import NotATestDatabase, refuse_real
from tests.testing import broken
from tests.testing.broken import PRICE, Booking, _pay

pytestmark = pytest.mark.django_db


def test_it_leaves_nothing_behind() -> None:
    with broken.participants():
        drill(Booking, only="mail")
    assert not Account.objects.exists()
    assert not PaymentInbox.objects.exists()


@once(PaymentInbox)
def _does_nothing(undo: Any) -> None:
    pass


@once(PaymentInbox)
def _pays_twice(undo: Any) -> None:
    _pay(2 * PRICE)


@once(PaymentInbox)
def _pays_too_little(undo: Any) -> None:
    _pay(PRICE - 1)


@once(PaymentInbox)
def _swallows_its_error(undo: Any) -> None:
    try:
        Account.objects.get(method="cards").save()
    except Account.DoesNotExist:
        return


@once(PaymentInbox)
def _needs_the_result(undo: Any) -> None:
    _pay(undo["original_result"]["amount"])


def _has_no_inbox_and_says_it_has(undo: Any) -> None:
    _pay(PRICE)


def _commits_twice(undo: Any) -> None:
    with transaction.atomic():
        _pay(PRICE)
    with transaction.atomic():
        PaymentInbox.objects.get_or_create(key=undo.meta.key, defaults={"outcome": "completed"})


BROKEN: list[tuple[Callable[[Any], Any], str, str]] = [
    (_does_nothing, "unknown, with effect", "balance_cents is 900, and should be 1000"),
    (_pays_twice, "unknown, with effect", "balance_cents is 1100, and should be 1000"),
    (_pays_too_little, "unknown, with effect", "balance_cents is 999, and should be 1000"),
    (_swallows_its_error, "unknown, with effect", "balance_cents is 900, and should be 1000"),
    (
        _needs_the_result,
        "unknown, with effect",
        "It stops for a person (compensation_failed) at the undo of charge",
    ),
]


@pytest.mark.parametrize(
    ("undo", "failure", "says"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_undo_is_found(undo: Callable[[Any], Any], failure: str, says: str) -> None:
    with broken.participants(Refund=undo), pytest.raises(DrillFailed) as found:
        drill(Booking, only="charge")
    assert failure in {
        each.point.failure for each in found.value.report.failing if each.point.step == "charge"
    }
    assert "✗ charge: " in str(found.value) or "✗ undo charge: " in str(found.value)
    assert says in str(found.value)
    assert "charge (BookingService.Charge) changed it" in str(found.value) or "NoneType" in str(found.value)


def test_an_undo_that_only_needs_the_result_holds_where_there_is_one() -> None:
    with broken.participants(Refund=_needs_the_result):
        report = drill(Booking, only="charge", check=False)
    failing = {each.point.failure for each in report.failing if each.point.direction.value == "do"}
    assert failing == {"unknown, with effect"}


@pytest.mark.parametrize("undo", [_has_no_inbox_and_says_it_has, _commits_twice])
def test_an_undo_that_happens_twice_under_one_key_is_found(undo: Callable[[Any], Any]) -> None:
    with broken.participants(Refund=undo):
        report = drill(Booking, only="charge", check=False)
    failing = {each.point.name for each in report.failing}
    assert {"undo charge: crash after the commit", "undo charge: duplicate reply"} <= failing
    assert "undo charge: crash before the commit" not in failing


def test_a_crash_between_two_commits_is_a_point_of_its_own() -> None:
    with broken.participants(Refund=_commits_twice):
        report = drill(Booking, only="charge", check=False)
    assert "undo charge: crash after commit 1 of 2" in {each.point.name for each in report.failing}


def test_an_action_that_happens_twice_under_one_key_is_found() -> None:
    def charge(order: Any) -> None:
        _pay(-PRICE)

    with broken.participants(Charge=charge, Refund=_has_no_inbox_and_says_it_has):
        report = drill(Booking, check=False)
    told = {each.point.name: " ".join(each.problems) for each in report.failing}
    assert "Not one effect per command" in told["charge: duplicate reply"]
    assert "balance_cents changed by -200, and by -100" in told["charge: duplicate reply"]


def test_an_action_that_comes_after_its_undo_is_found() -> None:
    """Without a tombstone, it has its effect when everything is undone."""

    def free(undo: Any) -> None:
        broken.ClosedRegion.objects.filter(name="seat 1").delete()

    with broken.participants(Free=free):
        report = drill(Booking, only="place", check=False)
    assert "place: overtaken by its undo" in {each.point.name for each in report.failing}


def test_what_is_declared_as_having_nothing_to_undo_may_stand() -> None:
    class Keeps(Booking):
        saga_type = "BookingThatKeeps"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            place, charge, mail = super().define_steps(data)
            return [SagaStep("place", place.action), charge, mail]

    with broken.participants():
        assert drill(Keeps, only="charge").ok


def test_the_trace_tells_what_each_call_changed_and_what_is_off() -> None:
    with broken.participants(Refund=_pays_too_little):
        report = drill(Booking, only="charge", check=False)
    failing = next(each for each in report.failing if each.point.name == "undo charge: rejected")
    trace = failing.document()["trace"]
    assert "Account card: balance_cents 1000 → 900" in trace
    assert "▸" in trace
    assert "BookingService.Refund" in trace
    assert "Not restored: Account card: balance_cents is 999, and should be 1000" in trace


@pytest.mark.parametrize(
    "invariant",
    [
        lambda ending: False,
        lambda ending: "a seat is gone",
        lambda ending: ["a seat is gone"],
    ],
)
def test_an_invariant_that_does_not_hold_is_told(invariant: Any) -> None:
    with broken.participants(), pytest.raises(DrillFailed) as found:
        drill(Booking, invariants=[invariant], only="place")
    assert "What does not hold:" in str(found.value)


def test_an_invariant_sees_how_the_run_ended() -> None:
    seen = set()

    def look(ending: Any) -> None:
        seen.add((ending.state, ending.steps["charge"].status.value))
        assert ending.data == {"order_id": "B-1"}

    with broken.participants():
        drill(Booking, invariants=[look], only="charge")
    assert {("failed", "failed"), ("failed", "compensated"), ("completed", "completed")} <= seen


def test_a_saga_that_does_not_complete_cannot_be_drilled() -> None:
    def no(order: Any) -> None:
        raise Rejected("fully booked")

    with broken.participants(Take=no), pytest.raises(CannotDrill, match="fully booked"):
        drill(Booking)


def test_an_unknown_step_type_or_table_is_named() -> None:
    class Unread(Booking):
        saga_type = "BookingUnread"
        drill_reads = {"participants.Accounts": "in_force"}

    with pytest.raises(CannotDrill, match="no step 'chrage'; it has place, charge, mail"):
        drill(Booking, only="chrage")
    with pytest.raises(CannotDrill, match="There is no saga type 'Nothing'"):
        drill("Nothing")
    with pytest.raises(CannotDrill, match=r"no model 'participants\.Accounts'"):
        drill(Unread)


def test_it_refuses_a_database_that_is_not_made_for_tests(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection

    monkeypatch.setitem(connection.settings_dict, "NAME", "shop")
    with pytest.raises(NotATestDatabase, match="'shop' is no test database"):
        refuse_real(("default",))


def test_the_shops_undo_is_found_when_it_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more Product is put back than was taken."""
    from participants.services import inventory

    def put_back(reservation: Reservation) -> None:
        right(reservation)
        Product.objects.filter(sku="TEA-100").update(on_hand=inventory.F("on_hand") + 1)

    right = inventory._put_back
    monkeypatch.setattr(inventory, "_put_back", put_back)
    report = drill(OrderFulfillment, only="reserve_inventory", check=False)
    text = str(report)
    assert "Not restored: Product TEA-100: on_hand is 1000000001, and should be 1000000000" in text
    assert "books_add_up: stock_conserved: product TEA-100" in text
    assert not LedgerEntry.objects.exists()


def test_without_an_inbox_a_second_attempt_is_a_second_effect() -> None:
    """Nobody remembers the key; and where the outcome stays unknown, a person is asked, as is right."""

    def charge(order: Any) -> None:
        _pay(-PRICE)

    with broken.participants(Charge=charge):
        report = drill(Booking, only="charge", check=False)
    failing = {each.point.failure for each in report.failing}
    assert {"crash after the commit", "duplicate reply"} <= failing
    assert next(e for e in report.drilled if e.point.failure == "unknown, without effect").verdict == "asks"


def test_a_probe_that_finds_out_lets_the_saga_go_on() -> None:
    class Probing(Booking):
        saga_type = "BookingProbing"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            place, charge, mail = super().define_steps(data)
            return [place, replace(charge, probe="BookingService.IsCharged"), mail]

    report = drill(Probing, only="charge")
    verdicts = {
        each.point.failure: each.verdict for each in report.drilled if each.point.direction.value == "do"
    }
    assert verdicts["unknown, without effect"] == "restored"
    assert verdicts["unknown, with effect"] == "restored"
    assert verdicts["crash after the commit"] == "restored"


def test_a_probe_that_breaks_is_found() -> None:
    class Blind(Booking):
        saga_type = "BookingBlind"

        def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
            place, charge, mail = super().define_steps(data)
            return [place, replace(charge, probe="BookingService.Break"), mail]

    report = drill(Blind, only="charge", check=False)
    assert "It stops for a person (outcome_unknown) at charge" in str(report)


def test_asynchronous_handlers_are_drilled_too() -> None:
    async def refund(undo: Any) -> None:
        """It gives nothing back."""

    with broken.participants(Refund=refund):
        report = drill(Booking, only="charge", check=False)
    assert "balance_cents is 900, and should be 1000" in str(report)


def test_a_durable_transaction_of_a_participant_is_one() -> None:
    def free(undo: Any) -> None:
        with transaction.atomic(durable=True):
            broken.ClosedRegion.objects.filter(name="seat 1").delete()

    with broken.participants(Free=free):
        report = drill(Booking, only="place", check=False)
    assert {each.point.failure for each in report.failing} == {"overtaken by its undo"}


def test_a_row_that_the_database_would_not_commit_is_found() -> None:
    def take(order: Any) -> None:
        LedgerEntry.objects.create(
            key=order.meta.key,
            saga_id=order["saga_id"],
            order_id="",
            kind="charge",
            account_id="gone",
            amount_cents=1,
        )

    with broken.participants(Take=take):
        report = drill(Booking, only="place", check=False)
    assert "The database would not have committed this" in str(report)


class Lease(Booking):
    """It waits for a moment, for two people and for a reply from outside, and has to be done in time."""

    saga_type = "BookingLease"
    deadline = timedelta(days=60)

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        place, charge, mail = super().define_steps(data)
        sign = approval("sign", by="group:managers", people=2, deadline=timedelta(days=7))
        return [place, timer("think", wait=timedelta(days=1)), sign, charge, mail]

    def drill_reply(self, command: Any) -> Any:
        return {"amount": PRICE}


@once(PaymentInbox)
def _charges_later(order: Any) -> Any:
    _pay(-PRICE)
    return Later(within=timedelta(days=1))


def test_a_saga_that_waits_is_drilled_without_waiting() -> None:
    report = drill(Lease)
    verdicts = {each.point.name: each.verdict for each in report.drilled}
    assert verdicts["sign: rejected"] == "restored"
    assert verdicts["sign: nobody answers"] == "restored"
    assert verdicts["sign: pause"] == verdicts["think: compensate after"] == "restored"
    assert verdicts["think: skip"] == "completed"


def test_a_promise_that_is_kept_from_outside_is_one_effect() -> None:
    with broken.participants(Charge=_charges_later):
        assert drill(Lease, only="charge").ok


def test_what_an_operator_finds_to_be_done_is_what_was_promised() -> None:
    results = []

    def note(ending: Any) -> None:
        charge = ending.steps["charge"]
        if charge.status is StepStatus.COMPLETED:
            results.append(charge.result)

    with broken.participants(Charge=_charges_later):
        report = drill(Lease, only="charge", invariants=[note])
    assert any(each.point.name == "charge: resolve done" for each in report.drilled)
    assert {str(result) for result in results} == {str({"amount": PRICE})}


class Apart(Lease):
    """Beside what is promised, something else has to be undone, and that takes long."""

    saga_type = "BookingApart"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        place, charge, _ = Booking.define_steps(self, data)
        return [replace(charge, probe="BookingService.IsCharged"), replace(place, needs=())]


def test_a_promise_of_which_a_probe_tells_is_the_commands_own() -> None:
    """What comes when it is undone is met by that undo: nobody is asked."""
    with broken.participants(Charge=_charges_later):
        report = drill(Apart, only="place")
    assert next(each for each in report.drilled if each.point.name == "undo place: fails for ever").ok


def test_an_undo_that_forgets_what_was_promised_is_found() -> None:
    with broken.participants(Charge=_charges_later, Refund=_does_nothing):
        report = drill(Lease, only="charge", check=False)
    told = {line.became for each in report.failing for line in each.lines}
    assert "answered from outside" in told
    assert "balance_cents is 900, and should be 1000" in str(report)


def test_a_table_that_keeps_what_was_undone_is_asked_about() -> None:
    """Whoever reads the trace learns how to say that such a row does not count."""

    class History(OrderFulfillment):
        saga_type = "OrderWithHistory"
        drill_reads = {}

    report = drill(History, only="create_shipment", check=False)
    assert "If it is kept as history, say in drill_reads which participants.Shipment count." in str(report)


def test_what_one_fault_breaks_at_many_points_is_told_once() -> None:
    with broken.participants(Refund=_does_nothing):
        report = drill(Booking, check=False)
    assert len(report.failing) > 20
    assert str(report).count("✗ ") <= 3
    assert "The same shows at" in str(report)


class Elsewhere:
    """A transport to services that are not here."""

    @staticmethod
    def handler(name: str) -> registry.Command | None:
        away = name.startswith("CarrierService.")
        return registry.Command(name, pytest.fail, "carrier", inbox=True) if away else None

    @staticmethod
    def queues() -> tuple[str, ...]:
        return ("carrier",)


def test_participants_elsewhere_are_never_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_transports", [Elsewhere()])
    carried = {**OrderFulfillment.sample_data, "carrier": "express"}
    with pytest.raises(CannotDrill, match=r"elsewhere \(CarrierService\.BookPickup"):
        drill(OrderFulfillment, carried)
