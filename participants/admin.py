"""The services' books in the admin: to be read, not to be cooked."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from participants import models


class BooksAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it is generic in the stubs only
    """Nobody writes in the books but the services."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody may."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody may."""
        return False


@admin.register(models.Product)
class ProductAdmin(BooksAdmin):
    """What is in the warehouse."""

    list_display = ["sku", "name", "price_cents", "on_hand"]
    search_fields = ["sku", "name"]


@admin.register(models.StockMovement)
class StockMovementAdmin(BooksAdmin):
    """What came and went."""

    list_display = ["at", "product", "kind", "quantity", "reservation"]
    list_filter = ["kind", "product"]
    list_select_related = ["product", "reservation"]
    search_fields = ["reservation__order_id"]
    show_full_result_count = False


@admin.register(models.Account)
class AccountAdmin(BooksAdmin):
    """The demo bank's accounts."""

    list_display = ["method", "holder", "balance_cents", "declined"]
    search_fields = ["method", "holder"]


class EffectAdmin(BooksAdmin):
    """What commands did, found by order, saga or key."""

    search_fields = ["order_id", "saga_id", "key"]
    show_full_result_count = False


@admin.register(models.Reservation)
class ReservationAdmin(EffectAdmin):
    """What is promised to whom."""

    list_display = ["number", "order_id", "total_cents", "at", "released_at"]


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(EffectAdmin):
    """Charges and refunds."""

    list_display = ["number", "order_id", "kind", "account", "amount_cents", "at"]
    list_filter = ["kind"]
    list_select_related = ["account"]


@admin.register(models.Shipment)
class ShipmentAdmin(EffectAdmin):
    """Parcels."""

    list_display = ["tracking_number", "order_id", "region", "at", "cancelled_at"]


@admin.register(models.Notice)
class NoticeAdmin(EffectAdmin):
    """The outbox."""

    list_display = ["number", "order_id", "kind", "customer_id", "text", "at"]
    list_filter = ["kind"]


@admin.register(models.Flight, models.Hotel, models.CarClass)
class OfferAdmin(BooksAdmin):
    """What can be booked."""

    list_display = ["code", "name", "price_cents", "capacity", "free"]
    search_fields = ["code", "name"]


@admin.register(models.SeatBooking, models.RoomBooking, models.CarBooking)
class BookingAdmin(EffectAdmin):
    """What is kept for whom."""

    list_display = ["number", "order_id", "offer", "quantity", "days", "total_cents", "at", "cancelled_at"]
    list_select_related = ["offer"]


@admin.register(models.Ticket)
class TicketAdmin(EffectAdmin):
    """Tickets."""

    list_display = ["number", "order_id", "flight", "traveller", "at"]
    search_fields = [*EffectAdmin.search_fields, "traveller"]


@admin.register(models.Budget)
class BudgetAdmin(BooksAdmin):
    """What refunds come out of."""

    list_display = ["name", "granted_cents", "left_cents"]


@admin.register(models.Claim)
class ClaimAdmin(EffectAdmin):
    """What customers want back."""

    list_display = ["number", "order_id", "budget", "amount_cents", "reason", "at", "withdrawn_at"]
    list_select_related = ["budget"]


@admin.register(models.Payout)
class PayoutAdmin(EffectAdmin):
    """What was paid to customers."""

    list_display = ["number", "order_id", "account", "amount_cents", "at", "recalled_at"]
    list_select_related = ["account"]


@admin.register(models.Mandate)
class MandateAdmin(BooksAdmin):
    """The cards that may be charged month by month."""

    list_display = ["card", "holder", "limit_cents", "left_cents", "refused"]
    search_fields = ["card", "holder"]


@admin.register(models.Plan)
class PlanAdmin(BooksAdmin):
    """What can be subscribed to."""

    list_display = ["code", "name", "price_cents", "longest"]


@admin.register(models.Bill)
class BillAdmin(EffectAdmin):
    """Months that were charged."""

    list_display = ["number", "order_id", "mandate", "month", "amount_cents", "at", "refunded_at"]


@admin.register(models.Term)
class TermAdmin(EffectAdmin):
    """Months for which subscriptions run."""

    list_display = ["number", "order_id", "plan", "month", "price_cents", "at", "ended_at"]
    list_select_related = ["plan"]


@admin.register(models.Downgrade)
class DowngradeAdmin(EffectAdmin):
    """Who was put onto the free plan."""

    list_display = ["number", "order_id", "plan", "month", "at", "restored_at"]
    list_select_related = ["plan"]


@admin.register(
    *(models.InventoryInbox, models.PaymentInbox, models.ShippingInbox, models.NotificationInbox),
    *(models.FlightInbox, models.HotelInbox, models.CarInbox, models.TicketingInbox, models.ClaimsInbox),
    *(models.BillingInbox, models.SubscriptionInbox),
)
class InboxAdmin(BooksAdmin):
    """Which commands a service has answered, and what."""

    list_display = ["key", "command", "outcome", "at"]
    list_filter = ["outcome", "command"]
    search_fields = ["key"]
    show_full_result_count = False


@admin.register(models.ClosedRegion)
class ClosedRegionAdmin(BooksAdmin):
    """Where the carrier does not go."""
