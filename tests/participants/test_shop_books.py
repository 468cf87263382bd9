"""What the tables promise by themselves, whoever writes to them."""

from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.urls import reverse

from participants.models import Account, LedgerEntry, Notice, Product, Reservation, Shipment, StockMovement

pytestmark = pytest.mark.usefixtures("shop")


def effect(key: str = "k") -> dict[str, Any]:
    return {"key": key, "saga_id": uuid4(), "order_id": "o"}


def charge(key: str = "k", **values: Any) -> LedgerEntry:
    return LedgerEntry.objects.create(
        **effect(key), **{"kind": "charge", "account_id": "card-ada", "amount_cents": 1, **values}
    )


def broken(promise: str) -> Any:
    """Expect a constraint to be broken: PostgreSQL names it, SQLite names what it is about."""
    return pytest.raises(IntegrityError, match=promise)


def test_stock_is_never_negative() -> None:
    with broken("stock_never_negative"):
        Product.objects.update(on_hand=-1)


def test_an_account_is_never_overdrawn() -> None:
    with broken("account_never_overdrawn"):
        Account.objects.update(balance_cents=-1)


def test_one_effect_per_key() -> None:
    for create in (
        lambda: charge(),
        lambda: Reservation.objects.create(**effect(), total_cents=1),
        lambda: Notice.objects.create(**effect(), kind="confirmation", customer_id="c", text="t"),
        lambda: Shipment.objects.create(**effect(), region="r", address="a", tracking_number=str(uuid4())),
    ):
        create()
        with transaction.atomic(), broken("once_per_key|key"):
            create()


def test_one_refund_per_charge() -> None:
    paid = charge()
    charge("r", kind="refund", undoes=paid)
    with broken("undoes"):
        charge("r2", kind="refund", undoes=paid)


def test_only_refunds_undo() -> None:
    with transaction.atomic(), broken("ledger_only_refunds_undo"):
        charge(kind="refund")
    with broken("ledger_only_refunds_undo"):
        charge(undoes=charge("other"))


def test_a_charge_is_of_something() -> None:
    with broken("ledger_amount_positive"):
        charge(amount_cents=0)


def test_stock_moves_the_right_way() -> None:
    reservation = Reservation.objects.create(**effect(), total_cents=1)
    for kind, quantity, of in [
        ("received", -1, None),
        ("reserved", 1, reservation),
        ("reserved", -1, None),
        ("released", -1, reservation),
    ]:
        with transaction.atomic(), broken("stock_moves_the_right_way"):
            StockMovement.objects.create(product_id="TEA-100", kind=kind, quantity=quantity, reservation=of)


def test_the_books_are_read_in_the_admin(admin_client: Any) -> None:
    charge()
    Reservation.objects.create(**effect(), total_cents=1)
    for model in ("product", "stockmovement", "account", "reservation", "ledgerentry", "shipment", "notice"):
        page = admin_client.get(reverse(f"admin:participants_{model}_changelist"), {"q": "o"})
        assert page.status_code == 200
    assert admin_client.get(reverse("admin:participants_ledgerentry_add")).status_code == 403


def test_no_migration_is_missing() -> None:
    call_command("makemigrations", "participants", "--check", "--dry-run", verbosity=0)
