"""The choreography of a chaos run: a round of subscribers, each of whom asks the ledger and tells what came of it.

What the ledger does is not in the transaction of what is published, as with any service elsewhere: the key sees to it
that it happens once, and an event that is published twice is told once.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from bench.nemesis import wire
from bench.nemesis.shop.asking import LEDGER, QUICK, STUBBORN, TIMEOUT, question, result
from sagas import Choreography, Reaction, Rejected, publish, subscribe


def _reaction(name: str, on: str, by: str, *publishes: str, undoes: str | None = None) -> Reaction:
    retry = STUBBORN if undoes else QUICK
    return Reaction(
        name, on=on, by=by, publishes=publishes, compensates=undoes, timeout=TIMEOUT, retry=retry, within=60
    )


class Round(Choreography):
    """Reserve, charge, ship; and back, from wherever somebody refuses."""

    saga_type = "ChaosRound"
    sample_data: ClassVar = {"order": "o-1"}
    first_event = "RoundOrdered"
    completed_events = ("RoundDone",)
    failed_events = ("RoundOff",)
    turning_events = ("RoundSoldOut", "RoundDeclined", "RoundUnshipped")

    def define_steps(self, data: Mapping[str, Any]) -> list[Reaction]:  # type: ignore[override]
        """Say who reacts to what."""
        return [
            _reaction("reserve", "RoundOrdered", "RoundStock", "RoundReserved", "RoundSoldOut"),
            _reaction("charge", "RoundReserved", "RoundMoney", "RoundCharged", "RoundDeclined"),
            _reaction("ship", "RoundCharged", "RoundShip", "RoundDone", "RoundUnshipped"),
            _reaction("sold_out", "RoundSoldOut", "RoundDesk", "RoundOff"),
            _reaction("refund", "RoundUnshipped", "RoundMoney", "RoundRefunded", undoes="charge"),
            _reaction("release", "RoundDeclined", "RoundStock", "RoundOff", undoes="reserve"),
            _reaction("release_refunded", "RoundRefunded", "RoundStock", "RoundOff", undoes="reserve"),
        ]


def _acts(event: str, by: str, done: str, refused: str | None = None) -> None:
    """Have a subscriber ask the ledger; without ``refused``, what the ledger refuses is parked."""

    @subscribe(event, name=by, inbox=True)
    def react(given: Any) -> Any:
        answer = wire.ask(LEDGER, question(given, plain=False, refusable=True))
        try:
            told = result(answer)
        except Rejected as no:
            if refused is None:
                raise
            publish(refused, {"reason": str(no)})
            return {"refused": str(no)}
        publish(done, {})
        return told


_acts("RoundOrdered", "RoundStock", "RoundReserved", "RoundSoldOut")
_acts("RoundReserved", "RoundMoney", "RoundCharged", "RoundDeclined")
_acts("RoundCharged", "RoundShip", "RoundDone", "RoundUnshipped")
_acts("RoundUnshipped", "RoundMoney", "RoundRefunded")
_acts("RoundDeclined", "RoundStock", "RoundOff")
_acts("RoundRefunded", "RoundStock", "RoundOff")


@subscribe("RoundSoldOut", name="RoundDesk", inbox=True)
def call_off(given: Any) -> None:
    """There is nothing to undo."""
    publish("RoundOff", {})
