"""What each kind of step does to one service's books."""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from participants.models import (
    Bill,
    BillingInbox,
    CarBooking,
    CarInbox,
    Claim,
    ClaimsInbox,
    Downgrade,
    FlightInbox,
    HotelInbox,
    InventoryInbox,
    LedgerEntry,
    Notice,
    NotificationInbox,
    PaymentInbox,
    Payout,
    Reservation,
    RoomBooking,
    SeatBooking,
    Shipment,
    ShippingInbox,
    SubscriptionInbox,
    Term,
    Ticket,
    TicketingInbox,
)


@dataclass(frozen=True)
class Trade:
    """Commands that have one kind of effect."""

    noun: str
    effects: type[Any]
    inbox: type[Any]
    actions: tuple[str, ...]
    undos: tuple[str, ...] = ()
    """Commands of steps of their own that undo it, as a choreography has them."""

    def in_force(self) -> QuerySet[Any]:
        """Return the effects that stand."""
        standing: QuerySet[Any] = self.effects.objects.in_force()
        return standing


SEATS = Trade("seat booking", SeatBooking, FlightInbox, ("FlightService.ReserveSeats",))
ROOMS = Trade("room booking", RoomBooking, HotelInbox, ("HotelService.ReserveRooms",))
CARS = Trade("car booking", CarBooking, CarInbox, ("CarService.ReserveCar",))
#: What is booked at a price, and given back when it is cancelled.
BOOKINGS = (SEATS, ROOMS, CARS)

GOODS = Trade(
    "reservation",
    Reservation,
    InventoryInbox,
    ("InventoryService.ReserveItems", "InventoryService on ReserveInventory"),
    ("InventoryService on ReleaseInventory",),
)
CHARGES = Trade(
    "charge",
    LedgerEntry,
    PaymentInbox,
    ("PaymentService.ProcessPayment", "PaymentService on ProcessPayment"),
    ("PaymentService on RefundPayment",),
)
TICKETS = Trade("ticket", Ticket, TicketingInbox, ("TicketingService.IssueTicket",))
CLAIMS = Trade("claim", Claim, ClaimsInbox, ("ClaimsService.OpenClaim",))
PAYOUTS = Trade("payout", Payout, PaymentInbox, ("PaymentService.PayOut",))
BILLS = Trade("bill", Bill, BillingInbox, ("BillingService.Charge",))
TERMS = Trade("term", Term, SubscriptionInbox, ("SubscriptionService.Extend",))
DOWNGRADES = Trade("downgrade", Downgrade, SubscriptionInbox, ("SubscriptionService.Downgrade",))

TRADES = (
    GOODS,
    CHARGES,
    Trade(
        "shipment",
        Shipment,
        ShippingInbox,
        ("ShippingService.CreateShipment", "ShippingService on CreateShipment"),
        ("ShippingService on CancelShipment",),
    ),
    Trade(
        "confirmation",
        Notice,
        NotificationInbox,
        (
            "NotificationService.SendOrderConfirmation",
            "NotificationService.SendItinerary",
            "NotificationService.SendRefundNotice",
            "NotificationService.SendPaymentReminder",
            "NotificationService.SendSubscriptionNotice",
            "NotificationService on OrderFulfilled",
        ),
    ),
    *BOOKINGS,
    TICKETS,
    CLAIMS,
    PAYOUTS,
    BILLS,
    TERMS,
    DOWNGRADES,
)
