"""What happened, sent once its transaction is committed. Hints: logging, RQ and the live desk listen."""

from typing import NamedTuple
from uuid import UUID

from django.dispatch import Signal


class Change(NamedTuple):
    """One saga's step from one version to the next."""

    saga_id: UUID
    saga_type: str
    version: int
    state: str
    attention: str | None
    created: bool


#: Sagas changed. Arguments: ``changes``, a list of :class:`Change`; ``queues``, the set of
#: queues on which work became due that nobody holds yet.
committed = Signal()

#: More may be due than a worker could take. Argument: ``queues``, where.
left_over = Signal()

#: The database refused to write because its disk is full, again and again while it is; or has room again.
#: Argument: ``full``.
no_room = Signal()
