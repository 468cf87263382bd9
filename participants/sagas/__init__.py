"""The demos' sagas: found here, as in every installed app's ``sagas`` module."""

from participants.sagas.choreography import OrderChoreography as OrderChoreography
from participants.sagas.function import order_function as order_function
from participants.sagas.order import OrderFulfillment as OrderFulfillment
from participants.sagas.refund import RefundApproval as RefundApproval
from participants.sagas.subscription import subscription_renewal as subscription_renewal
from participants.sagas.trip import TripBooking as TripBooking
