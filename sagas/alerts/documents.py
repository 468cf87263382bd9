"""Alerts as all are told of them: what the API, the command line and the channels show, and where the desk does."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, get_script_prefix, reverse

from sagas.conf import settings
from sagas.core.words import AlertKind
from sagas.models import Alert, Notice

#: Notices that are shown of an alert: what lasts for weeks has many, and they are alike.
LATEST = 100
#: What is raised where the URLs have no such page, or a worker does not have what they import.
_NO_PAGES = (NoReverseMatch, ImportError, ImproperlyConfigured)


def alert_documents(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    """Return alerts as plain JSON data."""
    return [_document(alert) for alert in alerts]


def alert_detail(alert: Alert) -> dict[str, Any]:
    """Return an alert as plain JSON data, with its latest notices, the newest first."""
    (document,) = alert_documents([alert])
    notices = alert.notices.order_by("-pk")[:LATEST]
    return {**document, "notices": [_notice(notice) for notice in notices]}


def alert_path(alert: Alert) -> str:
    """Return where the desk shows what is the matter; the empty text where it has no page in these URLs."""
    about = alert.about
    try:
        match alert.kind:
            case AlertKind.ATTENTION:
                return f"{reverse('saga-list')}?{urlencode(sorted(about.items()))}"
            case AlertKind.BATCH:
                return reverse("saga-batch", args=[about["batch"]])
            case AlertKind.CHANNEL:
                return reverse("saga-alerts")
            case AlertKind.WORKERS | AlertKind.CLOCK | AlertKind.REDIS:
                return reverse("saga-overview")
            case _:
                return reverse("saga-queues")
    except _NO_PAGES:
        return ""


def _document(alert: Alert) -> dict[str, Any]:
    return {
        "id": alert.pk,
        "kind": alert.kind,
        "about": alert.about,
        "title": alert.title,
        "hint": alert.hint,
        "count": alert.count,
        "opened_at": alert.opened_at.isoformat(),
        "resolved_at": alert.resolved_at.isoformat() if alert.resolved_at else None,
        "earlier": alert.earlier,
        "told": alert.told,
        "tell_at": alert.tell_at.isoformat() if alert.tell_at else None,
        "taken_by": alert.taken_name or None,
        "taken_at": alert.taken_at.isoformat() if alert.taken_at else None,
        "taken_note": alert.taken_note or None,
        "version": alert.version,
        "url": _url(alert_path(alert)),
        "take_url": _url(_take_path(alert)),
    }


def _take_path(alert: Alert) -> str:
    try:
        return reverse("saga-alert-verb", args=[alert.pk, "take"])
    except _NO_PAGES:
        return ""


def _url(path: str) -> str | None:
    """Return a path of the desk's as a link for people elsewhere; a request's prefix is the proxy's, and said there."""
    base = settings().DESK_URL.rstrip("/")
    return f"{base}/{path.removeprefix(get_script_prefix())}" if base and path else None


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "channel": notice.channel,
        "what": notice.what,
        "number": notice.number,
        "made_at": notice.made_at.isoformat(),
        "attempt": notice.attempt,
        "error": notice.error or None,
        "sent_at": notice.sent_at.isoformat() if notice.sent_at else None,
        "given_up": notice.given_up,
    }
