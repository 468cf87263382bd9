"""What can happen to a trip."""

from participants.scenarios import Scenario, by_name
from participants.scenarios.order import DECLINED_CARD

#: What the opening books hold for these scenarios; see :mod:`participants.opening`.
FULL_HOTEL = "GRAND-BUDA"

_declined = {"payment_method": DECLINED_CARD}

SCENARIOS = by_name(
    Scenario(
        "happy",
        "All goes well",
        "Flight, hotel and car are reserved side by side, then the trip is paid, then each traveller gets a ticket.",
        "completed",
    ),
    Scenario(
        "no_car",
        "A trip without a car",
        "The data asks for no car, so the saga has no step for one.",
        "completed",
        brings={"car": None},
    ),
    Scenario(
        "hotel_full",
        "Hotel full, while the flight is still being reserved",
        "One branch fails: the car is given back at once, the flight as soon as the airline has answered.",
        "failed",
        brings={"hotel": FULL_HOTEL},
    ),
    Scenario(
        "car_slow_late_success",
        "Car hire slow: timed out, yet reserved once",
        "Its answer comes too late; the retry gets the remembered one, and payment has waited for it.",
        "completed",
        brings={"car": "COMPACT"},
    ),
    Scenario(
        "payment_declined",
        "Payment declined: all three undone side by side",
        "The bank says no before the point of no return; flight, hotel and car are given back.",
        "failed",
        brings=_declined,
    ),
    Scenario(
        "payment_unknown",
        "Payment's outcome unknown, then found out",
        "The line breaks twice after the charge; asked again under the same key, the bank remembers it.",
        "completed",
    ),
    Scenario(
        "payment_never_answers",
        "Payment's outcome stays unknown: undone",
        "The bank charges and never says so. Nobody passed the point of no return, so it is refunded as well.",
        "failed",
    ),
    Scenario(
        "ticket_office_down",
        "Ticket office shut for a while",
        "The trip is paid, so there is no way back: each ticket is tried again until the office opens.",
        "completed",
    ),
    Scenario(
        "flight_cancel_fails_forever",
        "Flight's cancellation fails for ever: needs you",
        "Payment is declined and the airline never takes the seats back; hotel and car are undone all the same.",
        "compensating",
        "compensation_failed",
        brings=_declined,
    ),
    Scenario(
        "non_refundable_fare",
        "Non-refundable fare: cannot be undone",
        "Payment is declined, but a saver fare cannot be cancelled: somebody has to settle it by hand.",
        "compensating",
        "cannot_undo",
        brings={**_declined, "fare": "saver"},
    ),
    Scenario(
        "hold_for_operator",
        "Payment declined, held for your decision",
        "The trip says hold on failure: the reservations stay while an operator looks for another card.",
        "pending",
        "held",
        brings={**_declined, "hold_on_failure": True},
    ),
)
