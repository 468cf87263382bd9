"""Notices go out, at least once: each is leased by who sends it, and tried again until it is taken, for a day.

What is due on a channel is one message, so that a bad hour is not a hundred of them.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from django.db import connection
from django.db.models import F, Max, Q

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

#: Channel -> the thread of this process that tells it something.
_sending: dict[str, threading.Thread] = {}


def tell() -> None:
    """Send what is due, a message for each channel, all at once. Any number of processes may, at the same time."""
    for name in settings().ALERTS:
        if not _is_busy(name) and (held := _claim(name)):
            _sending[name] = threading.Thread(
                target=_send_alone, args=(name, held), name="saga-alert", daemon=True
            )
            _sending[name].start()
    end = time.monotonic() + PATIENCE
    for thread in [*_sending.values()]:
        thread.join(max(0.0, end - time.monotonic()))
    for name in filter(_is_busy, _sending):
        waiting = Notice.objects.filter(channel=name, sent_at=None, given_up=False, attempt__gt=0, error="")
        waiting.update(error=f"no answer within {PATIENCE:g} s; it may yet come")


def hanging() -> bool:
    """Whether a channel has this process wait, which could keep it from ending."""
    return any(map(_is_busy, _sending))


def failing() -> list[str]:
    """Return the channels that did not take something for some attempts, and have taken nothing since."""
    unsent = Notice.objects.filter(channel__in=settings().ALERTS, sent_at=None, attempt__gte=FAILED)
    latest = unsent.exclude(error="").order_by().values_list("channel").annotate(Max("made_at"))
    return sorted(
        channel
        for channel, made_at in latest
        if not Notice.objects.filter(channel=channel, sent_at__gt=made_at).exists()
    )


def try_out(name: str) -> None:
    """Send a trial by a channel; it counts as failing no more. Raises :class:`channels.Untold`."""
    channels.try_out(name, settings().ALERTS[name])
    waiting = Notice.objects.filter(channel=name, sent_at=None)
    waiting.filter(given_up=True).update(error="")
    waiting.filter(given_up=False).exclude(error="").update(due_at=database_now(), error="")


def _is_busy(channel: str) -> bool:
    thread = _sending.get(channel)
    return thread is not None and thread.is_alive()


def _claim(channel: str) -> list[Notice]:
    now = database_now()
    # What is due later than it can be: the clock was set back.
    ripe = Q(due_at__lte=now) | Q(due_at__gt=now + HELD + timedelta(seconds=LONGEST_WAIT))
    due = Notice.objects.filter(ripe, channel=channel, sent_at=None, given_up=False)
    held = []
    for notice in due.select_related("alert").order_by("alert_id", "pk")[:TOGETHER]:
        ours = Notice.objects.filter(ripe, pk=notice.pk, attempt=notice.attempt, sent_at=None, given_up=False)
        if ours.update(due_at=now + HELD, attempt=F("attempt") + 1):
            notice.attempt += 1
            held.append(notice)
    return held


def _send_alone(channel: str, held: Sequence[Notice]) -> None:
    try:
        _send(channel, held)
    except Exception:  # the database is away: the lease ends by itself
        log.exception("what became of a message by the channel %s could not be noted", channel)
    finally:
        connection.close()


def _send(channel: str, held: Sequence[Notice]) -> None:
    """Send them, and note what came of it, however late that is."""
    try:
        channels.send(channel, settings().ALERTS[channel], held)
    except channels.Untold as fault:
        if held[0].attempt in (1, FAILED):
            log.warning("the channel %s did not take %d notices: %s", channel, len(held), fault)
        _put_off(held, str(fault))
    else:
        Notice.objects.filter(pk__in=[notice.pk for notice in held]).update(
            sent_at=database_now(), error="", given_up=False
        )


def _put_off(held: Sequence[Notice], error: str) -> None:
    """Try those again later, all at the same time: they were one message, and shall be."""
    now = database_now()
    attempt = max(notice.attempt for notice in held)
    wait = random.uniform(0.5, 1) * min(WAIT * 2 ** (attempt - 1), LONGEST_WAIT)
    for notice in held:
        ours = Notice.objects.filter(pk=notice.pk, attempt=notice.attempt, sent_at=None)
        ours.update(error=error, due_at=now + timedelta(seconds=wait))
        ours.filter(made_at__lt=now - GIVEN_UP).update(given_up=True)
