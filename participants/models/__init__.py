"""The services' books. Each service writes only its own tables, and each table promises what it can.

Money is in integer cents. An effect carries the key of the command that made it: an undo finds it by
that key. It carries the saga too, so that the books can be audited against what the sagas say.
"""

from participants.models.billing import Bill as Bill
from participants.models.billing import BillingInbox as BillingInbox
from participants.models.billing import Mandate as Mandate
from participants.models.booking import Booking as Booking
from participants.models.booking import Offer as Offer
from participants.models.car import CarBooking as CarBooking
from participants.models.car import CarClass as CarClass
from participants.models.car import CarInbox as CarInbox
from participants.models.claims import Budget as Budget
from participants.models.claims import Claim as Claim
from participants.models.claims import ClaimsInbox as ClaimsInbox
from participants.models.effect import Effect as Effect
from participants.models.faults import CallCount as CallCount
from participants.models.flight import Flight as Flight
from participants.models.flight import FlightInbox as FlightInbox
from participants.models.flight import SeatBooking as SeatBooking
from participants.models.hotel import Hotel as Hotel
from participants.models.hotel import HotelInbox as HotelInbox
from participants.models.hotel import RoomBooking as RoomBooking
from participants.models.inventory import InventoryInbox as InventoryInbox
from participants.models.inventory import Product as Product
from participants.models.inventory import Reservation as Reservation
from participants.models.inventory import StockMovement as StockMovement
from participants.models.notification import Notice as Notice
from participants.models.notification import NotificationInbox as NotificationInbox
from participants.models.payment import Account as Account
from participants.models.payment import LedgerEntry as LedgerEntry
from participants.models.payment import PaymentInbox as PaymentInbox
from participants.models.payment import Payout as Payout
from participants.models.shipping import ClosedRegion as ClosedRegion
from participants.models.shipping import Shipment as Shipment
from participants.models.shipping import ShippingInbox as ShippingInbox
from participants.models.subscription import Downgrade as Downgrade
from participants.models.subscription import Plan as Plan
from participants.models.subscription import SubscriptionInbox as SubscriptionInbox
from participants.models.subscription import Term as Term
from participants.models.ticketing import Ticket as Ticket
from participants.models.ticketing import TicketingInbox as TicketingInbox
