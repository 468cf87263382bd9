"""What to do when somebody sets the database's clock: leases, waits and signs of life are told by it."""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import (
    DateTimeField,
    DurationField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)

from sagas.clock import FRESH, database_now
from sagas.conf import settings
from sagas.core.words import Waiting
from sagas.models import Due, Step

log = logging.getLogger(__name__)

#: Seconds by which the database's clock may differ from what our own says without having been set.
JUMP = timedelta(seconds=2)
#: Seconds for which a jump is mended: workers carry the time before it on for a while.
MENDING = 2 * FRESH
#: Rows that are rewritten in one transaction.
AT_ONCE = 500


class Jumps:
    """Compares the database's clock with our own monotonic one, which nobody sets."""

    def __init__(self) -> None:
        self._heard: tuple[datetime, float] | None = None
        self._trusted_at = self._mended_at = 0.0

    @property
    def leases_can_be_read(self) -> bool:
        """Whether a lease that has ended by the database's clock has really not been renewed for so long.

        After a jump, every lease looks lost; whoever is alive renews it meanwhile.
        """
        return time.monotonic() >= self._trusted_at

    def look(self) -> None:
        """Notice whether the clock was set since the last look, and mend what hangs on it."""
        now, at = database_now(), time.monotonic()
        before, self._heard = self._heard, (now, at)
        off = now - before[0] - timedelta(seconds=at - before[1]) if before else timedelta(0)
        if abs(off) > JUMP:
            log.warning("the database's clock was set by %+.0f s", off.total_seconds())
            self._trusted_at = at + settings().LEASE
        if abs(off) > JUMP or before is None:  # it may have been set while no clock of ours was running
            self._mended_at = at + MENDING
        if at < self._mended_at:
            bring_forward()


def bring_forward() -> int:
    """Let nothing wait for a time that the clock, set back, will only reach again; return how much did.

    What was due stays due, what had to wait waits for what was left of it, and a lease that
    nobody renews ends one lease from now. Doing it twice changes nothing.
    """
    found = _shorten()
    stranded = list(_stranded(database_now()).values_list("pk", flat=True))
    for first in range(0, len(stranded), AT_ONCE):
        found += _rewrite(stranded[first : first + AT_ONCE])
    return found


@transaction.atomic
def _shorten() -> int:
    """Let leases that nobody renews end one lease from now."""
    now, lease = database_now(), timedelta(seconds=settings().LEASE)
    leased = Due.objects.filter(lease_token__isnull=False, lease_until__gt=now + lease + JUMP)
    return leased.update(lease_until=now + lease)


@transaction.atomic
def _rewrite(ids: Sequence[int]) -> int:
    """Make rows due after what was left of their wait; one that somebody holds meanwhile is left alone."""
    free = _stranded(database_now()).filter(pk__in=ids).select_related("saga").order_by("pk")
    listed = list(free.select_for_update(skip_locked=True, of=("self",)))
    now = database_now()  # with the locks: a wait that began while we looked is not cut short by that
    for row in listed:
        planned = row.due_at if row.planned is None else row.planned
        row.due_at = now + max(timedelta(0), planned - (row.saga.updated_at or now))
    Due.objects.bulk_update(listed, ["due_at"])
    return len(listed)


def _planned(rows: QuerySet[Due]) -> QuerySet[Any]:
    """Add when a command was to be due, by its saga's time: what it was brought forward to may be earlier."""
    step = Step.objects.filter(saga_id=OuterRef("saga_id"), name=OuterRef("step"))
    planned: QuerySet[Any] = rows.annotate(planned=Subquery(step.values("due_at")))
    return planned


def _stranded(now: datetime) -> QuerySet[Any]:
    """Find what has longer to wait than it was to: it is due by a clock that was ahead, as its saga's time still is."""
    ahead = now + JUMP
    spans = DurationField()
    left = _planned(Due.objects.filter(lease_token=None, due_at__gt=ahead, saga__updated_at__gt=ahead))
    left = left.annotate(
        brought=ExpressionWrapper(F("due_at") - F("planned"), spans),
        behind=ExpressionWrapper(Value(ahead, DateTimeField()) - F("saga__updated_at"), spans),
    )
    longer = Q(planned__lte=F("saga__updated_at")) | Q(brought__gt=F("behind"))
    found: QuerySet[Any] = left.filter(Q(kind=Due.DELIVERY) | Q(planned__isnull=False) & longer)
    fixed = _fixed().filter(saga_id=OuterRef("saga_id"), name=OuterRef("step"))
    return found.exclude(Exists(fixed))


def _fixed() -> QuerySet[Step]:
    """Find the timers that wait until a moment: whatever the clock says meanwhile, that is when they end."""
    timers = Step.objects.filter(waiting=Waiting.TIMER.value)
    # Where a definition has a step stands in its row; of those that functions asked for, the row has all.
    until = Q(grown__step__timer__seconds=None)
    for place in timers.filter(grown__isnull=True).order_by().values_list("position", flat=True).distinct():
        where = f"saga__definition__document__steps__{place}__timer__seconds"
        until |= Q(position=place, grown__isnull=True, **{where: None})
    return timers.filter(until)
