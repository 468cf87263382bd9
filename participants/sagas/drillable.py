"""What the drill has to know of the demos: how they open, what of their books counts, what must always hold."""

from collections.abc import Mapping
from typing import Any

from sagas import SagaOrchestrator


class Drillable(SagaOrchestrator):
    """A demo saga that can be drilled."""

    drill_setup = "participants.opening.seed"
    drill_invariants = ("participants.audit.books_add_up",)
    #: How often a scenario's fault was met is nobody's effect.
    drill_ignores = ("participants.CallCount",)
    #: The services keep what they have undone; what is in force is what counts, and what a journal adds up to.
    drill_reads = {
        "participants.Reservation": "in_force",
        "participants.LedgerEntry": "in_force",
        "participants.Shipment": "in_force",
        "participants.Notice": "in_force",
        "participants.SeatBooking": "in_force",
        "participants.RoomBooking": "in_force",
        "participants.CarBooking": "in_force",
        "participants.Claim": "in_force",
        "participants.Payout": "in_force",
        "participants.Bill": "in_force",
        "participants.Term": "in_force",
        "participants.Downgrade": "in_force",
        "participants.StockMovement": "by_product",
    }


#: The same, for a durable function.
DRILLED: Mapping[str, Any] = {
    name: value for name, value in vars(Drillable).items() if name.startswith("drill_")
}
