"""The ticket office's tables."""

from django.db import models

from participants.models.effect import Effect
from sagas.inbox import Inbox


class TicketingInbox(Inbox):
    """The commands that the ticket office has answered."""

    class Meta(Inbox.Meta):
        verbose_name_plural = "ticketing inboxes"


class TicketQuerySet(models.QuerySet["Ticket"]):
    """Adjectives for tickets."""

    def in_force(self) -> "TicketQuerySet":
        """All of them: a ticket is printed once the trip is paid, and there is no way back then."""
        return self.all()


class Ticket(Effect):
    """A traveller's ticket for a flight."""

    prefix = "TKT"
    flight = models.CharField(max_length=40)
    traveller = models.CharField(max_length=100)

    objects = TicketQuerySet.as_manager()

    class Meta(Effect.Meta):
        constraints = [
            *Effect.Meta.constraints,
            models.UniqueConstraint(fields=["saga_id", "traveller"], name="ticket_once_per_traveller"),
        ]
