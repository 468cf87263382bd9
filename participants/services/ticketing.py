"""TicketingService: prints a ticket for each traveller, once the trip is paid. A printed ticket is not taken back."""

from typing import Any

from pydantic import BaseModel, Field

from participants.faults import staged
from participants.models import Effect, Ticket, TicketingInbox
from sagas import command
from sagas.inbox import once


class Seat(BaseModel):
    """What the ticket office wants to know: whose ticket, for which flight."""

    flight: str = Field(min_length=1, max_length=40)
    traveller: str = Field(min_length=1, max_length=100)


@command("TicketingService.IssueTicket", model=Seat)
@staged
@once(TicketingInbox)
def issue_ticket(trip: Any) -> dict[str, Any]:
    """Print one traveller's ticket."""
    ticket = Ticket.objects.create(
        **Effect.origin(trip), flight=trip.input.flight, traveller=trip.input.traveller
    )
    return {"ticket": ticket.number, "traveller": ticket.traveller}
