"""One look: what is new, still there, gone or over, and who is to be told of it."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from sagas.alerts.conditions import Condition, conditions
from sagas.clock import database_now
from sagas.conf import settings
from sagas.models import Alert, Notice
from sagas.orchestrator import GIVEN_BACK

log = logging.getLogger(__name__)

#: For how long it has to be gone until it is over: what comes back within that was not mended, or flickers.
CALM = timedelta(minutes=5)
#: What was over for less than this counts as there before.
LATELY = timedelta(days=1)
#: Whoever was told of so many sagas hears of it again when there are so many times as many.
FOLD = 10


def look() -> None:
    """Compare what asks for a person with the open alerts, and have told what is due to be. Any number may look."""
    now = database_now()
    seen = conditions()
    there = {condition.key: condition for condition in seen.found}
    open_ones = {
        alert.key: alert for alert in Alert.objects.filter(resolved_at=None).select_related("taken_by")
    }
    for key in there.keys() - open_ones.keys():
        open_ones |= _open(there[key], now)
    for key, alert in open_ones.items():
        if key in there:
            _still(alert, there[key], now)
        elif alert.kind not in seen.unsure:
            _gone(alert, now)
        elif alert.gone_at:  # of which nobody can be sure any more
            _of(alert).update(gone_at=None)


def _open(condition: Condition, now: datetime) -> dict[str, Alert]:
    before = Alert.objects.filter(key=condition.key, resolved_at__gte=now - LATELY)
    try:
        with transaction.atomic():
            alert = Alert.objects.create(
                key=condition.key,
                kind=condition.kind,
                about=condition.about,
                title=condition.title,
                hint=condition.hint,
                count=condition.count,
                opened_at=now,
                earlier=before.count(),
                tell_at=now + timedelta(seconds=settings().ALERT_AFTER),
            )
    except IntegrityError:  # somebody else looked in this moment
        return {}
    log.warning("alert %d: %s (%d)", alert.pk, alert.title, alert.count)
    return {alert.key: alert}


def _still(alert: Alert, condition: Condition, now: datetime) -> None:
    shown: dict[str, Any] = {
        "title": condition.title,
        "hint": condition.hint,
        "count": condition.count,
        "gone_at": None,
    }
    if alert.gone_at and alert.tell_at and not (alert.told or alert.taken_name):  # then it did not last
        shown["tell_at"] = alert.tell_at + (now - alert.gone_at)
    changed = {name: value for name, value in shown.items() if getattr(alert, name) != value}
    if changed:
        _of(alert).filter(version=alert.version).update(**changed)
        alert.tell_at = changed.get("tell_at", alert.tell_at)
    if alert.taken_name and _is_left(alert, now):
        _of(alert).filter(version=alert.version).update(**GIVEN_BACK, version=alert.version + 1, tell_at=now)
    elif _is_to_be_told(alert, condition, now):
        _have_told(alert, condition.count, now)


def _is_left(alert: Alert, now: datetime) -> bool:
    """Whether whoever took it is on it no more: the time is over, or the user is gone."""
    if alert.tell_at is not None and alert.tell_at <= now:
        return True
    if alert.taken_by is not None:
        return not alert.taken_by.is_active
    return not alert.at_shell


def _is_to_be_told(alert: Alert, condition: Condition, now: datetime) -> bool:
    """Whether its time has come, or there is much more of it. Who is on it hears of the second, too."""
    known = alert.told or alert.taken_name
    if known and condition.count >= FOLD * max(alert.told_count, 1):
        return True
    if alert.taken_name or alert.tell_at is None:
        return False
    wait = timedelta(seconds=max(settings().ALERT_AFTER, settings().ALERT_AGAIN))
    return not now < alert.tell_at <= now + wait  # later than that: the clock was set back


def _have_told(alert: Alert, count: int, now: datetime) -> None:
    """Put down whom to tell that it is there; nobody, as long as no channel here wants to know."""
    channels = [name for name, channel in settings().ALERTS.items() if channel.wants(alert.kind)]
    if not channels:
        return
    again = settings().ALERT_AGAIN
    tell_at = alert.tell_at if alert.taken_name else now + timedelta(seconds=again) if again else None
    with transaction.atomic():
        ours = _of(alert).filter(told=alert.told, version=alert.version)
        if ours.update(told=alert.told + 1, told_count=count, tell_at=tell_at):
            waiting = alert.notices.filter(sent_at=None, given_up=False).exclude(attempt__gt=0, error="")
            late = set(waiting.values_list("channel", flat=True))  # who has not heard the last, hears that
            what = Notice.AGAIN if alert.told else Notice.BEGUN
            _notices(alert, what, alert.told + 1, now, [name for name in channels if name not in late])


def _gone(alert: Alert, now: datetime) -> None:
    if alert.gone_at is None or alert.gone_at > now:  # the clock was set back
        _of(alert).update(gone_at=now)
    elif now - alert.gone_at >= CALM:
        with transaction.atomic():
            if _of(alert).filter(gone_at=alert.gone_at).update(resolved_at=now, tell_at=None):
                _have_told_over(alert, now)


def _have_told_over(alert: Alert, now: datetime) -> None:
    """Withdraw what nobody has begun to tell; who has heard of it, or may have, hears that it is over."""
    alert.withdraw()
    heard = set(alert.notices.values_list("channel", flat=True))
    wanted = [name for name, channel in settings().ALERTS.items() if channel.over and name in heard]
    _notices(alert, Notice.OVER, alert.told, now, wanted)
    log.info("alert %d is over: %s", alert.pk, alert.title)


def _notices(alert: Alert, what: str, number: int, now: datetime, channels: Iterable[str]) -> None:
    Notice.objects.bulk_create(
        Notice(alert=alert, channel=name, what=what, number=number, made_at=now, due_at=now)
        for name in channels
    )


def _of(alert: Alert) -> Any:
    """Return the alert's row, unless it is over."""
    return Alert.objects.filter(pk=alert.pk, resolved_at=None)
