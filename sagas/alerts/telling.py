"""Notices go out, at least once: each is leased by who sends it, and tried again until it is taken, for a day.

What is due on a channel is one message, so that a bad hour is not a hundred of them.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from django.db import connections, transaction
from django.db.models import F, Q

from sagas.alerts import channels
from sagas.clock import database_now
from sagas.conf import settings
from sagas.models import Notice

log = logging.getLogger(__name__)

#: Seconds for which channels are waited for: one that hangs is left behind, and may yet take what it was told.
PATIENCE = 10.0
#: Notices in one message, at most; the rest follow in the next.
TOGETHER = 50
#: For how long who sends holds them: longer than a channel takes that works at all.
HELD = timedelta(minutes=3)
#: Seconds until the second attempt, doubling, and at most.
WAIT, LONGEST_WAIT = 10.0, 300.0
#: After this it is of no use any more.
GIVEN_UP = timedelta(days=1)
#: Attempts in vain after which a channel counts as failing, and something is logged of it.
FAILED = 3

#: Seconds after which a thread that hangs is no reason any more not to try another.
FORGOTTEN = 3600.0

#: Channel -> the thread of this process that tells it something, and when it began, by our own clock.
_sending: dict[str, tuple[threading.Thread, float]] = {}


def tell() -> None:
    """Send what is due, a message for each channel, all at once. Any number of processes may, at the same time."""
    for name in settings().ALERTS:
        if not _is_busy(name) and (held := _claim(name)):
            thread = threading.Thread(target=_send_alone, args=(name, held), name="saga-alert", daemon=True)
            thread.start()
            _sending[name] = thread, time.monotonic()
    _wait(PATIENCE)
    for name in filter(_is_busy, [*_sending]):
        _say_late(name)


def sending() -> bool:
    """Whether a channel is being told something, after a moment in which it may have been; it may hang."""
    _wait(2.0)
    return any(map(_is_busy, [*_sending]))


def failing() -> list[str]:
    """Return the channels that do not take what they are told, for some attempts by now."""
    unsent = Notice.objects.filter(channel__in=settings().ALERTS, sent_at=None, attempt__gte=FAILED)
    return sorted(unsent.exclude(error="").order_by().values_list("channel", flat=True).distinct())


def try_out(name: str) -> None:
    """Send a trial by a channel; it counts as failing no more. Raises :class:`channels.Untold`."""
    channels.try_out(name, settings().ALERTS[name])
    waiting = Notice.objects.filter(channel=name, sent_at=None).exclude(error="")
    waiting.filter(given_up=False).update(due_at=database_now())
    waiting.update(error="")


def _is_busy(channel: str) -> bool:
    thread, began = _sending.get(channel, (None, 0.0))
    return thread is not None and thread.is_alive() and time.monotonic() - began < FORGOTTEN


def _wait(seconds: float) -> None:
    end = time.monotonic() + seconds
    for thread, _ in [*_sending.values()]:
        thread.join(max(0.0, end - time.monotonic()))


def _say_late(channel: str) -> None:
    """Note for whom is waited. What is due there meanwhile counts as tried in vain: so it shows, and is given up."""
    now, error = database_now(), f"no answer within {PATIENCE:g} s; it may yet come"
    waiting = Notice.objects.filter(channel=channel, sent_at=None, given_up=False)
    waiting.filter(attempt__gt=0, error="").update(error=error)
    ripe = waiting.filter(due_at__lte=now)
    ripe.filter(made_at__lt=now - GIVEN_UP).update(given_up=True)
    if ripe.update(due_at=now + HELD, attempt=F("attempt") + 1, error=error):
        log.warning("the channel %s does not answer", channel)


def _claim(channel: str) -> list[Notice]:
    now = database_now()
    # What is due later than it can be: the clock was set back.
    ripe = Q(due_at__lte=now) | Q(due_at__gt=now + HELD + timedelta(seconds=LONGEST_WAIT))
    due = Notice.objects.filter(ripe, channel=channel, sent_at=None, given_up=False)
    found = _message(channel, list(due.select_related("alert").order_by("alert_id", "pk")[:TOGETHER]))
    if not found:
        return []
    held = []
    with transaction.atomic():
        for notice in found:
            ours = due.filter(pk=notice.pk, attempt=notice.attempt)
            if notice.attempt and notice.made_at < now - GIVEN_UP:
                ours.update(given_up=True)
            elif ours.update(due_at=now + HELD, attempt=F("attempt") + 1, error=""):
                notice.attempt += 1
                held.append(notice)
    return held


def _message(channel: str, due: list[Notice]) -> list[Notice]:
    """Return what of it goes out together: nothing new with what was refused, which may be at fault itself.

    What is refused while other things are taken goes alone.
    """
    new = [notice for notice in due if notice.attempt < FAILED]
    if new or not due:
        return new
    first = min(notice.made_at for notice in due)
    taken = Notice.objects.filter(channel=channel, sent_at__gt=first).exists()
    return due[:1] if taken else due


def _send_alone(channel: str, held: Sequence[Notice]) -> None:
    try:
        _send(channel, held)
    except Exception:  # the database is away: the lease ends by itself
        log.exception("what became of a message by the channel %s could not be noted", channel)
    finally:
        connections.close_all()


def _send(channel: str, held: Sequence[Notice]) -> None:
    """Send them, and note what came of it, however late that is."""
    try:
        channels.send(settings().ALERTS[channel], held)
    except channels.Untold as fault:
        if max(notice.attempt for notice in held) in (1, FAILED):
            log.warning("the channel %s did not take %d notices: %s", channel, len(held), fault)
        _put_off(held, str(fault))
    else:
        Notice.objects.filter(pk__in=[notice.pk for notice in held]).update(
            sent_at=database_now(), error="", given_up=False
        )
        # It takes again what it is told: what it did not take before says nothing of it any more.
        Notice.objects.filter(channel=channel, sent_at=None).exclude(error="").update(error="")


@transaction.atomic
def _put_off(held: Sequence[Notice], error: str) -> None:
    """Try those again later, all at the same time: they were one message, and shall be."""
    attempts = {notice.attempt for notice in held}
    wait = random.uniform(0.5, 1) * min(WAIT * 2 ** (max(attempts) - 1), LONGEST_WAIT)
    due_at = database_now() + timedelta(seconds=wait)
    for attempt in attempts:
        those = [notice.pk for notice in held if notice.attempt == attempt]
        ours = Notice.objects.filter(pk__in=those, attempt=attempt, sent_at=None)
        ours.update(error=error, due_at=due_at)
