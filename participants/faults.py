"""Plays the part of the world that fails: slow services, a carrier that is down, a bank that loses refunds.

An order says what is to be played in its data, ``demo: {scenario, pace}``, and a handler that is
``@staged`` goes along with it. Everything here happens outside the handler's transaction: nobody
waits for a lock while somebody sleeps, and a failure takes nothing of the effect back.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from time import sleep
from typing import Any

from participants.models import CallCount

Handler = Callable[[Any], Any]
Fault = Callable[[Handler, Any], Any]

#: A scenario in which payment answers too late, and the seconds after which its step's patience ends.
SLOW_SCENARIO, PATIENCE = "slow_payment_late_success", 3.0
#: The longest that a step may be asked to take.
MAX_PACE = 60.0


def staged(handler: Handler) -> Handler:
    """Let a handler take the time, and meet the fault, that the order's demo asks for."""

    @wraps(handler)
    def on_stage(command: Any) -> Any:
        scenario, pace = demo_of(command)
        if pace:
            sleep(pace)
        fault = FAULTS.get((scenario, command.name))
        return fault(handler, command) if fault else handler(command)

    return on_stage


def demo_of(data: Mapping[str, Any]) -> tuple[str, float]:
    """Return the scenario and the pace that an order's data asks for; nothing and 0, usually.

    The services serve other sagas too, whose data nobody has checked: what makes no sense asks for nothing.
    """
    demo = data.get("demo")
    if not isinstance(demo, Mapping):
        return "", 0
    scenario, pace = demo.get("scenario"), demo.get("pace")
    if not isinstance(pace, int | float) or not pace > 0:  # NaN is not
        pace = 0
    return scenario if isinstance(scenario, str) else "", min(pace, MAX_PACE)


def fails(error: str, *, times: float) -> Fault:
    """Fail before anything is done, so many times; the count is kept per command, whichever worker runs it."""

    def fault(handler: Handler, command: Any) -> Any:
        call = CallCount.another(command.meta.key)
        if call <= times:
            raise ConnectionError(f"{error} (call {call})")
        return handler(command)

    return fault


def answers_late(by: float) -> Fault:
    """Do what is asked at once, but answer the first call late."""

    def fault(handler: Handler, command: Any) -> Any:
        first = CallCount.another(command.meta.key) == 1
        result = handler(command)
        if first:
            sleep(by)
        return result

    return fault


_no_refund = "the bank does not take the refund"

#: (scenario, command) -> what happens to it.
FAULTS: Mapping[tuple[str, str], Fault] = {
    ("carrier_down_twice", "ShippingService.CreateShipment"): fails("the carrier does not answer", times=2),
    (SLOW_SCENARIO, "PaymentService.ProcessPayment"): answers_late(by=PATIENCE + 2),
    ("refund_fails_twice", "PaymentService.RefundPayment"): fails(_no_refund, times=2),
    ("refund_fails_forever", "PaymentService.RefundPayment"): fails(_no_refund, times=float("inf")),
}
