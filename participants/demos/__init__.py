"""The demos: what can be started from the desk and the command line to see sagas at work."""

from participants.demos.choreography import CHOREOGRAPHY
from participants.demos.function import FUNCTION
from participants.demos.order import ORDER
from participants.demos.refund import REFUND
from participants.demos.subscription import SUBSCRIPTION
from participants.demos.trip import TRIP

#: By the word that starts one.
DEMOS = {demo.name: demo for demo in (ORDER, CHOREOGRAPHY, FUNCTION, TRIP, REFUND, SUBSCRIPTION)}
