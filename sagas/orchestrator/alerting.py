"""Alerts as operators act on them: somebody takes one, and the others know, and are not told again; or gives it back.

What is the matter is seen, and told outside, by :mod:`sagas.alerts`; nothing here mends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from sagas.clock import database_now
from sagas.core.telling import in_utc
from sagas.models import Alert
from sagas.orchestrator import trail
from sagas.orchestrator.asked import ALERT_VERBS, Asked, Invalid, NotFound, Refused
from sagas.orchestrator.operators import check_operator, check_reason, check_words

#: The permission for both.
ALERT_PERMISSION = "sagas.take_alert"
#: What is written of an alert that nobody is on any more.
GIVEN_BACK: Mapping[str, Any] = {
    "taken_by": None,
    "taken_name": "",
    "taken_at": None,
    "taken_note": "",
    "at_shell": False,
}
#: Hours for which one can be taken, at most: who is on it for longer takes it again.
LONGEST = 24 * 7


@dataclass(frozen=True)
class AlertAnswer:
    """What became of what was asked."""

    alert: Alert
    verb: str
    repeated: bool = False
    """The action id was known: it was done then."""


def alert_numbered(number: int, among: QuerySet[Alert] | None = None) -> Alert:
    """Return an alert. Raises NotFound."""
    found = (Alert.objects if among is None else among).filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no alert {number}; it may have been pruned.")
    return found


def act_on_alert(number: int, verb: str, asked: Asked, hours: float | None = None) -> AlertAnswer:
    """Take an alert, for so many hours or until it is over, or give it back; and record it, in one transaction.

    ``asked.version`` is the alert's as it was seen. Raises NotFound, Forbidden, Invalid, and Refused where it does not
    apply, or somebody else took it meanwhile. The same action id again does nothing.
    """
    _check(verb, asked, hours)
    check_reason(asked)
    request = {"alert": number} if hours is None else {"alert": number, "hours": hours}
    return trail.once(
        lambda: _act(number, verb, asked, hours, request),
        lambda: _stored(alert_numbered(number), verb, asked, request),
    )


def preview_alert(number: int, verb: str, asked: Asked, hours: float | None = None) -> tuple[str, ...]:
    """Say what :func:`act_on_alert` would do, and change nothing. Raises as it does."""
    _check(verb, asked, hours)
    alert = alert_numbered(number)
    _check_applies(alert, verb, asked)
    if verb == "give_back":
        again = " again" if alert.told else ""
        return (f"Nobody is on it any more, and if it is still there, it is told{again} at once.",)
    until = "until it is over" if hours is None else f"for {hours:g} hour{'' if hours == 1 else 's'}"
    told = [
        f"Everybody sees that you are on it, and nobody is told of it again {until}, unless it is ten times as much."
    ]
    if hours is not None:
        told.append("If it is still there then, it is told again, and nobody is on it any more.")
    if alert.taken_name == asked.name:
        told.append("You are on it already: what you said before is replaced.")
    elif alert.taken_name:
        told.append(f"You take it over from {alert.taken_name}.")
    return (*told, "It mends nothing by itself: the alert is over when what is the matter is.")


def _check(verb: str, asked: Asked, hours: float | None) -> None:
    if verb not in ALERT_VERBS:
        raise Invalid("verb", f"{verb!r} is not for alerts; there are {', '.join(ALERT_VERBS)}")
    check_operator(asked, ALERT_PERMISSION, "take alerts")
    check_words(asked)
    if hours is None:
        return
    if verb != "take":
        raise Invalid("hours", "is not taken by give_back")
    if not 0 < hours <= LONGEST:
        raise Invalid("hours", f"must be more than 0, and at most {LONGEST}")


@transaction.atomic
def _act(
    number: int, verb: str, asked: Asked, hours: float | None, request: Mapping[str, Any]
) -> AlertAnswer:
    alert = alert_numbered(number, Alert.objects.select_for_update())
    stored = _stored(alert, verb, asked, request)
    if stored:
        return stored
    _check_applies(alert, verb, asked)
    now, before = database_now(), alert.version
    _change(alert, verb, asked, hours, now)
    trail.record(
        asked,
        f"{verb}_alert",
        request,
        at=now,
        version_before=before,
        version_after=alert.version,
        answer={"alert": {"id": alert.pk, "title": alert.title}},
    )
    return AlertAnswer(alert, verb)


def _check_applies(alert: Alert, verb: str, asked: Asked) -> None:
    """Raise Refused unless the verb applies to the alert as it is."""
    if alert.resolved_at is not None:
        raise Refused(f"It has been over since {in_utc(alert.resolved_at)}.")
    if asked.version is not None and asked.version != alert.version:
        now = "nobody has it any more"
        if alert.taken_at is not None:
            now = f"{alert.taken_name} has had it since {in_utc(alert.taken_at)}: {alert.taken_note}"
        raise Refused(f"You saw it as it is no more: {now}")
    if verb == "give_back" and not alert.taken_name:
        raise Refused("Nobody is on it.")


def _change(alert: Alert, verb: str, asked: Asked, hours: float | None, now: datetime) -> None:
    changed: dict[str, Any] = {"version": alert.version + 1, **GIVEN_BACK, "tell_at": now}
    if verb == "take":
        alert.withdraw()
        changed |= {
            "taken_by": asked.operator,
            "taken_name": asked.name,
            "taken_at": now,
            "taken_note": asked.reason,
            "at_shell": asked.operator is None,
            "told_count": alert.count,
            "tell_at": None if hours is None else now + timedelta(hours=hours),
        }
    for name, value in changed.items():
        setattr(alert, name, value)
    alert.save(update_fields=list(changed))


def _stored(alert: Alert, verb: str, asked: Asked, request: Mapping[str, Any]) -> AlertAnswer | None:
    known = trail.replayed(asked, f"{verb}_alert", request)
    return AlertAnswer(alert, verb, repeated=True) if known else None
