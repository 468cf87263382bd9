"""InventoryService: promises goods to orders, all of an order or nothing of it, and takes promises back."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.db.models import F
from django.utils import timezone
from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Effect, InventoryInbox, Product, Reservation, StockMovement
from sagas import Rejected, command
from sagas.inbox import once


class Item(BaseModel, extra="forbid"):
    """One line of an order."""

    sku: str = Field(min_length=1, max_length=40)
    quantity: int = Field(ge=1, le=10_000, strict=True)


class Goods(BaseModel):
    """What inventory wants to know of an order."""

    items: list[Item] = Field(min_length=1, max_length=50)


@command("InventoryService.ReserveItems", model=Goods)
@staged
@once(InventoryInbox)
def reserve_items(order: Any) -> dict[str, Any]:
    """Promise all of the order's items to it. Rejected if there is too little of one, or no such product."""
    wanted = quantities(order.input.items)
    prices = prices_of(wanted)
    total = sum(prices[sku] * quantity for sku, quantity in wanted.items())
    reservation = Reservation.objects.create(**Effect.origin(order), total_cents=total)
    StockMovement.objects.bulk_create(
        StockMovement(
            reservation=reservation,
            kind=StockMovement.RESERVED,
            product_id=sku,
            quantity=-quantity,
            price_cents=prices[sku],
        )
        for sku, quantity in wanted.items()
    )
    for sku, quantity in wanted.items():
        _take(sku, quantity)
    return {"reservation_id": reservation.number, "total_amount": total}


@command("InventoryService.ReleaseReservation")
@staged
@once(InventoryInbox)
def release_reservation(undo: Any) -> dict[str, Any]:
    """Put back what the reservation took."""
    reservation = Reservation.objects.get(key=undo.meta.undoes)
    if reservation.released_at is None:
        _put_back(reservation)
    return {"reservation_id": reservation.number}


def quantities(items: Iterable[Item]) -> dict[str, int]:
    """Add up the items by SKU, in the order of the SKUs: whoever locks products locks them in that order."""
    wanted: Counter[str] = Counter()
    for item in items:
        wanted[item.sku] += item.quantity
    return dict(sorted(wanted.items()))


def prices_of(skus: Iterable[str]) -> dict[str, int]:
    """Return what a piece of each product costs, in cents. Rejected if there is no such product."""
    wanted = list(skus)
    prices = dict(Product.objects.filter(sku__in=wanted).values_list("sku", "price_cents"))
    for sku in wanted:
        if sku not in prices:
            raise Rejected(f"there is no product {sku}")
    return prices


def total_price(items: Iterable[Item]) -> int:
    """Return what all of the items cost now, in cents. Rejected if there is no such product."""
    wanted = quantities(items)
    prices = prices_of(wanted)
    return sum(prices[sku] * quantity for sku, quantity in wanted.items())


def _take(sku: str, quantity: int) -> None:
    """Check and take in one statement, so that two orders cannot be promised the same piece."""
    enough = Product.objects.filter(sku=sku, on_hand__gte=quantity)
    if not enough.update(on_hand=F("on_hand") - quantity):
        left = Product.objects.get(sku=sku).on_hand
        raise Rejected(f"out of stock: {sku} ({quantity} wanted, {left} left)")


def _put_back(reservation: Reservation) -> None:
    reserved = list(reservation.movements.filter(kind=StockMovement.RESERVED).order_by("product"))
    for movement in reserved:
        reservation.movements.create(
            product_id=movement.product_id, kind=StockMovement.RELEASED, quantity=-movement.quantity
        )
    reservation.released_at = timezone.now()
    reservation.save(update_fields=["released_at"])
    for movement in reserved:
        Product.objects.filter(sku=movement.product_id).update(on_hand=F("on_hand") - movement.quantity)
