"""Plays the part of the world that fails: slow services, a carrier that is down, a bank that loses refunds.

A saga says what is to be played in its data, ``demo: {scenario, pace}``, and a handler that is
``@staged`` goes along with it. Everything here happens outside the handler's transaction: nobody
waits for a lock while somebody sleeps, and a failure takes nothing of the effect back.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from time import sleep
from typing import Any

from participants.models import CallCount
from sagas import Rejected

Handler = Callable[[Any], Any]
Fault = Callable[[Handler, Any], Any]

#: The seconds after which a step's patience ends where a scenario is about an answer that comes too late.
PATIENCE = 3.0
#: The longest that a step may be asked to take.
MAX_PACE = 60.0


def staged(handler: Handler) -> Handler:
    """Let a handler take the time, and meet the fault, that the saga's demo asks for."""

    @wraps(handler)
    def on_stage(command: Any) -> Any:
        scenario, pace = demo_of(command)
        if pace:
            sleep(pace)
        # A delivery, "PaymentService on RefundPayment", meets what the command of that name does.
        fault = FAULTS.get((scenario, command.name.replace(" on ", ".")))
        return fault(handler, command) if fault else handler(command)

    return on_stage


def demo_of(data: Mapping[str, Any]) -> tuple[str, float]:
    """Return the scenario and the pace that a saga's data asks for; nothing and 0, usually.

    The services serve other sagas too, whose data nobody has checked: what makes no sense asks for nothing.
    """
    demo = data.get("demo")
    if not isinstance(demo, Mapping):
        return "", 0
    scenario, pace = demo.get("scenario"), demo.get("pace")
    if not isinstance(pace, int | float) or not pace > 0:  # NaN is not
        pace = 0
    return scenario if isinstance(scenario, str) else "", min(pace, MAX_PACE)


def patience(data: Mapping[str, Any], command: str) -> float:
    """Return the seconds that an attempt at a command may take; the demo's pace counts on top.

    Half a minute; a few seconds where the scenario is about an answer that comes too late.
    """
    scenario, pace = demo_of(data)
    return (PATIENCE if (scenario, command) in TOO_LATE else 30.0) + pace


def fails(error: str, *, times: float) -> Fault:
    """Fail before anything is done, so many times; the count is kept per command, whichever worker runs it."""

    def fault(handler: Handler, command: Any) -> Any:
        call = CallCount.another(command.meta.key)
        if call <= times:
            raise ConnectionError(f"{error} (call {call})")
        return handler(command)

    return fault


def breaks_off(error: str, *, times: float) -> Fault:
    """Do what is asked, and fail before it is answered, so many times: the caller cannot know."""

    def fault(handler: Handler, command: Any) -> Any:
        call = CallCount.another(command.meta.key)
        result = handler(command)
        if call <= times:
            raise ConnectionError(f"{error} (call {call})")
        return result

    return fault


def takes(seconds: float) -> Fault:
    """Do what is asked, but not at once."""

    def fault(handler: Handler, command: Any) -> Any:
        sleep(seconds)
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


def declines(reason: str, *, months: range, reminders: float) -> Fault:
    """Say no in these months of a subscription, until its customer was reminded so often.

    That is read from the command alone, so a command that comes again is answered as before, with nothing kept.
    """

    def fault(handler: Handler, command: Any) -> Any:
        if command.get("month") in months and command.get("reminders", 0) < reminders:
            raise Rejected(reason)
        return handler(command)

    return fault


#: (scenario, command) -> seconds: it is done at once, and answered so late that its step's patience has ended.
TOO_LATE: Mapping[tuple[str, str], float] = {
    ("slow_payment_late_success", "PaymentService.ProcessPayment"): PATIENCE + 2,
    ("car_slow_late_success", "CarService.ReserveCar"): PATIENCE + 2,
}
_no_refund = "the bank does not take the refund"
_no_answer = "the bank was told to charge, and the line broke before it answered"
_no_funds = "card declined: insufficient funds"
_for_ever = float("inf")

#: (scenario, command) -> what happens to it.
FAULTS: Mapping[tuple[str, str], Fault] = {
    **{asked: answers_late(by) for asked, by in TOO_LATE.items()},
    # orders
    ("carrier_down_twice", "ShippingService.CreateShipment"): fails("the carrier does not answer", times=2),
    ("refund_fails_twice", "PaymentService.RefundPayment"): fails(_no_refund, times=2),
    ("refund_fails_forever", "PaymentService.RefundPayment"): fails(_no_refund, times=_for_ever),
    # refunds
    ("payout_unknown", "PaymentService.PayOut"): breaks_off(
        "the bank was told to pay, and the line broke before it answered", times=2
    ),
    # subscriptions
    ("declined_then_paid", "BillingService.Charge"): declines(_no_funds, months=range(2, 3), reminders=2),
    ("downgraded", "BillingService.Charge"): declines(_no_funds, months=range(2, 61), reminders=_for_ever),
    ("charge_unknown_then_remembered", "BillingService.Charge"): breaks_off(_no_answer, times=2),
    ("refund_fails_forever", "BillingService.Refund"): fails(_no_refund, times=_for_ever),
    # trips
    ("hotel_full", "FlightService.ReserveSeats"): takes(2),
    ("payment_unknown", "PaymentService.ProcessPayment"): breaks_off(_no_answer, times=2),
    ("payment_never_answers", "PaymentService.ProcessPayment"): breaks_off(_no_answer, times=_for_ever),
    ("ticket_office_down", "TicketingService.IssueTicket"): fails("the ticket office is shut", times=4),
    ("flight_cancel_fails_forever", "FlightService.CancelSeats"): fails(
        "the airline does not take the seats back", times=_for_ever
    ),
}
