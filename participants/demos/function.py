"""The demo of a durable function: the same order, with the same ends, as plain Python."""

from dataclasses import replace

from participants.demos.order import ORDER
from participants.sagas import order_function

FUNCTION = replace(
    ORDER,
    name="function",
    pitch="The same order as a durable function: plain Python, whose steps are known as it gets to them.",
    saga=order_function,
    prefix="FUN",
    id_field="order_id",
)
