"""An alert, and whom it was told: what the API and the command line show of one."""

from typing import Any

from sagas.models import Alert, Notice
from sagas.orchestrator.alerting import alert_documents

#: Notices that are shown of an alert: what lasts for weeks has many, and they are alike.
LATEST = 100


def alert_detail(alert: Alert) -> dict[str, Any]:
    """Return an alert as plain JSON data, with its latest notices, the newest first."""
    (document,) = alert_documents([alert])
    notices = alert.notices.order_by("-pk")[:LATEST]
    return {**document, "notices": [_document(notice) for notice in notices]}


def _document(notice: Notice) -> dict[str, Any]:
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
