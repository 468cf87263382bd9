"""The auditor finds each kind of wrong, and only that."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.db.models import F

from participants import opening
from participants.audit import audit
from participants.demos import ORDER
from participants.models import (
    Account,
    LedgerEntry,
    Notice,
    PaymentInbox,
    Product,
    Reservation,
    Shipment,
    StockMovement,
)
from sagas import Rejected, SagaOrchestrator, SagaStep, child, command, orchestrator
from sagas.models import Saga

pytestmark = pytest.mark.django_db(transaction=True)


def found() -> set[str]:
    return {finding.check for finding in audit().offences}


@pytest.fixture
def books(shop: None, rest: Any) -> dict[str, Saga]:
    """The books after one order that was completed and one that was rolled back."""
    sagas = {s: next(ORDER.start(s)) for s in ("happy", "address_not_served", "refund_fails_forever")}
    rest()
    assert audit().offences == []
    return sagas


def test_sagas_that_were_pruned_or_imported_are_no_offence(books: dict[str, Saga]) -> None:
    asked = orchestrator.Asked(operator=None, via="command", reason="housekeeping")
    document = orchestrator.export(books["happy"].pk)
    assert sum(map(len, orchestrator.prune(timedelta(0), 10, asked))) == 2
    assert found() == set()
    opening.empty()
    orchestrator.import_saga(document, asked)
    assert found() == set()


class Bundle(SagaOrchestrator):
    """An order of the shop as a child, and then something that is refused."""

    saga_type = "Bundle"

    def define_steps(self, data: dict[str, Any]) -> list[SagaStep]:
        """Order, then fail."""
        return [child("order", ORDER.saga_type, data="order"), SagaStep("gift", "BundleService.Wrap")]


@command("BundleService.Wrap", queue="default")
def wrap(sent: Any) -> None:
    """Refuse."""
    raise Rejected("there is no paper")


def test_an_order_that_was_undone_as_somebody_s_child_has_nothing_left(
    books: dict[str, Saga], rest: Any
) -> None:
    parent = Bundle().start({"order": ORDER.make(customer_id="ada")})
    rest()
    order = Saga.objects.get(origin_id=parent.pk)
    parent.refresh_from_db()
    assert (parent.state, order.state) == ("failed", "completed")
    assert found() == set()
    LedgerEntry.objects.filter(undoes__saga_id=order.pk).delete()
    assert "undone_keeps_nothing" in found()


def _more_stock() -> None:
    Product.objects.filter(sku="TEA-100").update(on_hand=F("on_hand") + 1)


def _lost_line() -> None:
    StockMovement.objects.filter(kind="reserved").first().delete()


def _unreleased() -> None:
    Reservation.objects.exclude(released_at=None).update(released_at=None)


def _released() -> None:
    done = Saga.objects.get(state="completed")
    Reservation.objects.filter(saga_id=done.pk).update(released_at="2026-01-01T00:00Z")


def _another_total() -> None:
    Reservation.objects.update(total_cents=F("total_cents") + 1)


def _gift() -> None:
    Account.objects.filter(method="card-ada").update(balance_cents=F("balance_cents") + 1)


def _small_refund() -> None:
    LedgerEntry.objects.filter(kind="refund").update(amount_cents=1)


def _other_charge() -> None:
    done = Saga.objects.get(state="completed")
    LedgerEntry.objects.filter(saga_id=done.pk).update(amount_cents=F("amount_cents") + 1)


def _kept_money() -> None:
    LedgerEntry.objects.filter(kind="refund").delete()


def _lost_parcel() -> None:
    Shipment.objects.all().delete()


def _cancelled_parcel() -> None:
    Shipment.objects.update(cancelled_at="2026-01-01T00:00Z")


def _another(model: type[Any], state: str) -> Callable[[], None]:
    """Copy an effect that stands, under a key of its own."""

    def forge() -> None:
        effect = (
            model.objects.in_force().filter(saga_id__in=Saga.objects.filter(state=state).values("pk")).get()
        )
        effect.pk, effect.key = None, "forged"
        if model is Shipment:
            effect.tracking_number = "forged"
        effect.save(force_insert=True)

    return forge


def _forgotten() -> None:
    PaymentInbox.objects.filter(outcome="completed").delete()


TAMPERINGS: list[tuple[Callable[[], None], str]] = [
    (_more_stock, "stock_conserved"),
    (_lost_line, "stock_conserved"),
    (_lost_line, "reservation_total"),
    (_unreleased, "stock_conserved"),
    (_unreleased, "failed_keeps_nothing"),
    (_released, "stock_conserved"),
    (_released, "completed_has_its_effects"),
    (_another_total, "reservation_total"),
    (_another_total, "charged_what_was_reserved"),
    (_gift, "money_conserved"),
    (_small_refund, "refund_is_its_charge"),
    (_small_refund, "money_conserved"),
    (_other_charge, "charged_what_was_reserved"),
    (_other_charge, "money_conserved"),
    (_kept_money, "failed_keeps_nothing"),
    (_kept_money, "money_conserved"),
    (_lost_parcel, "completed_has_its_effects"),
    (_lost_parcel, "command_has_its_effect"),
    (_cancelled_parcel, "completed_has_its_effects"),
    (_another(LedgerEntry, "completed"), "completed_has_its_effects"),
    (_another(LedgerEntry, "completed"), "effect_has_its_command"),
    (_another(LedgerEntry, "compensating"), "no_effect_twice"),
    (_another(Shipment, "completed"), "completed_has_its_effects"),
    (_another(Notice, "completed"), "completed_has_its_effects"),
    (_forgotten, "effect_has_its_command"),
]


def test_each_tampering_is_found(books: Any, subtests: pytest.Subtests) -> None:
    for tamper, check in TAMPERINGS:
        with subtests.test(f"{tamper.__name__}: {check}"), transaction.atomic():
            tamper()
            assert check in found()
            transaction.set_rollback(True)
    assert found() == set()


def test_a_finding_names_the_row_and_the_saga(books: dict[str, Saga]) -> None:
    _kept_money()
    finding = next(f for f in audit().offences if f.check == "failed_keeps_nothing")
    saga = books["address_not_served"]
    assert (finding.row, finding.saga) == (saga.correlation_id, str(saga.pk))
    assert finding.text == "failed, with 1 charges in force instead of 0"


def test_what_is_in_flight_is_no_offence(books: dict[str, Saga]) -> None:
    report = audit()
    assert report.in_flight == 1
    assert report.checked["charges in force"] == 2
    assert report.offences == []


def _resolve(saga: Saga, outcome: str, admin_user: Any) -> None:
    asked = orchestrator.Asked(
        operator=admin_user, via="desk", reason="paid back in cash", step="process_payment", outcome=outcome
    )
    orchestrator.act(saga.pk, "resolve", asked)


@pytest.mark.parametrize("outcome", ["done", "waived"])
def test_what_an_operator_settled_is_listed_and_no_offence(
    outcome: str, books: dict[str, Saga], rest: Any, admin_user: Any
) -> None:
    saga = books["refund_fails_forever"]
    _resolve(saga, outcome, admin_user)
    rest()
    saga.refresh_from_db()
    assert saga.state == "failed"
    report = audit()
    assert report.offences == []
    assert [(f.saga, f.text) for f in report.settled] == [
        (str(saga.pk), f"admin: resolve process_payment as {outcome}: paid back in cash")
    ]


def test_what_an_operator_settled_excuses_that_step_only(
    books: dict[str, Saga], rest: Any, admin_user: Any
) -> None:
    saga = books["refund_fails_forever"]
    _resolve(saga, "done", admin_user)
    rest()
    reservation = Reservation.objects.filter(saga_id=saga.pk)
    reservation.update(released_at=None)
    assert "failed_keeps_nothing" in found()


# The command


def test_the_command_says_that_clean_books_are_clean(books: Any, capsys: Any) -> None:
    call_command("audit")
    assert "The books are clean." in capsys.readouterr().out


def test_the_command_exits_with_1_and_the_rows(books: Any, capsys: Any) -> None:
    _gift()
    with pytest.raises(SystemExit) as end:
        call_command("audit")
    assert end.value.code == 1
    assert "OFF  money_conserved: account card-ada: its balance is" in capsys.readouterr().out


def test_the_command_speaks_json(books: Any, capsys: Any) -> None:
    call_command("audit", "--json")
    report = json.loads(capsys.readouterr().out)
    assert report["clean"] is True
    assert report["in_flight"] == 1
    assert report["checked"]["sagas"] == 3
