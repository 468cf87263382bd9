"""Cron expressions of five fields: which moments they name, in a time zone whose clocks may be put forward and back.

As in Debian's cron: where the clocks go forward, a fixed time that does not exist comes right after the gap;
where they go back, it comes once. An hour or minute that is ``*`` or ``*/n`` goes by real time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import dropwhile, islice, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

#: Characters of an expression at most: so many are kept of it.
LONGEST = 100
#: Missed ticks are counted up to here.
COUNTED = 1000
#: The first look back for the latest tick; each further one goes twice as far.
LOOK_BACK = timedelta(hours=1)


class InvalidExpression(ValueError):
    """An expression that names no moments. Its text says what is wrong, and what would be right."""


@dataclass(frozen=True)
class Cron:
    """An expression, and the time zone in which it is read. Raises :class:`InvalidExpression`."""

    expression: str
    zone: ZoneInfo

    def __post_init__(self) -> None:
        right = (
            'write minute, hour, day of the month, month, day of the week: "0 3 * * *" is every day at three'
        )
        if not isinstance(self.expression, str) or len(self.expression.split()) != 5:
            raise InvalidExpression(f"{self.expression!r} has not five fields; {right}")
        if len(self.expression) > LONGEST:
            raise InvalidExpression(
                f"{self.expression[:20]!r}… has {len(self.expression)} characters and may have {LONGEST};"
                ' write ranges and steps: "*/5 8-17 * * *"'
            )
        try:
            next(self._ticks(datetime.now(UTC)))
        except CronSimError as wrong:
            raise InvalidExpression(f"{self.expression!r}: {str(wrong).lower()}; {right}") from wrong
        except (StopIteration, RuntimeError) as never:
            raise InvalidExpression(f"{self.expression!r} never comes; {right}") from never

    def next(self, after: datetime) -> datetime:
        """Return the first tick after a moment."""
        return next(self._ticks(after))

    def latest(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last tick after one moment and not after another, if there is any."""
        back = LOOK_BACK
        while after < until:
            begin = max(after, until - back)
            found = None
            for found in self._between(begin, until):  # noqa: B007 - the last one is wanted
                pass
            if found is not None or begin == after:
                return found
            back *= 2
        return None

    def missed(self, after: datetime, before: datetime) -> int:
        """Count the ticks between two moments, neither of them included, up to :data:`COUNTED`."""
        ticks = takewhile(lambda tick: tick < before, self._ticks(after))
        return sum(1 for _ in islice(ticks, COUNTED))

    def _between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        return takewhile(lambda tick: tick <= until, self._ticks(after))

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        ticks = (tick.astimezone(UTC) for tick in CronSim(self.expression, after.astimezone(self.zone)))
        return dropwhile(
            lambda tick: tick <= after, ticks
        )  # in an hour that comes twice it may begin with the first
