"""Periodic sagas: each clock starts what its ticks call for; however many clocks there are, each tick has one saga.

Who starts it holds the schedule's row, and the saga's idempotency key is the tick: whatever dies, there is one.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import DatabaseError, transaction

from sagas import orchestrator, registry
from sagas.clock import about_now, database_now
from sagas.core.cron import COUNTED, Cron, InvalidExpression
from sagas.core.plain import printable
from sagas.models import Schedule
from sagas.orchestrator.start import TICK

log = logging.getLogger(__name__)

#: How long to wait before a tick that could not be started is tried again.
AGAIN = timedelta(minutes=1)
#: A time that is earlier by more than this than one that was seen: the database's clock was set back.
BACK = timedelta(seconds=2)


def cron_of(author: Any) -> Cron | None:
    """Return when sagas of a type are started by the clock, or None. Raises InvalidExpression."""
    every = getattr(author, "every", None)
    return None if every is None else Cron(every, ZoneInfo(settings.TIME_ZONE))


def schedule_of(author: Any) -> Schedule | None:
    """Return how far a type has come by its present expression."""
    every = str(getattr(author, "every", ""))
    return Schedule.objects.filter(saga_type=author.saga_type, every=every).first()


class Periodic:
    """What one clock knows of the ticks to come; it asks the database only when one has come."""

    def __init__(self) -> None:
        self._next: dict[str, datetime] = {}
        self._looked: datetime | None = None

    def look(self) -> None:
        """Start what is due. A type that cannot be started does not hold up the others."""
        for name, author in registry.saga_types().items():
            if getattr(author, "every", None) is not None and self._come(name):
                self._next[name] = _see_to(name, author)

    def _come(self, name: str) -> bool:
        now = about_now()
        if self._looked is not None and now < self._looked - BACK:
            self._next.clear()
        self._looked = now
        return name not in self._next or self._next[name] <= now


def _see_to(name: str, author: Any) -> datetime:
    """Start the latest tick of a type that has come, if there is one; return when to look again."""
    try:
        cron = cron_of(author)
        assert cron is not None
        now = database_now()
        schedule = _schedule(name, cron, now)
        if cron.latest(schedule.tick, now) is not None:
            return _start(schedule.pk, cron, _data(author))
        return cron.next(max(schedule.tick, now))
    except DatabaseError:
        raise
    except InvalidExpression as wrong:
        log.error("%s is never started by the clock: %s", name, wrong)
    except Exception as fault:  # an author's code may raise anything
        log.exception("%s cannot be started by the clock; it will try again", name)
        error = printable(f"{type(fault).__name__}: {fault}")
        Schedule.objects.filter(saga_type=name, every=author.every).update(error=error)
    return database_now() + AGAIN


def _data(author: Any) -> Any:
    """Ask an author's class for data. What goes wrong in its own questions to the database is its own affair."""
    try:
        return author.periodic_data()
    except DatabaseError as fault:
        raise RuntimeError(f"periodic_data: {fault}") from fault


def _schedule(name: str, cron: Cron, now: datetime) -> Schedule:
    """Return a type's schedule. A new one begins now, since nothing was promised for before; so does one that is
    ahead, because it saw a clock that was set back since: what it has started is known by its ticks.
    """
    known = Schedule.objects.filter(saga_type=name, every=cron.expression)
    if not known.exists():
        row = Schedule(saga_type=name, every=cron.expression, tick=now)
        Schedule.objects.bulk_create([row], ignore_conflicts=True)
    known.filter(tick__gt=now + BACK).update(tick=now)
    return known.get()


@transaction.atomic
def _start(pk: int, cron: Cron, data: Any) -> datetime:
    """Start one saga for the latest tick, unless another clock has done so meanwhile; skip those before it."""
    schedule = Schedule.objects.select_for_update().get(pk=pk)
    now = database_now()
    tick = cron.latest(schedule.tick, now)
    if tick is None:
        return cron.next(max(schedule.tick, now))
    schedule.missed = cron.missed(schedule.tick, tick)
    if schedule.missed:
        many = f"{COUNTED} or more" if schedule.missed == COUNTED else str(schedule.missed)
        log.warning("%s: %s ticks before %s were missed, and are skipped", schedule, many, tick.isoformat())
    schedule.saga_id = _saga(schedule.saga_type, tick, data)
    schedule.tick, schedule.error = tick, None
    schedule.save(update_fields=["saga_id", "tick", "missed", "error"])
    return cron.next(tick)


def _saga(saga_type: str, tick: datetime, data: Any) -> UUID:
    try:
        return orchestrator.start(saga_type, data, idempotency_key=f"{TICK}{tick.isoformat()}").saga.pk
    except (
        orchestrator.KeyTaken
    ) as taken:  # a clock whose own clock was ahead was there, with data of its moment
        return taken.saga_id
