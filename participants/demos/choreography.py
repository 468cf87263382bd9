"""The demo of a choreography: the same order, with the same ends, and nobody who directs it."""

from dataclasses import replace

from participants.demos.order import ORDER
from participants.sagas import OrderChoreography

CHOREOGRAPHY = replace(
    ORDER,
    name="choreography",
    pitch="The same order without a director: four services that react to events, and publish others.",
    saga=OrderChoreography,
    prefix="CHO",
    id_field="order_id",
)
