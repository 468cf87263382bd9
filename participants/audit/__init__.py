"""The auditor: do the services' books add up, and do they say what the sagas say?

Each check is one statement, so it sees one moment and needs no lock, whatever is going on meanwhile.
An effect that is neither undone nor taken back is *in force*.
"""

from dataclasses import asdict, dataclass
from typing import Any

from participants.audit.books import check_books
from participants.audit.finding import Finding as Finding
from participants.audit.sagas import check_sagas, settled
from participants.audit.trades import TRADES
from sagas.models import Saga


@dataclass(frozen=True)
class Report:
    """What the auditor found."""

    offences: list[Finding]
    settled: list[Finding]
    """What operators settled by name, in sagas that are over."""
    in_flight: int
    """Sagas that are not over; of those only what must hold at any time was checked."""
    checked: dict[str, int]

    def document(self) -> dict[str, Any]:
        """Return it as other programs read it."""
        return {"clean": not self.offences, **asdict(self)}


def audit() -> Report:
    """Check everything."""
    return Report(
        offences=[*check_books(), *check_sagas()],
        settled=list(settled()),
        in_flight=Saga.objects.active().count(),
        checked={
            "sagas": Saga.objects.count(),
            **{f"{t.noun}s in force": t.in_force().count() for t in TRADES},
        },
    )


def books_add_up(ending: Any) -> list[str]:
    """Return what is wrong with the books that a saga writes: an invariant of the demos' drills."""
    actions = {step.action for step in ending.definition.steps}
    trades = [trade for trade in TRADES if actions.intersection(trade.actions)]
    return [f"{off.check}: {off.row}: {off.text}" for off in check_books(trades)]
