"""How flight, hotel and car book: a check and a taking in one statement, and the giving back."""

from typing import Any

from django.db.models import F
from django.utils import timezone

from participants.models import Booking, Effect, Offer
from sagas import Rejected


def book(
    offers: type[Offer], bookings: type[Booking], command: Any, code: str, quantity: int, days: int = 1
) -> dict[str, Any]:
    """Keep so many of an offer for a saga. Rejected if there is no such offer, or too little is free."""
    offer = offers._default_manager.filter(code=code).first()
    if offer is None:
        raise Rejected(f"there is no {offers._meta.verbose_name} {code}")
    booking = bookings._default_manager.create(
        **Effect.origin(command),
        offer=offer,
        quantity=quantity,
        days=days,
        price_cents=offer.price_cents,
        total_cents=quantity * days * offer.price_cents,
    )
    _take(offer, quantity)
    return {"booking_id": booking.number, "total_amount": booking.total_cents}


def cancel(bookings: type[Booking], undo: Any) -> dict[str, Any]:
    """Give back what the booking took."""
    booking = bookings._default_manager.select_related("offer").get(key=undo.meta.undoes)
    if booking.cancelled_at is None:
        booking.cancelled_at = timezone.now()
        booking.save(update_fields=["cancelled_at"])
        same = type(booking.offer)._default_manager.filter(code=booking.offer_id)
        same.update(free=F("free") + booking.quantity)
    return {"booking_id": booking.number}


def _take(offer: Offer, quantity: int) -> None:
    """Check and take in one statement, so that two trips cannot be given the same seat."""
    same = type(offer)._default_manager.filter(code=offer.code)
    if not same.filter(free__gte=quantity).update(free=F("free") - quantity):
        left = same.get().free
        raise Rejected(f"fully booked: {offer.name} ({quantity} wanted, {left} left)")
